"""What a check found in a dataset, as tables for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hanlin.cli.screen import SCREEN, cell, grid
from hanlin.cli.shape import figure, items, number, part, words
from hanlin.cli.words import name_of, say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hanlin.client import DatasetCheck

MAX_PAIRS, MAX_DOUBTS, MAX_LABELS, MAX_LANGUAGES = 5, 10, 20, 5
LENGTHS = ("p5", "p50", "p95", "p99", "max")


def show(check: DatasetCheck) -> None:
    """Print it all."""
    found = check.found
    SCREEN.show(
        cell(f"{check.name}:{check.number}", "bold"), *lines(found), _lengths(found), *_pairs(found), *_doubts(found), *_labels(found)
    )


def lines(found: object) -> Iterable[RenderableType]:
    """One line a finding, those to act on in colour."""
    twins, doubts, tokens = part(found, "twins"), part(found, "doubts"), part(found, "tokens")
    yield cell(say("check.rows", rows=figure(part(found, "rows"))))
    facts = {"rows": part(twins, "rows"), "groups": part(twins, "groups"), "largest": part(twins, "largest_group")}
    yield _line(
        "check.twins", facts["rows"], likeness=words(part(found, "likeness")), **{name: figure(fact) for name, fact in facts.items()}
    )
    if number(differ := part(twins, "other_labels")):
        yield _line("check.other_labels", differ, pairs=figure(differ))
    leaks = part(twins, "leaks")
    split = {name: figure(part(leaks, name)) for name in ("validation", "test")}
    yield _line("check.leaks", part(leaks, "total"), rows=figure(part(leaks, "total")), **split)
    if doubts is not None:
        right, plain = number(part(doubts, "right")) or 0, number(part(doubts, "plain")) or 0
        if right > plain:
            shares = {"right": f"{100 * right:.1f} %", "plain": f"{100 * plain:.1f} %"}
            rows = part(doubts, "suspects")
            yield _line("check.doubts", rows, rows=figure(rows), looked=figure(part(doubts, "rows")), **shares)
        else:
            yield cell(say("check.hopeless", plain=f"{100 * plain:.1f} %"))
    cut, all_rows = part(tokens, "cut"), number(part(found, "rows")) or 1
    by = words(part(tokens, "by"))
    share = f"{100 * (number(cut) or 0) / all_rows:.1f} %"
    yield _line(
        "check.cut", cut, limit=figure(part(tokens, "limit")), rows=figure(cut), share=share, by=say("check.units") if by == "units" else by
    )  # fmt: skip
    yield cell(say("check.languages", languages=_languages(part(found, "languages"), all_rows)))


def _line(key: str, total: object, **facts: str) -> RenderableType:
    return cell(say(key, **facts), "yellow" if number(total) else "")


def _lengths(found: object) -> RenderableType:
    rows = [
        [say(title), *(figure(part(part(found, name), size)) for size in LENGTHS)]
        for name, title in (("characters", "column.length"), ("tokens", "check.tokens"))
    ]
    return grid(["", *LENGTHS], rows, right=range(1, 6))


def _pairs(found: object) -> Iterable[RenderableType]:
    listed = items(part(part(found, "twins"), "pairs"))[:MAX_PAIRS]
    rows = []
    for pair in listed:
        one, other = part(pair, "first"), part(pair, "second")
        rows.append((f"{number(part(pair, 'likeness')) or 0:.2f}", _place(one), words(part(one, "text"))))
        rows.append(("", _place(other), words(part(other, "text"))))
    if rows:
        columns = [say("check.likeness"), say("check.place"), say("check.text")]
        yield grid(columns, rows, title=say("check.pairs"))


def _doubts(found: object) -> Iterable[RenderableType]:
    listed = items(part(part(found, "doubts"), "first"))[:MAX_DOUBTS]
    none = say("check.none")
    given = [" ".join([words(part(row, "given")) or none, words(part(row, "words"))]).strip() for row in listed]
    rows = [(_place(row), one, words(part(row, "seems")) or none, words(part(row, "text"))) for one, row in zip(given, listed, strict=True)]
    if rows:
        columns = [say("check.place"), say("check.given"), say("check.seems"), say("check.text")]
        yield grid(columns, rows, title=say("check.suspects"))


def _labels(found: object) -> Iterable[RenderableType]:
    rows = []
    for row in items(part(found, "labels"))[:MAX_LABELS]:
        sizes, total = part(row, "characters"), number(part(row, "rows")) or 1
        median = f"{figure(part(sizes, 'p50'))} / {figure(part(sizes, 'p95'))}"
        rows.append(
            (
                words(part(row, "label")),
                figure(part(row, "rows")),
                median,
                figure(part(row, "cut")),
                _languages(part(row, "languages"), total),
            )
        )
    if rows:
        columns = [say("check.given"), say("column.rows"), say("check.characters"), say("check.too_long"), say("check.language")]
        yield grid(columns, rows, title=say("check.labels"), right=(1, 2, 3))


def _place(row: object) -> str:
    return f"{name_of('column', words(part(row, 'split')))}:{words(part(row, 'row'))}"


def _languages(found: object, rows: float) -> str:
    return ", ".join(
        f"{words(part(one, 'language'))} {100 * (number(part(one, 'rows')) or 0) / rows:.1f} %" for one in items(found)[:MAX_LANGUAGES]
    )
