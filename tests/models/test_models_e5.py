"""The 4-bit file of e5-small: a tiny one is written in the documented layout, and read back weight for weight."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file

from hanlin.errors import InvalidInput
from hanlin.models.e5 import BLOCK, convert_e5

HIDDEN, LAYERS, HEADS, WIDE, VOCABULARY, POSITIONS, TYPES = 32, 2, 4, 64, 7, 6, 2
EPSILON, PAD = 1e-12, 1
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁好", "好的", "a"]
Floats = npt.NDArray[np.float32]


class E5File:
    """Writes the layout that the module's docstring describes, and keeps what a reader must find."""

    def __init__(self) -> None:
        self.chance = np.random.default_rng(7)
        self.expected: dict[str, Floats] = {}
        self.stored: list[tuple[str, int, int, bytes]] = []  # name, kind, elements, bytes

    def plain(self, name: str, key: str, *shape: int, rows: int | None = None) -> None:
        values = self.chance.normal(size=shape).astype(np.float32)
        stored = values if rows is None else values[:rows]
        if rows is not None:
            values[rows:] = 0  # rows that are not stored
        self.expected[key] = values
        self.stored.append((name, 0, stored.size, stored.tobytes()))

    def matrix(self, name: str, key: str, rows: int, columns: int) -> None:
        blocks = np.zeros(rows * columns // 32, BLOCK)
        blocks["scale"] = self.chance.uniform(0.01, 0.1, len(blocks))
        halves = self.chance.integers(0, 16, (len(blocks), 32))
        blocks["nibbles"] = halves[:, :16] | halves[:, 16:] << 4
        values = (halves - 8).astype(np.float32) * blocks["scale"].astype(np.float32)[:, None]
        self.expected[key] = values.reshape(rows, columns)
        self.stored.append((name, 1, rows * columns, blocks.tobytes()))

    def bytes(self, *, magic: bytes = b"E5S1", positions: int = POSITIONS) -> bytes:
        text = "".join(PIECES).encode()
        ends = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)])
        names = b"a table of names"
        head = magic + struct.pack("<i", 1) + struct.pack("<7i", HIDDEN, LAYERS, HEADS, WIDE, VOCABULARY, positions, TYPES)
        head += struct.pack("<f", EPSILON) + b"\0" * 4 + struct.pack("<5i", len(PIECES), 0, 2, PAD, 3) + struct.pack("<Q", len(text))
        head += ends.astype("<u4").tobytes() + np.zeros(len(PIECES), "<f4").tobytes() + text
        head += struct.pack("<I", 5) + struct.pack("<I", len(names)) + names + struct.pack("<i", len(self.stored))
        index_bytes = sum(2 + len(name) + 21 for name, _, _, _ in self.stored)
        offset, index, body = len(head) + index_bytes, b"", b""
        for name, kind, elements, content in self.stored:
            index += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, elements, offset + len(body), len(content))
            body += content
        return head + index + body


@pytest.fixture
def file() -> E5File:
    file = E5File()
    file.matrix("emb.word", "embeddings.word_embeddings.weight", VOCABULARY + 1, HIDDEN)
    file.plain("emb.pos", "embeddings.position_embeddings.weight", POSITIONS, HIDDEN)
    file.plain("emb.type", "embeddings.token_type_embeddings.weight", TYPES, HIDDEN, rows=1)
    file.plain("emb.ln.w", "embeddings.LayerNorm.weight", HIDDEN)
    file.plain("emb.ln.b", "embeddings.LayerNorm.bias", HIDDEN)
    shapes = {"fi": (WIDE, HIDDEN), "fo": (HIDDEN, WIDE)}
    names = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "ao": "attention.output.dense"}
    for layer in range(LAYERS):
        for short, long in (names | {"fi": "intermediate.dense", "fo": "output.dense"}).items():
            rows, columns = shapes.get(short, (HIDDEN, HIDDEN))
            file.matrix(f"l{layer}.{short}.w", f"encoder.layer.{layer}.{long}.weight", rows, columns)
            file.plain(f"l{layer}.{short}.b", f"encoder.layer.{layer}.{long}.bias", rows)
        for short, long in {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}.items():
            file.plain(f"l{layer}.{short}.w", f"encoder.layer.{layer}.{long}.weight", HIDDEN)
            file.plain(f"l{layer}.{short}.b", f"encoder.layer.{layer}.{long}.bias", HIDDEN)
    return file


def convert(folder: Path, content: bytes) -> Path:
    (folder / "e5-small-q4.bin").write_bytes(content)
    (folder / "tokenizer.json").write_text('{"of": "e5"}', encoding="utf-8")
    convert_e5(folder / "e5-small-q4.bin", folder / "tokenizer.json", folder / "out")
    return folder / "out"


def test_every_weight_is_read_and_the_library_takes_the_folder(tmp_path: Path, file: E5File) -> None:
    from transformers import AutoModel

    file.expected["embeddings.word_embeddings.weight"] = file.expected["embeddings.word_embeddings.weight"][:VOCABULARY]
    name, kind, _, content = file.stored[0]
    file.stored[0] = (name, kind, VOCABULARY * HIDDEN, content)
    out = convert(tmp_path, file.bytes())
    found = load_file(out / "model.safetensors")
    assert found.keys() == file.expected.keys()
    for key, values in file.expected.items():
        torch.testing.assert_close(found[key], torch.from_numpy(values), rtol=0, atol=0)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert (config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"]) == (HIDDEN, LAYERS, HEADS)
    assert (config["vocab_size"], config["pad_token_id"], config["layer_norm_eps"]) == (VOCABULARY, PAD, pytest.approx(EPSILON))
    assert (out / "tokenizer.json").read_text(encoding="utf-8") == '{"of": "e5"}'
    model, info = AutoModel.from_pretrained(out, add_pooling_layer=False, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    with torch.inference_mode():
        assert model(input_ids=torch.tensor([[0, 4, 5, 2]])).last_hidden_state.isfinite().all()


@pytest.mark.parametrize("what", ["magic", "truncated", "empty", "positions", "elements", "a tensor too few"])
def test_another_file_is_refused_and_leaves_nothing(tmp_path: Path, file: E5File, what: str) -> None:
    content = file.bytes()  # its first matrix has a row too many for the vocabulary
    if what == "a tensor too few":
        del file.stored[-1]
        content = file.bytes()
    spoilt = {"magic": file.bytes(magic=b"E5S2"), "truncated": content[:-9], "empty": b"", "positions": file.bytes(positions=POSITIONS + 1)}
    with pytest.raises(InvalidInput) as caught:
        convert(tmp_path, spoilt.get(what, content))
    assert caught.value.code == "invalid_model_file"
    assert not (tmp_path / "out").exists()
