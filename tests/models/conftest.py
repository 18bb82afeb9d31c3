"""One thread: tiny tensors gain nothing from more, and lose much on a busy machine."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from hanlin.models import onnx_folder
from hanlin.models.child import Guard
from hanlin.types import JsonObject

torch.set_num_threads(1)


@pytest.fixture
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a child would do is done here: starting one costs seconds."""

    def run(module: str, arguments: JsonObject, *, file: Path, out: Path, guard: Guard) -> JsonObject:
        result, facts = importlib.import_module(module).convert(file, arguments)
        out.write_bytes(result)
        return facts

    monkeypatch.setattr(onnx_folder, "run_child", run)
