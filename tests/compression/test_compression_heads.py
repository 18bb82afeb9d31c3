"""A search without gold: vectors, tokens and pairs are judged by agreement with the trained model, each in its own way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hanlin.compression.judge import Bounds
from hanlin.compression.plan import EncodedSplit
from hanlin.compression.search import search
from hanlin.networks.head import KEY, Head
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.vectors import VectorSettings
from hanlin.training.ports import Silent

HEADS = {
    "embedding": (Head("embeddings", "mean", is_normalized=True), "BertModel", ()),
    "token-classification": (Head("token_logits"), "BertForTokenClassification", ("O", "B-X", "I-X")),
    "reranking": (Head("logits", has_types=True), "BertForSequenceClassification", ("LABEL_0",)),
}


def rows(count: int, seed: int) -> list[list[int]]:
    chance = np.random.default_rng(seed)
    return [chance.integers(3, 50, chance.integers(2, 20)).tolist() for _ in range(count)]


@pytest.mark.parametrize("task", HEADS)
def test_variants_agree_with_the_trained_model(tmp_path: Path, task: str) -> None:
    import torch
    import transformers

    head, kind, labels = HEADS[task]
    torch.manual_seed(2)
    source, out = tmp_path / "source", tmp_path / "out"
    out.mkdir()
    # The longest rows reach the last position: there is no room for padding beside them.
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 20}
    config = transformers.BertConfig(vocab_size=50, num_labels=len(labels) or 2, initializer_range=0.2, **sizes)
    getattr(transformers, kind)(config).save_pretrained(source)
    stored = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(stored | {KEY: head.to_json()}))
    spec = ModelSpec(task, labels, 20, 0, vectors=None if labels else VectorSettings(16))
    spec.save(source)
    report = search(
        source, spec=spec, validation=EncodedSplit(rows(30, 1)), test=EncodedSplit([]), calibration=rows(24, 2), bounds=Bounds(5),
        target="latency", variants=["onnxruntime-fp32", "openvino-fp32", "openvino-int8"], threads=1, progress=Silent(), out=out, rounds=1,
    )  # fmt: skip
    assert report.metric == "agreement"
    for row in report.variants:
        if row.variant.endswith("fp32"):
            assert (row.status, row.reason) == ("ok", None), row
            assert row.validation_metric == pytest.approx(1, abs=1e-4)
            assert row.max_score_difference < 1e-4
        assert row.validation_metric is not None, row
        assert row.test_metric is None
    assert [path.name for path in sorted(out.iterdir())] == ["config.json", "hanlin.json", "variants"]
