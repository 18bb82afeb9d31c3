"""What torch's compiler is not asked to do, and what it says when it fails. What it leaves: the engines' tests."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hanlin.compression.base import convert
from hanlin.errors import InvalidInput


def network(folder: Path, kind: str) -> Path:
    import torch

    from hanlin.networks.config import NetworkConfig
    from hanlin.networks.loading import build, save_network

    torch.manual_seed(3)
    folder.mkdir()
    config = NetworkConfig(
        model_type=f"hanlin-{kind}", vocab_size=50, labels=("a", "b"), embedding_size=8, hidden_size=16, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32 if kind == "transformer" else 0,
    )  # fmt: skip
    save_network(build(config), folder)
    spec = {"format": 1, "task": "text-classification", "labels": ["a", "b"], "max_length": 32, "pad_id": 0, "text": {}}
    (folder / "hanlin.json").write_text(json.dumps(spec))
    return folder


def test_a_recurrent_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        convert(network(tmp_path / "m", "lstm"), "inductor-fp32", calibration=[])
    assert caught.value.code == "recurrence_not_compiled"


def test_a_machine_without_a_compiler_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput) as caught:
        convert(network(tmp_path / "m", "transformer"), "inductor-fp32", calibration=[])
    assert (caught.value.code, caught.value.params["choices"]) == ("no_compiler", "g++, c++, clang++")


def test_a_compiler_that_fails_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "bin" / "g++"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent), prepend=os.pathsep)
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "caches"))
    with pytest.raises(InvalidInput) as caught:
        convert(network(tmp_path / "m", "transformer"), "inductor-fp32", calibration=[])
    assert caught.value.code == "cannot_compile"
    assert "Error: " in str(caught.value.params["problem"])
