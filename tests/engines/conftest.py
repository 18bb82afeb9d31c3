"""Tiny random artifacts in every architecture, compressed once per session into every variant."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

RECURRENT = ("lstm", "gru", "rnn")
KINDS = (*RECURRENT, "transformer", "bert")
SOAKED_HEADS = ("mean", "first", "tokens")  # compiling one takes half a minute
VOCABULARY = 60


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Recurrent networks are not compiled, and 4 bits are for networks that write.

    Compiling takes half a minute, most of it for torch's headers: here one network is compiled in bf16, others in fp32 by the test of heads
    and in bf16 by that of replicas.
    """
    items[:] = [item for item in items if not _is_refused(getattr(getattr(item, "callspec", None), "params", {}))]
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if params.get("artifact") in SOAKED_HEADS and str(params.get("variant")).startswith("inductor-"):
            item.add_marker("soak")


def _is_refused(params: dict[str, object]) -> bool:
    kind, variant = params.get("artifact"), str(params.get("variant"))
    is_not_compiled = kind in KINDS and variant.startswith("inductor-") and (kind, variant) != ("bert", "inductor-bf16")
    return is_not_compiled or ("artifact" in params and params.get("variant") == "openvino-int4")


def make_artifact(folder: Path, kind: str) -> Path:
    import torch

    from hanlin.networks.config import NetworkConfig
    from hanlin.networks.loading import build, save_network

    torch.manual_seed(3)
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "bert":
        from transformers import BertConfig, BertForSequenceClassification

        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        config = BertConfig(vocab_size=VOCABULARY, max_position_embeddings=64, num_labels=3, **sizes)
        BertForSequenceClassification(config).save_pretrained(folder)
    else:
        is_transformer = kind == "transformer"
        config = NetworkConfig(
            model_type=f"hanlin-{kind}", vocab_size=VOCABULARY, labels=("a", "b", "c"), embedding_size=16, hidden_size=32,
            num_attention_heads=2, intermediate_size=64, max_position_embeddings=64 if is_transformer else 0,
        )  # fmt: skip
        save_network(build(config), folder)
    (folder / "hanlin.json").write_text(
        json.dumps({"format": 1, "task": "text-classification", "labels": ["a", "b", "c"], "max_length": 64, "pad_id": 0, "text": {}})
    )
    return folder


def random_rows(count: int, *, longest: int = 24, seed: int = 0) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [generator.integers(3, VOCABULARY, generator.integers(1, longest + 1)).tolist() for _ in range(count)]


@pytest.fixture(scope="session", params=KINDS)
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with the files of all its variants; what compiling leaves beside them is in its sibling `compiling`."""
    from hanlin.compression.base import convert
    from hanlin.engines import variant_names

    folder = make_artifact(tmp_path_factory.mktemp("artifacts") / request.param, request.param)
    workdir = tmp_path_factory.mktemp("scratch")
    for variant in variant_names():
        if not _is_refused({"artifact": request.param, "variant": variant}) and not variant.startswith("inductor-"):
            convert(folder, variant, calibration=random_rows(24), workdir=workdir)
    if request.param == "bert":
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("TORCHINDUCTOR_CACHE_DIR")
            before = dict(os.environ)
            convert(folder, "inductor-bf16", calibration=[], workdir=folder.with_name("compiling"))
            assert dict(os.environ) == before
    return folder
