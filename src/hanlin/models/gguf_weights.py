"""The weights of a GGUF file as a safetensors file, one piece after the other: at no time is more in memory than a piece, or one matrix.

Halves stay halves (F16, BF16), all else becomes fp32: what is quantised is rounded once, by whoever made the file, and not again by us.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from hanlin.models.gguf_families import Change, Weight, wrong
from hanlin.models.gguf_file import Array, GgufFile
from hanlin.types import JsonObject

_BYTES = {"F32": 4, "F16": 2, "BF16": 2}


def stream(file: GgufFile, weights: Sequence[Weight], config: JsonObject) -> Iterator[bytes]:
    """The bytes of the safetensors file. Raises InvalidInput (`gguf_refused`)."""
    header: JsonObject = {"__metadata__": {"format": "pt"}}
    end = 0
    for weight in weights:
        place = file.tensors[weight.source]
        shape = place.shape[::-1] if weight.change == "turned" else place.shape
        dtype = "F32" if weight.change == "less_one" else place.stored
        begin, end = end, end + place.num_rows * place.shape[-1] * _BYTES[dtype]
        header[weight.name] = {"dtype": dtype, "shape": [*shape], "data_offsets": [begin, end]}
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    yield len(raw).to_bytes(8, "little") + raw
    for weight in weights:
        if weight.change in ("", "less_one"):
            for piece in file.pieces(weight.source):
                yield (_less_one(piece, file.tensors[weight.source].stored) if weight.change else piece).tobytes()
        else:
            yield _changed(file, weight, config).tobytes()


def _changed(file: GgufFile, weight: Weight, config: JsonObject) -> Array:
    """A whole matrix in transformers' order."""
    found = file.whole(weight.source)
    if found.ndim != 2:
        raise wrong(file, f"{weight.source} of sizes {found.shape}")
    if weight.change == "turned":  # transformers' Conv1D has its matrices the other way round
        return np.ascontiguousarray(found.T)
    return _unwound(file, found, weight.change, config)


def _unwound(file: GgufFile, weight: Array, change: Change, config: JsonObject) -> Array:
    """Rows of queries and keys: llama.cpp turns neighbours, transformers halves of a head.

    heads x (half, 2) rows → heads x (2, half) rows
    """
    heads = config["num_attention_heads" if change == "queries" else "num_key_value_heads"]
    rows, columns = weight.shape
    if type(heads) is not int or heads < 1 or rows % (2 * heads):
        raise wrong(file, f"{rows} rows for {heads} heads")
    return np.ascontiguousarray(weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns))


def _less_one(piece: Array, stored: str) -> Array:
    """Gemma counts scales of its norms from one, the file does not."""
    numbers = (piece.astype(np.uint32) << 16).view(np.float32) if stored == "BF16" else piece.astype(np.float32)
    return np.asarray(numbers - np.float32(1), dtype="<f4")
