"""Every head through every variant: the same answers alone, padded, in a batch and in pieces, as the trained model gives them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import openvino
import pytest

from hanlin.engines import load_variant, max_batch_rows, measured_unasked
from hanlin.engines.base import Session
from hanlin.errors import InvalidInput
from hanlin.networks.head import KEY, TOKENS, Head
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

CANNOT = (
    set() if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else {"openvino-bf16"}
)  # refused: see the contract
# Compiled bf16 differs from compiled fp32 in no way that a head could show.
VARIANTS = [name for name in (*measured_unasked(), "inductor-fp32") if name not in CANNOT]
COMPILED = {"largest", "pairs"}  # with two outputs, with three inputs; the others, half a minute each, when soaked: see conftest


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
    return make(tmp_path_factory.mktemp("heads") / request.param, request.param)


def loaded(folder: Path, variant: str, *, threads: int) -> Session:
    """Its files are made when a test first asks for them."""
    from hanlin.compression.base import convert

    convert(folder, variant, calibration=MANY[:24], workdir=folder.with_name("scratch"))
    return load_variant(folder, variant, threads=threads)


def variants_of(folder: Path) -> list[str]:
    """But for those that are made when soaked."""
    return [variant for variant in VARIANTS if folder.name in COMPILED or not variant.startswith("inductor-")]


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


def has_tokens(folder: Path, variant: str) -> bool:
    """Whether the variant gives vectors of tokens: graphs of the first token stop computing the others before the last layer."""
    head = Head.load(folder)
    return head.output == "embeddings" and (head.pooling != "cls" or variant.startswith(("torch-", "inductor-")))


def token_vectors(session, rows: list[list[int]], *, extra: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Vectors of rows, and those of each row's own tokens, out of the same step."""
    arrays = [np.pad(array, ((0, 0), (0, extra))) for array in pad(rows, 0).values()]
    found = session.run(*arrays, with_tokens=True)
    assert set(found) == {"embeddings", TOKENS}
    assert found[TOKENS].dtype == np.float32
    assert found[TOKENS].shape == (*arrays[0].shape, SIZE)
    return list(found["embeddings"]), [values[: len(row)] for values, row in zip(found[TOKENS], rows, strict=True)]


def gap(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_answers_like_the_trained_model(artifact: Path, variant: str) -> None:
    reference = load_variant(artifact, "torch-fp32", threads=1)
    expected = [answers(reference, artifact, [row])[0] for row in ROWS]
    session = loaded(artifact, variant, threads=1)
    scale = max(1.0, *(float(np.abs(one).max()) for one in expected))
    assert gap([answers(session, artifact, [row])[0] for row in ROWS], expected) < TOLERANCE[variant.rpartition("-")[2]] * scale


@pytest.mark.parametrize("variant", [name for name in VARIANTS if max_batch_rows(name) is None])
def test_a_row_is_the_same_alone_padded_and_in_pieces(artifact: Path, variant: str) -> None:
    session = loaded(artifact, variant, threads=2)
    alone = [answers(session, artifact, [row])[0] for row in MANY]
    scale = max(1.0, *(float(np.abs(one).max()) for one in alone))
    limit = 1e-4 if variant.endswith("fp32") else TOLERANCE[variant.rpartition("-")[2]] * scale
    assert gap(answers(session, artifact, MANY), alone) < limit
    assert gap([answers(session, artifact, [row], extra=9)[0] for row in MANY[:4]], alone[:4]) < limit
    session.close()


def test_token_types_reach_the_model(artifact: Path) -> None:
    if not Head.load(artifact).has_types:
        return
    for variant in variants_of(artifact):
        session = loaded(artifact, variant, threads=1)
        arrays = pad([ROWS[5]], 0, [types_of(ROWS[5])])
        zeros = arrays | {"token_type_ids": np.zeros_like(arrays["input_ids"])}
        assert np.abs(session.run(**arrays)["logits"] - session.run(**zeros)["logits"]).max() > 1e-3, variant


def test_an_embedding_has_length_one_where_its_head_says_so(artifact: Path) -> None:
    head = Head.load(artifact)
    if head.output != "embeddings":
        return
    for variant in variants_of(artifact):
        session = loaded(artifact, variant, threads=1)
        norm = float(np.linalg.norm(answers(session, artifact, [ROWS[4]])[0]))
        assert (abs(norm - 1) < 1e-2) is head.is_normalized, (variant, norm)


@pytest.mark.parametrize("variant", VARIANTS)
def test_vectors_of_tokens_are_those_of_the_trained_model(artifact: Path, variant: str) -> None:
    session = loaded(artifact, variant, threads=1)
    assert session.has_tokens is has_tokens(artifact, variant)
    if not session.has_tokens:
        with pytest.raises(InvalidInput) as caught:
            session.run(*pad([ROWS[3]], 0).values(), with_tokens=True)
        assert caught.value.code == "token_embeddings_not_served"
        return
    reference = load_variant(artifact, "torch-fp32", threads=1)
    expected = [token_vectors(reference, [row])[1][0] for row in ROWS]
    scale = max(1.0, *(float(np.abs(one).max()) for one in expected))
    assert gap([token_vectors(session, [row])[1][0] for row in ROWS], expected) < TOLERANCE[variant.rpartition("-")[2]] * scale
    first = token_vectors(session, [ROWS[5]])[1][0]
    before = first.copy()
    token_vectors(session, [ROWS[4]])
    np.testing.assert_array_equal(first, before)  # the caller's to keep


@pytest.mark.parametrize("variant", [name for name in VARIANTS if max_batch_rows(name) is None])
def test_vectors_of_tokens_are_the_same_alone_padded_and_in_pieces(artifact: Path, variant: str) -> None:
    if not has_tokens(artifact, variant):
        return
    session = loaded(artifact, variant, threads=2)
    alone = [token_vectors(session, [row])[1][0] for row in MANY]
    scale = max(1.0, *(float(np.abs(one).max()) for one in alone))
    limit = 1e-4 if variant.endswith("fp32") else TOLERANCE[variant.rpartition("-")[2]] * scale
    assert gap(token_vectors(session, MANY)[1], alone) < limit
    assert gap([token_vectors(session, [row], extra=9)[1][0] for row in MANY[:4]], alone[:4]) < limit
    session.close()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_text_s_vector_is_pooled_from_those_of_its_tokens(artifact: Path, variant: str) -> None:
    if not has_tokens(artifact, variant):
        return
    head, session = Head.load(artifact), loaded(artifact, variant, threads=1)
    pool = {"mean": lambda values: values.mean(axis=0), "max": lambda values: values.max(axis=0), "cls": lambda values: values[0]}[
        head.pooling
    ]
    for row in ROWS:  # one by one: a variant may depend on neighbours
        (vector,), (tokens,) = token_vectors(session, [row])
        pooled = pool(tokens.astype(np.float64))
        pooled = pooled / np.linalg.norm(pooled) if head.is_normalized else pooled
        assert np.abs(vector - pooled).max() < (0.02 if variant.endswith("bf16") else 1e-4), variant
        plain = session.run(*pad([row], 0).values())
        assert set(plain) == {"embeddings"}
        assert np.abs(plain["embeddings"][0] - vector).max() < 1e-5  # asking for more changes nothing
    session.close()


def test_an_artifact_from_before_answers_as_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its graphs have one output."""
    from hanlin.compression import export_forms
    from hanlin.compression.base import convert

    monkeypatch.setattr(export_forms, "WithTokens", lambda embedder: embedder)
    monkeypatch.setattr(export_forms, "has_tokens", lambda _: False)
    folder = make(tmp_path / "old", "mean")
    expected = load_variant(folder, "torch-fp32", threads=1).run(*pad(ROWS, 0).values())["embeddings"]
    for variant in ("onnxruntime-fp32", "openvino-fp32"):
        convert(folder, variant, calibration=MANY[:24])
        session = load_variant(folder, variant, threads=1)
        assert not session.has_tokens
        np.testing.assert_allclose(session.run(*pad(ROWS, 0).values())["embeddings"], expected, atol=1e-4)
        with pytest.raises(InvalidInput) as caught:
            session.run(*pad(ROWS, 0).values(), with_tokens=True)
        assert caught.value.code == "token_embeddings_not_served"
        assert "compress" in str(caught.value.to_wire())
