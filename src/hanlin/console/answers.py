"""An endpoint's answer as the playground draws it: bars, marked text or a strip of numbers, by what the answer looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from hanlin.console.views_play import Piece
from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, JsonValue

_Found = TypeVar("_Found")
SHOWN_VALUES = 96  # of a vector: as many strokes as a line holds


class _Score(msgspec.Struct, frozen=True):
    label: str
    score: float
    value: float | None = None


class _Entity(msgspec.Struct, frozen=True):
    score: float
    start: int
    end: int
    entity_group: str


class _Argument(msgspec.Struct, frozen=True):
    score: float
    start: int
    end: int
    role: str


class _Frame(msgspec.Struct, frozen=True):
    score: float
    start: int
    end: int
    arguments: list[_Argument]


class _Slot(msgspec.Struct, frozen=True):
    slot: str
    start: int
    end: int
    score: float


class _Ranked(msgspec.Struct, frozen=True):
    index: int
    score: float


class _Answer(msgspec.Struct, frozen=True):
    answer: str
    score: float
    start: int
    end: int
    no_answer_score: float


class _Meaning(msgspec.Struct, frozen=True):
    intent: str
    score: float
    slots: dict[str, str | int | float | bool]
    implied: dict[str, float]
    spans: list[_Slot]


class _Filled(msgspec.Struct, frozen=True):
    token_str: str
    score: float


_FILLED = msgspec.json.Decoder(list[_Filled | list[_Filled]])
_SCORES = msgspec.json.Decoder(list[_Score])
_VECTOR = msgspec.json.Decoder(list[float])
_ENTITIES = msgspec.json.Decoder(list[_Entity])
_FRAMES = msgspec.json.Decoder(list[_Frame])
_RANKED = msgspec.json.Decoder(list[_Ranked])
_ANSWERS = msgspec.json.Decoder(list[_Answer])
_MEANINGS = msgspec.json.Decoder(list[_Meaning])
_WRITTEN = msgspec.json.Decoder(list[dict[str, str | float | None]])
# The key of a written answer.
WRITTEN = {"translation": "translation_text", "summarization": "summary_text", "text-generation": "generated_text", "text-to-sql": "sql"}
ASKS = frozenset({"reranking", "question-answering"})  # tasks that are asked about a text with a line beside it


def question(task: str, text: str, query: str, pair: str = "") -> tuple[JsonValue, JsonObject]:
    """Inputs and parameters that ask `task` about a text, and about `pair` beside it where there is one; a ranking takes each line."""
    if task == "question-answering":
        return {"question": query, "context": text}, {}
    if task == "reranking":
        return {"query": query, "texts": [line for line in text.splitlines() if line.strip()]}, {}
    if pair:
        return {"text": text, "text_pair": pair}, {}
    return text, {"aggregation_strategy": "simple"} if task == "token-classification" else {}


def shown(task: str, body: bytes, text: str, inputs: JsonValue) -> dict[str, Any]:
    """The fields of a `Prediction` that an answer fills. Raises InvalidInput (`console_task_not_shown`)."""
    if task in WRITTEN:
        return read_written(body, WRITTEN[task])
    if task == "semantic-parsing":
        return read_meaning(body, text)
    if task == "question-answering":
        pieces, scores = read_answer(body, text)
        return {"pieces": pieces, "scores": scores}
    if task == "reranking":
        return {"scores": read_ranking(body, inputs)}
    simple: dict[str, tuple[str, Callable[[], object]]] = {
        "embedding": ("vector", lambda: read_vector(body)), "token-classification": ("pieces", lambda: read_pieces(body, text)),
        "semantic-role-labelling": ("frames", lambda: read_frames(body, text)), "fill-mask": ("scores", lambda: read_filled(body)),
    }  # fmt: skip
    if task not in simple:
        return read_labels(body)
    field, read = simple[task]
    return {field: read()}


def read_written(body: bytes, key: str) -> dict[str, Any]:
    """The text that was written, and how sure the model is where it says so."""
    found = _decoded(_WRITTEN, b"[%s]" % body)[0]
    text, score = found.get(key), found.get("score")
    if not isinstance(text, str):
        raise InvalidInput("console_task_not_shown")
    return {"written": text, "scores": ((key, float(score)),) if isinstance(score, int | float) else ()}


def read_meaning(body: bytes, text: str) -> dict[str, Any]:
    """The intent as a score, the text with its spoken slots, and every slot with its value."""
    found = _decoded(_MEANINGS, b"[%s]" % body)[0]
    pieces = _pieces([(one.start, one.end, one.slot, one.score) for one in found.spans], text)
    facts = tuple((slot, str(value)) for slot, value in found.slots.items())
    return {"pieces": pieces, "scores": ((found.intent, found.score),), "facts": facts}


def read_labels(body: bytes) -> dict[str, Any]:
    """Labels with scores, and the place of the text on their scale, where they have one."""
    found = _decoded(_SCORES, body)
    place = found[0].value if found else None
    return {"scores": tuple((item.label, item.score) for item in found)} | ({} if place is None else {"place": place})


def read_filled(body: bytes) -> tuple[tuple[str, float], ...]:
    """The words for a mask with their chances; of several masks one behind the other, each word with the number of its mask."""
    found = _decoded(_FILLED, body)
    one = tuple((item.token_str.strip(), item.score) for item in found if isinstance(item, _Filled))
    masks = [mask for mask in found if isinstance(mask, list)]
    return one or tuple((f"{number}: {item.token_str.strip()}", item.score) for number, mask in enumerate(masks, 1) for item in mask)


def read_vector(body: bytes) -> tuple[float, ...]:
    """The numbers of one vector."""
    return tuple(_decoded(_VECTOR, body))


def read_ranking(body: bytes, inputs: JsonValue) -> tuple[tuple[str, float], ...]:
    """The texts with their scores, best first."""
    texts = inputs.get("texts") if isinstance(inputs, dict) else []
    assert isinstance(texts, list)
    return tuple((str(texts[item.index]), item.score) for item in _decoded(_RANKED, body) if 0 <= item.index < len(texts))


def read_answer(body: bytes, text: str) -> tuple[tuple[Piece, ...], tuple[tuple[str, float], ...]]:
    """The whole context in pieces, one of them the answer, and the scores of it and of there being none, whose name is empty."""
    item = _decoded(_ANSWERS, b"[%s]" % body)[0]
    if not item.answer:
        return (Piece(text),), (("", item.no_answer_score),)
    return _pieces([(item.start, item.end, "✓", item.score)], text), ((item.answer, item.score), ("", item.no_answer_score))


def read_pieces(body: bytes, text: str) -> tuple[Piece, ...]:
    """The whole text in pieces, those of entities with their label."""
    return _pieces([(item.start, item.end, item.entity_group, item.score) for item in _decoded(_ENTITIES, body)], text)


def read_frames(body: bytes, text: str) -> tuple[tuple[Piece, ...], ...]:
    """The whole text in pieces, once for each predicate: itself as `V`, its arguments with their roles."""
    return tuple(
        _pieces([(frame.start, frame.end, "V", frame.score), *((one.start, one.end, one.role, one.score) for one in frame.arguments)], text)
        for frame in _decoded(_FRAMES, body)
    )


def _pieces(marks: Sequence[tuple[int, int, str, float]], text: str) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    done = 0
    for start, end, label, score in sorted(marks):
        if not done <= start < end <= len(text):
            continue
        pieces += [Piece(text[done:start])] if start > done else []
        pieces.append(Piece(text[start:end], label, score))
        done = end
    return (*pieces, Piece(text[done:])) if done < len(text) else tuple(pieces)


def strokes(vector: Sequence[float]) -> list[tuple[float, float]]:
    """(top, height) in percents of the first values, drawn up and down from the middle."""
    shown = vector[:SHOWN_VALUES]
    most = max((abs(value) for value in shown), default=0.0) or 1.0
    return [(50 - 50 * max(value, 0) / most, 50 * abs(value) / most) for value in shown]


def _decoded(decoder: msgspec.json.Decoder[list[_Found]], body: bytes) -> list[_Found]:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise InvalidInput("console_task_not_shown") from error
