"""Tensors of the Open Inference Protocol, their binary form, and how they become inputs of the task API. Knows no JSON framing, no gRPC.

Source: kserve/open-inference-protocol, `specification/protocol/inference_rest.md`; the binary form of BYTES is four bytes of length,
little-endian, before each element (triton-inference-server/server, `docs/protocol/extension_binary_data.md`).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import orjson

from hanlin.errors import InvalidInput
from hanlin.gateway.oip_bounds import MAX_NUMBERS, MAX_RANK, check_length
from hanlin.types import TOKEN_IDS, JsonValue, json_type, shorten

TEXT, QUERY, IDS, MASK = "text", "query", "input_ids", "attention_mask"
PAIR, QUESTION, CONTEXT = "text_pair", "question", "context"
_TAKEN = (TEXT, QUERY, IDS, MASK, PAIR, QUESTION, CONTEXT)
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


def inputs_of(tensors: Sequence[Given]) -> JsonValue:
    """Inputs of the task API: texts, a query and texts, questions with their contexts, pairs of texts, or token ids, each in a list
    of its own kind. What else is wrong, the task judges.

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
    if QUESTION in found or CONTEXT in found:
        return _beside(found, CONTEXT, QUESTION, is_one_enough=True)
    if PAIR in found:
        return _beside(found, TEXT, PAIR)
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


def _beside(found: dict[str, Given], name: str, other: str, *, is_one_enough: bool = False) -> JsonValue:
    """Objects with an element of both tensors each; `is_one_enough`: a single `other` stands beside every `name`."""
    for known in (name, other):
        if known not in found:
            raise InvalidInput("missing_tensor", name=known)
    for more in found.keys() - {name, other}:
        raise _invalid(found[more], f"absent beside {other}", "both of them")
    firsts, seconds = _column(found[name]), _column(found[other])
    if not isinstance(firsts, list) or not isinstance(seconds, list):
        return seconds if isinstance(firsts, list) else firsts  # no input of any task, which says so
    check_length(name, len(firsts))
    if is_one_enough and len(seconds) == 1:
        seconds = seconds * len(firsts)
    if len(seconds) != len(firsts):
        raise _invalid(found[other], f"as many values as {name}: {len(firsts)}", str(len(seconds)))
    return [{name: first, other: second} for first, second in zip(firsts, seconds, strict=True)]


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
        rows.append({TOKEN_IDS: [value for value, is_kept in zip(values[start:stop], kept[start:stop], strict=True) if is_kept]})
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
