"""A study as two pictures, in English or Chinese: the trials in order, and how much each option mattered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hanlin.drawing import clip, polyline, svg, text, text_width
from hanlin.messages.figures import progress_name
from hanlin.training.search.report import SearchReport, TrialReport

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "history": "Trials", "trial": "trial", "best": "best so far", "complete": "finished", "pruned": "ended early",
        "usual": "without a search", "importance": "What mattered", "share": "share of the differences between the trials (fANOVA)",
        "few": "too few finished trials to tell", "loss": "validation loss",
    },
    "zh": {
        "history": "各次试验", "trial": "试验", "best": "目前最佳", "complete": "已完成", "pruned": "提前结束", "usual": "不作搜索",
        "importance": "何者重要", "share": "在各试验差异中所占份额（fANOVA）", "few": "已完成的试验太少，无法判断",
        "loss": "验证损失",
    },
}  # fmt: skip
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 616, 76, 292


def history_svg(report: SearchReport, *, language: str = "en") -> str:
    """Each trial's value, in order, with the best so far as a line; trials that were ended early are hollow."""
    words = _WORDS[language]
    shown = [trial for trial in report.trials if trial.value is not None and trial.state in {"complete", "pruned"}]
    low, high = _scale([trial.value for trial in shown if trial.value is not None])
    last = max(1, len(report.trials) - 1)

    def spot(number: float, value: float) -> tuple[float, float]:
        return _LEFT + (_RIGHT - _LEFT) * number / last, _BOTTOM - (_BOTTOM - _TOP) * (min(max(value, low), high) - low) / (high - low)

    parts = [text(16, 28, words["history"], "title"), _legend(words)]
    for tick in range(5):
        y = _BOTTOM - (_BOTTOM - _TOP) * tick / 4
        parts.append(f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>')
        parts.append(text(_LEFT - 8, y + 4, f"{low + (high - low) * tick / 4:.3g}", "soft num", anchor="end"))
    for number in sorted({round(last * tick / 4) for tick in range(5)}):
        parts.append(text(spot(number, low)[0], _BOTTOM + 20, str(number), "soft num", anchor="middle"))
    name = words["loss"] if report.is_loss else progress_name(f"validation_{report.metric}", language=language)
    parts.append(text((_LEFT + _RIGHT) / 2, _BOTTOM + 40, f"{words['trial']} · {name}", "soft", anchor="middle"))
    parts.append(polyline(_best_line(report, spot), "var(--c)", width=1.5))
    parts += [_dot(*spot(trial.number, trial.value), trial) for trial in shown if trial.value is not None]
    if (usual := report.usual) is not None and usual.value is not None:
        x, y = spot(usual.number, usual.value)
        parts.append(text(x + 10, y + 18, words["usual"], "soft"))
    return svg(640, 340, parts, words["history"])


def importance_svg(report: SearchReport, *, language: str = "en") -> str:
    """Each searched option's share of the differences between the trials, the largest first."""
    words = _WORDS[language]
    rows = sorted(report.importance.items(), key=lambda item: -item[1])
    left = 40 + 7.5 * max([text_width(name) for name, _ in rows], default=0.0)
    parts = [text(16, 28, words["importance"], "title"), text(16, 50, words["share"] if rows else words["few"], "soft")]
    for index, (name, share) in enumerate(rows):
        y = 72 + 30 * index
        parts.append(text(left - 10, y + 15, clip(name, 24), anchor="end"))
        parts.append(f'<rect x="{left:.0f}" y="{y}" width="{max(2.0, (560 - left) * share):.1f}" height="20" rx="4" fill="var(--a)"/>')
        parts.append(text(left + max(2.0, (560 - left) * share) + 8, y + 15, f"{100 * share:.0f} %", "num soft"))
    return svg(640, 84 + 30 * max(1, len(rows)), parts, words["importance"])


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """From the worst to the best with room, a few hopeless trials cut off so that they do not flatten the rest."""
    if not values:
        return 0.0, 1.0
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    near = [
        value for value in ordered if abs(value - middle) <= 4 * max(abs(ordered[len(ordered) * part // 4] - middle) for part in (1, 3))
    ]
    low, high = (near[0], near[-1]) if near else (ordered[0], ordered[-1])
    room = max(high - low, 1e-3) * 0.12
    return low - room, high + room


def _best_line(report: SearchReport, spot: Callable[[float, float], tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    best: float | None = None
    for trial in report.trials:
        if trial.state == "complete" and trial.value is not None:
            is_better = best is None or (trial.value < best if report.is_loss else trial.value > best)
            if is_better:
                if best is not None:
                    found.append(spot(trial.number, best))
                best = trial.value
                found.append(spot(trial.number, best))
    if best is not None and report.trials:
        found.append(spot(report.trials[-1].number, best))
    return found


def _dot(x: float, y: float, trial: TrialReport) -> str:
    fill = "var(--a)" if trial.state == "complete" else "none"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="var(--a)" stroke-width="1.5"/>'


def _legend(words: dict[str, str]) -> str:
    parts, x = [], float(_LEFT)
    for name, mark in (("complete", 'fill="var(--a)"'), ("pruned", 'fill="none" stroke="var(--a)" stroke-width="1.5"')):
        parts.append(f'<circle cx="{x + 4:.0f}" cy="46" r="4" {mark}/>' + text(x + 16, 50, words[name], "soft"))
        x += 40 + 7.2 * text_width(words[name])
    parts.append(f'<rect x="{x:.0f}" y="44" width="14" height="3" rx="1.5" fill="var(--c)"/>' + text(x + 20, 50, words["best"], "soft"))
    return "".join(parts)
