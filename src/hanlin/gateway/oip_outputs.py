"""Answers of the task API as tensors of the Open Inference Protocol, and what the metadata of an endpoint says of both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from hanlin.errors import InvalidInput
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.oip_tensors import CONTEXT, QUERY, QUESTION, TEXT, Made
from hanlin.types import JsonObject, JsonValue, shorten


class _Label(msgspec.Struct, gc=False):
    label: str
    score: float
    passes: bool | None = None
    value: float | None = None


class _Entity(msgspec.Struct, gc=False):
    score: float
    entity: str = ""
    entity_group: str = ""
    index: int = -1
    word: str | None = None
    start: int | None = None
    end: int | None = None


class _Ranked(msgspec.Struct, gc=False):
    index: int
    score: float
    text: str | None = None


_labels = msgspec.json.Decoder(list[list[_Label]])
_entities = msgspec.json.Decoder(list[list[_Entity]])
_tokens = msgspec.json.Decoder(list[list[msgspec.Raw]])
_ranks = msgspec.json.Decoder(list[_Ranked])


def outputs_of(outcome: Outcome, asked: Sequence[str] = ()) -> list[Made]:
    """The answer as tensors.

    Args:
        asked: names of those that are wanted, in this order; empty: all.

    Raises:
        InvalidInput: `unknown_tensor`.
    """
    made = _OUTPUTS.get(outcome.task, _whole)(outcome)
    if not asked:
        return made
    known = {tensor.name: tensor for tensor in made}
    for name in asked:
        if name not in known:
            raise InvalidInput("unknown_tensor", name=shorten(name), choices=", ".join(known))
    return [known[name] for name in asked]


def check_known(task: str, asked: Sequence[str]) -> None:
    """Before the model runs. Raises InvalidInput (`unknown_tensor`) for a name that no answer of the task has."""
    known = [name for name, _, _ in OUTPUTS.get(task, _JSON)] + _SOMETIMES.get(task, [])
    for name in asked:
        if name not in known:
            raise InvalidInput("unknown_tensor", name=shorten(name), choices=", ".join(known))


def _of_labels(outcome: Outcome) -> list[Made]:
    rows = _labels.decode(outcome.body)
    shape = [len(rows), len(rows[0])]
    made = [
        Made("label", "BYTES", shape, [item.label for row in rows for item in row]),
        Made("score", "FP32", shape, [item.score for row in rows for item in row]),
    ]
    if rows[0][0].passes is not None:
        made.append(Made("passes", "INT64", shape, [int(bool(item.passes)) for row in rows for item in row]))
    if rows[0][0].value is not None:
        made.append(Made("value", "FP32", [len(rows)], [row[0].value or 0.0 for row in rows]))
    return made


def _of_vectors(outcome: Outcome) -> list[Made]:
    """Numbers hold no brackets: what is left of `[[…],[…]]` without them is the flat list (54 us of 32 vectors; `replace` takes 158).

    Vectors of tokens are one row a token, for texts have several lengths; `item` says whose it is.
    """
    body = outcome.body
    if body.startswith(b'[[{"label"'):  # of labels that the call named
        return _of_labels(outcome)
    flat, width = msgspec.Raw(b"[%s]" % body.translate(None, b"[]")), body.count(b",", 0, body.index(b"]")) + 1
    if not body.startswith(b"[[["):
        return [Made("embedding", "FP32", [outcome.items, width], flat)]
    texts = [number for number, tokens in enumerate(_tokens.decode(body)) for _ in tokens]
    return [Made("item", "INT64", [len(texts)], texts), Made("embedding", "FP32", [len(texts), width], flat)]


def _of_entities(outcome: Outcome) -> list[Made]:
    """One row an entity of any text; places are -1 where token ids were sent, the token's place where several were joined."""
    found = [(number, item) for number, row in enumerate(_entities.decode(outcome.body)) for item in row]
    shape = [len(found)]
    return [
        Made("item", "INT64", shape, [number for number, _ in found]),
        Made("entity", "BYTES", shape, [item.entity or item.entity_group for _, item in found]),
        Made("score", "FP32", shape, [item.score for _, item in found]),
        Made("word", "BYTES", shape, [item.word or "" for _, item in found]),
        Made("start", "INT64", shape, [-1 if item.start is None else item.start for _, item in found]),
        Made("end", "INT64", shape, [-1 if item.end is None else item.end for _, item in found]),
        Made("token", "INT64", shape, [item.index for _, item in found]),
    ]


def _of_ranks(outcome: Outcome) -> list[Made]:
    ranks = _ranks.decode(outcome.body)
    shape = [len(ranks)]
    made = [Made("index", "INT64", shape, [item.index for item in ranks]), Made("score", "FP32", shape, [item.score for item in ranks])]
    if ranks and ranks[0].text is not None:
        made.append(Made("text", "BYTES", shape, [item.text or "" for item in ranks]))
    return made


def _whole(outcome: Outcome) -> list[Made]:
    """The JSON text of a task that has no tensors of its own."""
    return [Made("json", "BYTES", [1], [outcome.body.decode()])]


_OUTPUTS: dict[str, Callable[[Outcome], list[Made]]] = {
    "text-classification": _of_labels, "sentiment": _of_labels,
    "embedding": _of_vectors, "token-classification": _of_entities, "reranking": _of_ranks,
}  # fmt: skip
# What the metadata of an endpoint of each task says: name, datatype, shape (-1: any length).
INPUTS: dict[str, list[tuple[str, str, list[int]]]] = {
    "reranking": [(QUERY, "BYTES", [1]), (TEXT, "BYTES", [-1])],
    "question-answering": [(QUESTION, "BYTES", [-1]), (CONTEXT, "BYTES", [-1])],
}
OUTPUTS: dict[str, list[tuple[str, str, list[int]]]] = {
    "text-classification": [("label", "BYTES", [-1, -1]), ("score", "FP32", [-1, -1])],
    "sentiment": [("label", "BYTES", [-1, -1]), ("score", "FP32", [-1, -1]), ("value", "FP32", [-1])],
    "embedding": [("embedding", "FP32", [-1, -1])],
    "token-classification": [
        ("item", "INT64", [-1]), ("entity", "BYTES", [-1]), ("score", "FP32", [-1]), ("word", "BYTES", [-1]), ("start", "INT64", [-1]),
        ("end", "INT64", [-1]), ("token", "INT64", [-1]),
    ],
    "reranking": [("index", "INT64", [-1]), ("score", "FP32", [-1])],
}  # fmt: skip
_JSON: list[tuple[str, str, list[int]]] = [("json", "BYTES", [1])]
_SOMETIMES = {"reranking": ["text"], "embedding": ["item", "label", "score"]}  # where parameters ask for it


def tensors_of(task: str) -> tuple[list[JsonObject], list[JsonObject]]:
    """Inputs and outputs of an endpoint of `task`, as metadata has them."""
    sides = INPUTS.get(task, [(TEXT, "BYTES", [-1])]), OUTPUTS.get(task, _JSON)
    inputs, outputs = ([_told(*tensor) for tensor in side] for side in sides)
    return inputs, outputs


def _told(name: str, datatype: str, shape: list[int]) -> JsonObject:
    return {"name": name, "datatype": datatype, "shape": list[JsonValue](shape)}
