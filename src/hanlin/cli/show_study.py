"""The study of a search as a table for people: its best trials, what they gained, what mattered."""

from __future__ import annotations

from hanlin.cli.screen import SCREEN, cell, grid
from hanlin.cli.shape import items, number, pairs, part, percent, words
from hanlin.cli.words import headed, name_of, say
from hanlin.messages import terminal_language
from hanlin.messages.said import Said

MAX_TRIALS = 12
_STYLES = {"complete": "green", "pruned": "dim", "failed": "red", "running": "cyan"}


def show(study: object) -> None:
    """Print a study: the best trials first, those that ended early and failed ones last."""
    metric = words(part(study, "metric"))
    sign = 1 if metric == "loss" else -1
    trials = items(part(study, "trials"))
    best = part(study, "best")

    def rank(trial: object) -> tuple[bool, float]:
        value = number(part(trial, "value"))
        return part(trial, "state") != "complete", sign * value if value is not None else float("inf")

    rows = [_row(trial, is_best=part(trial, "number") == best) for trial in sorted(trials, key=rank)[:MAX_TRIALS]]
    columns = ["", say("column.trial"), name_of("metric", f"validation_{metric}"), say("column.state"), say("column.options")]
    SCREEN.show(grid([*columns, say("column.seconds")], rows, right=(1, 2, 5)))
    if len(trials) > MAX_TRIALS:
        SCREEN.show(cell(say("study.more", count=len(trials) - MAX_TRIALS), "dim"))
    value, usual = number(part(study, "best_value")), number(part(study, "usual_value"))
    if value is not None and usual is not None:
        SCREEN.line(say("study.gain", metric=name_of("metric", f"validation_{metric}"), best=f"{value:.4g}", usual=f"{usual:.4g}"))
    if shares := pairs(part(study, "importance")):
        told = " · ".join(f"{name} {percent(share, 0)}" for name, share in sorted(shares, key=lambda item: -(number(item[1]) or 0.0)))
        SCREEN.line(say("study.importance", shares=told))


def _row(trial: object, *, is_best: bool) -> list[object]:
    value, seconds, state = number(part(trial, "value")), number(part(trial, "seconds")), words(part(trial, "state"))
    told = ", ".join(f"{name}={_short(option)}" for name, option in pairs(part(trial, "options")))
    if (reason := Said.from_json(part(trial, "reason"))) is not None:
        told = headed(told, reason.text(terminal_language()))
    elif part(trial, "is_usual") is True:
        told = f"{told} ({say('study.usual')})"
    return [
        cell("★" if is_best else "", "yellow"), words(part(trial, "number")), "" if value is None else f"{value:.4g}",
        cell(name_of("state", state), _STYLES.get(state, "")), cell(told, "bold" if is_best else ""),
        "" if seconds is None else f"{seconds:.0f} s",
    ]  # fmt: skip


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
