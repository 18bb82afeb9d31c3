"""Every head through every variant: the same answers alone, padded, in a batch and in pieces, as the trained model gives them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hanlin.engines import load_variant, max_batch_rows, measured_unasked
from hanlin.networks.head import KEY, Head
from hanlin.tasks.padding import pad

TOLERANCE = {"fp32": 1e-4, "bf16": 0.05, "int8": 0.15}
VOCABULARY, SIZE, LABELS = 60, 32, 5
HEADS = {
    "mean": ("embedding", Head("embeddings", "mean", is_normalized=True)),
    "first": ("embedding", Head("embeddings", "cls")),
    "largest": ("embedding", Head("embeddings", "max", is_normalized=True)),
    "tokens": ("token-classification", Head("token_logits")),
    "pairs": ("reranking", Head("logits", has_types=True)),
}
GENERATOR = np.random.default_rng(11)
ROWS = [GENERATOR.integers(3, VOCABULARY, n).tolist() for n in (1, 2, 5, 9, 17, 24)]
MANY = [GENERATOR.integers(3, VOCABULARY, n).tolist() for n in (3, 40, 7, 22, 40, 1, 15, 31) * 4]  # enough for pieces

VARIANTS = [*measured_unasked(), "inductor-fp32"]  # compiled bf16 differs from it in no way that a head could show


def make(folder: Path, name: str) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification, BertModel

    task, head = HEADS[name]
    torch.manual_seed(5)
    folder.mkdir()
    kinds = {"tokens": (BertForTokenClassification, LABELS), "pairs": (BertForSequenceClassification, 1)}
    kind, labels = kinds.get(name, (BertModel, 2))
    spread = 0.15 if name == "pairs" else 0.05  # token types must show in a score; random weights so wide are no measure of int8
    sizes = {"hidden_size": SIZE, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "initializer_range": spread}
    kind(BertConfig(vocab_size=VOCABULARY, max_position_embeddings=64, num_labels=labels, **sizes)).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {KEY: head.to_json()}))
    spec = {"format": 1, "task": task, "labels": [f"L{n}" for n in range(labels)], "max_length": 64, "pad_id": 0, "text": {}}
    (folder / "hanlin.json").write_text(json.dumps(spec | ({"vectors": {"dimensions": SIZE}} if head.pooling else {})))
    return folder


@pytest.fixture(scope="module", params=HEADS)
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hanlin.compression.base import convert

    folder = make(tmp_path_factory.mktemp("heads") / request.param, request.param)
    scratch = tmp_path_factory.mktemp("scratch")
    for variant in VARIANTS:
        convert(folder, variant, calibration=MANY[:24], workdir=scratch)
    return folder


def types_of(row: list[int]) -> list[int]:
    return [int(place > len(row) // 2) for place in range(len(row))]


def answers(session, folder: Path, rows: list[list[int]], *, extra: int = 0) -> list[np.ndarray]:
    """One array a row: its vector or scores, or those of its own tokens."""
    head = Head.load(folder)
    arrays = pad(rows, 0, [types_of(row) for row in rows] if head.has_types else None)
    arrays = {name: np.pad(array, ((0, 0), (0, extra))) for name, array in arrays.items()}
    (found,) = session.run(**arrays).values()
    assert found.dtype == np.float32
    width = {"embeddings": SIZE, "token_logits": LABELS, "logits": 1}[head.output]
    assert found.shape == ((*arrays["input_ids"].shape, width) if head.output == "token_logits" else (len(rows), width))
    return [values[: len(row)] if values.ndim == 2 else values for values, row in zip(found, rows, strict=True)]


def gap(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_answers_like_the_trained_model(artifact: Path, variant: str) -> None:
    reference = load_variant(artifact, "torch-fp32", threads=1)
    expected = [answers(reference, artifact, [row])[0] for row in ROWS]
    session = load_variant(artifact, variant, threads=1)
    scale = max(1.0, *(float(np.abs(one).max()) for one in expected))
    assert gap([answers(session, artifact, [row])[0] for row in ROWS], expected) < TOLERANCE[variant.rpartition("-")[2]] * scale


@pytest.mark.parametrize("variant", [name for name in VARIANTS if max_batch_rows(name) is None])
def test_a_row_is_the_same_alone_padded_and_in_pieces(artifact: Path, variant: str) -> None:
    session = load_variant(artifact, variant, threads=2)
    alone = [answers(session, artifact, [row])[0] for row in MANY]
    scale = max(1.0, *(float(np.abs(one).max()) for one in alone))
    limit = 1e-4 if variant.endswith("fp32") else TOLERANCE[variant.rpartition("-")[2]] * scale
    assert gap(answers(session, artifact, MANY), alone) < limit
    assert gap([answers(session, artifact, [row], extra=9)[0] for row in MANY[:4]], alone[:4]) < limit
    session.close()


def test_token_types_reach_the_model(artifact: Path) -> None:
    if not Head.load(artifact).has_types:
        return
    for variant in VARIANTS:
        session = load_variant(artifact, variant, threads=1)
        arrays = pad([ROWS[5]], 0, [types_of(ROWS[5])])
        zeros = arrays | {"token_type_ids": np.zeros_like(arrays["input_ids"])}
        assert np.abs(session.run(**arrays)["logits"] - session.run(**zeros)["logits"]).max() > 1e-3, variant


def test_an_embedding_has_length_one_where_its_head_says_so(artifact: Path) -> None:
    head = Head.load(artifact)
    if head.output != "embeddings":
        return
    for variant in VARIANTS:
        session = load_variant(artifact, variant, threads=1)
        norm = float(np.linalg.norm(answers(session, artifact, [ROWS[4]])[0]))
        assert (abs(norm - 1) < 1e-2) is head.is_normalized, (variant, norm)
