"""Weights files as strangers bring them: broken ones are refused, whole ones are read."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hanlin.errors import InvalidInput
from hanlin.models import weights_file


def safetensors(header: object, body: bytes = b"", *, length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + body


def entry(start: int, end: int, *, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": [(end - start) // 4] if shape is None else shape, "data_offsets": [start, end]}


BROKEN = {
    "empty": b"",
    "short": b"\1\2",
    "header 2^63": safetensors({}, length=2**63),
    "header of 9 MB": safetensors(b" " * (9 * 2**20)),
    "truncated": safetensors({"a": entry(0, 8)}, b"\0" * 7),
    "trailing": safetensors({"a": entry(0, 8)}, b"\0" * 9),
    "overlap": safetensors({"a": entry(0, 8), "b": entry(4, 12)}, b"\0" * 12),
    "gap": safetensors({"a": entry(0, 4), "b": entry(8, 12)}, b"\0" * 12),
    "overflow": safetensors({"a": entry(0, 8, shape=[2**62, 2**62])}, b"\0" * 8),
    "negative": safetensors({"a": entry(0, 8, shape=[-1, -2])}, b"\0" * 8),
    "shape": safetensors({"a": entry(0, 8, shape=[3])}, b"\0" * 8),
    "no JSON": safetensors(b"{nope"),
    "list": safetensors([1]),
    "twice": safetensors(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"\0" * 4
    ),
    "type": safetensors({"a": entry(0, 8, dtype="PY")}, b"\0" * 8),
    "bool shape": safetensors({"a": entry(0, 4, shape=[True])}, b"\0" * 4),  # type: ignore[list-item]
    "nothing": safetensors({}),
    "zip at the end": safetensors({"a": entry(0, 4)}, b"\0" * 4 + b"PK\3\4"),
    "20,001 tensors": safetensors({f"t{number}": entry(4 * number, 4 * number + 4) for number in range(20_001)}, b"\0" * 80_004),
}


@pytest.mark.parametrize("name", BROKEN)
def test_c091_c093_a_broken_weights_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(BROKEN[name])
    with pytest.raises(InvalidInput) as caught:
        weights_file.read_header(path)
    assert caught.value.code == "invalid_model_file"


def test_a_whole_weights_file_is_read(tmp_path: Path) -> None:
    save_file(
        {"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.bfloat16), "c": torch.tensor(1)},
        tmp_path / "x.safetensors",
        metadata={"k": "v"},
    )
    found = weights_file.read_header(tmp_path / "x.safetensors")
    assert {name: (tensor.dtype, tensor.shape) for name, tensor in found.items()} == {
        "a": ("F32", (2, 3)),
        "b": ("BF16", (4,)),
        "c": ("I64", ()),
    }
