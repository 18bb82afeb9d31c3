"""Tiny random artifacts in every architecture, compressed once per session into every variant."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

RECURRENT = ("lstm", "gru", "rnn")
KINDS = (*RECURRENT, "transformer", "bert")
# Compiling one takes half a minute, most of it for torch's headers: an architecture in each precision, all the others when soaked.
COMPILED = (("transformer", "inductor-fp32"), ("bert", "inductor-bf16"))
SOAKED_HEADS = ("mean", "first", "tokens")
VOCABULARY = 60


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Recurrent networks are not compiled; 4 bits, and vLLM, are for networks that write."""
    items[:] = [item for item in items if not _is_refused(*_asked(item))]
    for item in items:
        kind, variant = _asked(item)
        is_usual = kind not in SOAKED_HEADS and (kind not in KINDS or (kind, variant) in COMPILED)
        if variant.startswith("inductor-") and not is_usual:
            item.add_marker("soak")


def _asked(item: pytest.Item) -> tuple[str, str]:
    """(artifact, variant) of a test, empty where it names none."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return str(params.get("artifact", "")), str(params.get("variant", ""))


def _is_refused(kind: str, variant: str) -> bool:
    is_for_writers = variant == "openvino-int4" or variant.startswith("vllm-")
    return (kind in RECURRENT and variant.startswith("inductor-")) or (kind != "" and is_for_writers)


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

    kind: str = request.param
    folder = make_artifact(tmp_path_factory.mktemp("artifacts") / kind, kind)
    workdir = tmp_path_factory.mktemp("scratch")
    asked = {*COMPILED, *map(_asked, request.session.items)}
    apart = ("bert", "inductor-bf16")
    for variant in variant_names():
        is_made = (kind, variant) in asked if variant.startswith("inductor-") else not _is_refused(kind, variant)
        if is_made and (kind, variant) != apart:
            convert(folder, variant, calibration=random_rows(24), workdir=workdir)
    if kind == apart[0]:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("TORCHINDUCTOR_CACHE_DIR")
            before = dict(os.environ)
            convert(folder, apart[1], calibration=[], workdir=folder.with_name("compiling"))
            assert dict(os.environ) == before
    return folder
