"""Answers of endpoints on the screen, by what they look like: labels, vectors, entities, meanings, texts, a ranking and more."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hanlin.cli.screen import SCREEN, cell, grid
from hanlin.cli.shape import items, number, pairs, part, percent, words
from hanlin.cli.words import say
from hanlin.types import JsonValue

SHOWN_CHARACTERS = 60
SHOWN_VALUES = 6
SHOWN_OTHERS = 4
WRITTEN = ("generated_text", "translation_text", "summary_text")  # under what name tasks that write answer


def show(texts: Sequence[str], answers: Sequence[JsonValue], *, is_ranking: bool = False) -> None:
    """A table, one row a text or more."""
    if is_ranking:
        _ranking(texts, answers)
        return
    answers = [[answer] if isinstance(answer, dict) else answer for answer in answers]
    if any(masks := [_masks(answer) for answer in answers]):
        _filled(texts, masks)
        return
    firsts = [items(answer)[0] for answer in answers if items(answer)]
    if firsts and number(firsts[0]) is not None:
        _vectors(texts, answers)
    elif any(part(first, "answer") is not None for first in firsts):
        _answers(texts, answers)
    elif any(part(first, name) is not None for first in firsts for name in WRITTEN):
        _written(texts, answers)
    elif any(part(first, "slots") is not None for first in firsts):
        _meanings(texts, answers)
    elif any(part(first, "predicate") is not None for first in firsts):
        _frames(texts, answers)
    elif any(part(first, "sql") is not None for first in firsts):
        _queries(texts, answers)
    elif any(part(first, "word") is not None for first in firsts) or not firsts:
        _entities(texts, answers)
    else:
        _labels(texts, answers)


def _masks(answer: JsonValue) -> list[list[object]]:
    """What may stand at each mask of a text; nothing where the answer is of another kind."""
    found = items(answer)
    masks: list[list[object]] = [list(found)] if found and isinstance(found[0], dict) else [list(items(mask)) for mask in found]
    return masks if masks and masks[0] and part(masks[0][0], "sequence") is not None else []


def _filled(texts: Sequence[str], answers: Sequence[Sequence[Sequence[object]]]) -> None:
    rows = []
    for text, masks in zip(texts, answers, strict=False):
        shown = _short(text)
        for mask in masks:
            best, *others = mask
            rest = "  ".join(f"{words(part(row, 'token_str')).strip()} {percent(part(row, 'score'))}" for row in others[:SHOWN_OTHERS])
            score = part(best, "score")
            rows.append((shown, cell(words(part(best, "token_str")).strip(), "bold"), percent(score), _bar(number(score)), rest))
            shown = ""
    SCREEN.show(grid([say("column.text"), say("column.word"), say("column.score"), "", say("column.others")], rows, right=(2,)))


def _labels(texts: Sequence[str], answers: Sequence[JsonValue]) -> None:
    rows = []
    for text, answer in zip(texts, answers, strict=False):
        best, *others = items(answer) or [None]
        rest = "  ".join(f"{words(part(row, 'label'))} {percent(part(row, 'score'))}" for row in others[:SHOWN_OTHERS])
        score = part(best, "score")
        rows.append((_short(text), cell(words(part(best, "label")), "bold"), percent(score), _bar(number(score)), rest))
    SCREEN.show(grid([say("column.text"), say("column.label"), say("column.score"), "", say("column.others")], rows, right=(2,)))


def _vectors(texts: Sequence[str], answers: Sequence[JsonValue]) -> None:
    rows = []
    for text, answer in zip(texts, answers, strict=False):
        values = [found for item in items(answer) if (found := number(item)) is not None]
        shown = "  ".join(f"{value:+.4f}" for value in values[:SHOWN_VALUES]) + (" …" if len(values) > SHOWN_VALUES else "")
        rows.append((_short(text), shown, str(len(values)), f"{math.hypot(*values):.3f}"))
    names = [say("column.text"), say("column.vector"), say("column.dimensions"), say("column.norm")]
    SCREEN.show(grid(names, rows, right=(2, 3)))


def _entities(texts: Sequence[str], answers: Sequence[JsonValue]) -> None:
    rows = []
    for text, answer in zip(texts, answers, strict=False):
        shown = _short(text)
        for item in items(answer) or [None]:
            label = words(part(item, "entity_group") or part(item, "entity"))
            word = say("predict.nothing_found") if item is None else words(part(item, "word"))
            place = f"{words(part(item, 'start'))}–{words(part(item, 'end'))}" if item is not None else ""
            rows.append((shown, word, cell(label, "bold"), percent(part(item, "score")), place))
            shown = ""
    names = [say("column.text"), say("column.word"), say("column.label"), say("column.score"), say("column.place")]
    SCREEN.show(grid(names, rows, right=(3, 4)))


def _answers(texts: Sequence[str], answers: Sequence[JsonValue]) -> None:
    rows = []
    for text, answer in zip(texts, answers, strict=False):
        shown = _short(text)
        for item in items(answer):
            is_none = not words(part(item, "answer"))
            place = "" if is_none else f"{words(part(item, 'start'))}–{words(part(item, 'end'))}"
            document = part(item, "document")
            place += "" if document is None else f" ({document})"
            told = say("predict.no_answer") if is_none else cell(words(part(item, "answer")), "bold")
            rows.append((shown, told, percent(part(item, "score")), place))
            shown = ""
    SCREEN.show(grid([say("column.text"), say("column.answer"), say("column.score"), say("column.place")], rows, right=(2, 3)))


def _written(texts: Sequence[str], answers: Sequence[JsonValue]) -> None:
    rows = []
    for text, answer in zip(texts, answers, strict=False):
        found = (items(answer) or [None])[0]
        told = next((words(said) for name in WRITTEN if (said := part(found, name)) is not None), "")
        rows.append((_short(text), told + (" …" if part(found, "finish_reason") == "length" else "")))
    SCREEN.show(grid([say("column.text"), say("column.written")], rows))


def _meanings(texts: Sequence[str], answers: Sequence[JsonValue]) -> None:
    rows = []
    for text, answer in zip(texts, answers, strict=False):
        found = (items(answer) or [None])[0]
        slots = "  ".join(f"{slot}={words(value)}" for slot, value in pairs(part(found, "slots")))
        rows.append((_short(text), cell(words(part(found, "intent")), "bold"), percent(part(found, "score")), slots))
    SCREEN.show(grid([say(f"column.{name}") for name in ("text", "intent", "score", "slots")], rows, right=(2,)))


def _predicate(frame: object) -> str:
    word, sense = words(part(frame, "predicate")), words(part(frame, "sense"))
    return f"{word} ({sense})" if sense else word


def _frames(texts: Sequence[str], answers: Sequence[JsonValue]) -> None:
    rows = []
    for text, answer in zip(texts, answers, strict=False):
        shown = _short(text)
        for frame in items(answer) or [None]:
            verb = say("predict.nothing_found") if frame is None else cell(_predicate(frame), "bold")
            roles = "  ".join(f"{words(part(item, 'role'))} {words(part(item, 'word'))}" for item in items(part(frame, "arguments")))
            rows.append((shown, verb, percent(part(frame, "score")), roles))
            shown = ""
    SCREEN.show(grid([say(f"column.{name}") for name in ("text", "predicate", "score", "roles")], rows, right=(2,)))


def _queries(texts: Sequence[str], answers: Sequence[JsonValue]) -> None:
    rows = []
    for text, answer in zip(texts, answers, strict=False):
        found = (items(answer) or [None])[0]
        rows.append((_short(text), cell(words(part(found, "sql")), "bold"), percent(part(found, "score"))))
    SCREEN.show(grid([say(f"column.{name}") for name in ("text", "sql", "score")], rows, right=(2,)))


def _ranking(texts: Sequence[str], answers: Sequence[JsonValue]) -> None:
    rows = []
    for item in answers:
        index, score = number(part(item, "index")), number(part(item, "score"))
        text = texts[int(index)] if index is not None and 0 <= index < len(texts) else ""
        rows.append((_short(text), f"{score or 0.0:.4f}", _bar(score)))
    SCREEN.show(grid([say("column.text"), say("column.score"), ""], rows, right=(1,)))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line[:SHOWN_CHARACTERS] + ("…" if len(line) > SHOWN_CHARACTERS else "")


def _bar(share: float | None) -> str:
    return "█" * round(10 * max(0.0, min(1.0, share or 0.0)))
