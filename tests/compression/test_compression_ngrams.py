"""OpenVINO computes integer products and remainders in 32-bit floats: hashed n-grams over a real vocabulary must survive that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hanlin.compression.base import convert
from hanlin.engines import load_variant
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build, save_network


@pytest.mark.parametrize("variant", ["onnxruntime-fp32", "openvino-fp32"])
def test_hashed_ngrams_of_a_real_vocabulary_are_the_same_in_every_engine(tmp_path: Path, variant: str) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(
        model_type="hanlin-lstm",
        vocab_size=40_000,
        labels=("no", "yes"),
        embedding_size=16,
        hidden_size=16,
        ngram_buckets=2**17,
        ngram_sizes=(2, 3),
    )
    network = build(config).eval()
    for table in network.embedding.ngrams.parameters():
        torch.nn.init.normal_(table)
    save_network(network, tmp_path)
    ids = np.random.default_rng(0).integers(5, 40_000, (8, 60))
    mask = np.ones_like(ids)
    convert(tmp_path, variant, calibration=[row.tolist() for row in ids], out=tmp_path)
    expected = load_variant(tmp_path, "torch-fp32", threads=1).run(ids, mask)["logits"]
    found = load_variant(tmp_path, variant, threads=1).run(ids, mask)["logits"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
