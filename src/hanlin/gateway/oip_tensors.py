"""Tensors of the Open Inference Protocol as inputs of the task API, and its answers as tensors. Knows neither JSON framing nor gRPC.

Source: kserve/open-inference-protocol, `specification/protocol/inference_rest.md`; the binary form of BYTES is four bytes of length,
little-endian, before each element (triton-inference-server/server, `docs/protocol/extension_binary_data.md`).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import msgspec
import orjson

from hanlin.errors import InvalidInput
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.oip_bounds import MAX_NUMBERS, MAX_RANK, check_length
from hanlin.types import JsonObject, JsonValue, json_type, shorten

TEXT, QUERY, IDS, MASK = "text", "query", "input_ids", "attention_mask"
_TAKEN = (TEXT, QUERY, IDS, MASK)
_WHOLE = ("INT64", "INT32")
_FORMATS = {"INT64": "q", "INT32": "i", "FP32": "f"}
_LENGTH = struct.Struct("<I")


class Given(msgspec.Struct, gc=False):
    """An input. `values` are a list in row-major order, of strings for BYTES, unless a caller made a mistake, which the task will name."""

    name: str
    datatype: str
    shape: Sequence[int]
    values: JsonValue


class Made(msgspec.Struct, gc=False):
    """An output. `values` lie in row-major order, as JSON text where the worker's own is at hand."""

    name: str
    datatype: str
    shape: list[int]
    values: list[str] | list[float] | list[int] | msgspec.Raw


class _Label(msgspec.Struct, gc=False):
    label: str
    score: float


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
_ranks = msgspec.json.Decoder(list[_Ranked])


def check_parameters(parameters: JsonObject) -> None:
    """Raises InvalidInput (`invalid_parameter`) for a task's parameters whose answer would be no tensor."""
    if parameters.get("output_value") == "token_embeddings":
        expected = "absent: the tokens of texts of several lengths make no tensor"
        raise InvalidInput("invalid_parameter", name="output_value", expected=expected, found="token_embeddings")


def inputs_of(tensors: Sequence[Given]) -> JsonValue:
    """Inputs of the task API: a list of texts, a query and texts, or a list of token ids. What else is wrong, the task judges.

    Raises:
        InvalidInput: `unknown_tensor`, `missing_tensor`, `invalid_tensor`, `tensor_too_long`.
    """
    found: dict[str, Given] = {}
    for tensor in tensors:
        if len(tensor.shape) > MAX_RANK:
            raise _invalid(tensor, f"a shape of at most {MAX_RANK} numbers", str(len(tensor.shape)))
        if tensor.name not in _TAKEN:
            raise InvalidInput("unknown_tensor", name=shorten(tensor.name), choices=", ".join(_TAKEN))
        if tensor.name in found:
            raise _invalid(tensor, "one of its name", "two")
        found[tensor.name] = tensor
    if IDS in found and found.keys() <= {IDS, MASK}:
        return _rows(found[IDS], found.get(MASK))
    if TEXT not in found:
        raise InvalidInput("missing_tensor", name=TEXT)
    for name in (IDS, MASK):
        if name in found:
            raise _invalid(found[name], f"absent beside {TEXT}", "both of them")
    texts: JsonValue = _column(found[TEXT])
    if QUERY not in found:
        return texts
    queries = _column(found[QUERY])
    if not isinstance(queries, list) or len(queries) != 1:
        raise _invalid(found[QUERY], "the shape [1]", str(list(found[QUERY].shape))[:60])
    return {"query": queries[0], "texts": texts}


def _column(tensor: Given) -> JsonValue:
    """The values of a BYTES tensor of shape `[n]` or `[n, 1]`."""
    shape = tensor.shape
    if tensor.datatype != "BYTES":
        raise _invalid(tensor, "the datatype BYTES", shorten(tensor.datatype))
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise _invalid(tensor, "the shape [n] or [n, 1]", str(list(shape))[:60])
    values = tensor.values
    if isinstance(values, str):
        raise InvalidInput("invalid_inputs", found=json_type(values))
    if not isinstance(values, list):
        return _no_ids(values)
    _check_size(tensor, values)
    return [_no_ids(value) for value in values]


def _no_ids(value: JsonValue) -> JsonValue:
    """An object is no text, not even one that the task would take."""
    return {} if isinstance(value, dict) else value


def _rows(ids: Given, mask: Given | None) -> JsonValue:
    """Token ids of each row, without those where the mask has 0."""
    values, width = _whole_numbers(ids), ids.shape[1]
    check_length(IDS, ids.shape[0])
    kept = [1] * len(values) if mask is None else _whole_numbers(mask)
    if mask is not None and list(mask.shape) != list(ids.shape):
        raise _invalid(mask, f"the shape of {IDS}", str(list(mask.shape))[:60])
    rows: list[JsonValue] = []
    for start in range(0, len(values), width) if width else ():
        stop = start + width
        rows.append({"token_ids": [value for value, is_kept in zip(values[start:stop], kept[start:stop], strict=True) if is_kept]})
    return rows


def _whole_numbers(tensor: Given) -> list[Any]:
    """The values of a tensor of shape `[n, tokens]`; that they are ids, the task judges."""
    if tensor.datatype not in _WHOLE:
        raise _invalid(tensor, "the datatype INT64 or INT32", shorten(tensor.datatype))
    if len(tensor.shape) != 2:
        raise _invalid(tensor, "the shape [n, tokens]", str(list(tensor.shape))[:60])
    if not isinstance(tensor.values, list):
        raise _invalid(tensor, "a list", json_type(tensor.values))
    _check_size(tensor, tensor.values)
    return tensor.values


def _check_size(tensor: Given, values: list[JsonValue]) -> None:
    size = math.prod(tensor.shape)
    if any(length < 0 for length in tensor.shape) or size != len(values):
        raise _invalid(tensor, f"{size} values, as its shape says"[:80], str(len(values)))


def _invalid(tensor: Given, expected: str, found: str) -> InvalidInput:
    return InvalidInput("invalid_tensor", name=tensor.name, expected=expected, found=found)


def unpacked(name: str, datatype: str, raw: bytes) -> list[JsonValue]:
    """The values of a tensor in its binary form. Raises InvalidInput (`invalid_tensor`, `tensor_too_long`, `text_not_utf8`)."""
    if datatype == "BYTES":
        return list(_texts(name, raw))
    code = _FORMATS.get(datatype) if datatype in _WHOLE else None
    if code is None:
        raise InvalidInput("invalid_tensor", name=name, expected="the datatype BYTES, INT64 or INT32", found=shorten(datatype))
    if len(raw) % struct.calcsize(code):
        raise InvalidInput("invalid_tensor", name=name, expected="whole values", found=f"{len(raw)} bytes")
    count = len(raw) // struct.calcsize(code)
    check_length(name, count, limit=MAX_NUMBERS)
    return list(struct.unpack(f"<{count}{code}", raw))


def _texts(name: str, raw: bytes) -> list[str]:
    texts: list[str] = []
    place, end = 0, len(raw)
    while place < end:
        start = place + 4
        place = start + _LENGTH.unpack_from(raw, place)[0] if start <= end else end + 1
        if place > end:
            raise InvalidInput("invalid_tensor", name=name, expected="four bytes of length before each element", found="an end within one")
        texts.append(text_of(raw[start:place], len(texts)))
        check_length(name, len(texts))
    return texts


def text_of(raw: bytes, index: int) -> str:
    """The text of one element. Raises InvalidInput (`text_not_utf8`)."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("text_not_utf8", index=index, position=error.start) from None


def packed(tensor: Made) -> bytes:
    """The values in binary form."""
    values: list[Any] = orjson.loads(bytes(tensor.values)) if isinstance(tensor.values, msgspec.Raw) else list(tensor.values)
    if tensor.datatype == "BYTES":
        raw = [value.encode() for value in values]
        return b"".join(chain.from_iterable((_LENGTH.pack(len(item)), item) for item in raw))
    return struct.pack(f"<{len(values)}{_FORMATS[tensor.datatype]}", *values)


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


def _of_labels(outcome: Outcome) -> list[Made]:
    rows = _labels.decode(outcome.body)
    shape = [len(rows), len(rows[0])]
    return [
        Made("label", "BYTES", shape, [item.label for row in rows for item in row]),
        Made("score", "FP32", shape, [item.score for row in rows for item in row]),
    ]


def _of_vectors(outcome: Outcome) -> list[Made]:
    """Numbers hold no brackets: what is left of `[[…],[…]]` without them is the flat list (54 us of 32 vectors; `replace` takes 158)."""
    body = outcome.body
    flat = body.translate(None, b"[]")
    return [Made("embedding", "FP32", [outcome.items, body.count(b",", 0, body.index(b"]")) + 1], msgspec.Raw(b"[%s]" % flat))]


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
    "text-classification": _of_labels, "embedding": _of_vectors, "token-classification": _of_entities, "reranking": _of_ranks,
}  # fmt: skip
# What the metadata of an endpoint of each task says: name, datatype, shape (-1: any length).
INPUTS: dict[str, list[tuple[str, str, list[int]]]] = {"reranking": [(QUERY, "BYTES", [1]), (TEXT, "BYTES", [-1])]}
OUTPUTS: dict[str, list[tuple[str, str, list[int]]]] = {
    "text-classification": [("label", "BYTES", [-1, -1]), ("score", "FP32", [-1, -1])],
    "embedding": [("embedding", "FP32", [-1, -1])],
    "token-classification": [
        ("item", "INT64", [-1]), ("entity", "BYTES", [-1]), ("score", "FP32", [-1]), ("word", "BYTES", [-1]), ("start", "INT64", [-1]),
        ("end", "INT64", [-1]), ("token", "INT64", [-1]),
    ],
    "reranking": [("index", "INT64", [-1]), ("score", "FP32", [-1])],
}  # fmt: skip


def tensors_of(task: str) -> tuple[list[JsonObject], list[JsonObject]]:
    """Inputs and outputs of an endpoint of `task`, as metadata has them."""
    sides = INPUTS.get(task, [(TEXT, "BYTES", [-1])]), OUTPUTS.get(task, [("json", "BYTES", [1])])
    inputs, outputs = ([_told(*tensor) for tensor in side] for side in sides)
    return inputs, outputs


def _told(name: str, datatype: str, shape: list[int]) -> JsonObject:
    return {"name": name, "datatype": datatype, "shape": list[JsonValue](shape)}
