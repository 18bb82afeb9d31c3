"""The options of the bench scripts are those of a training: nobody runs all scripts when an option is refused that was taken before."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hanlin.training.config import TrainConfig

BENCH = Path(__file__).parents[2] / "bench"
NAMES = (
    "pretraining", "question_answering", "text_generation", "token_classification", "training_accuracy", "training_kills",
    "training_reranking", "training_retrieval", "writing",
)  # fmt: skip


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    """The scripts as modules, which import each other by plain names."""
    before = {*sys.modules}
    sys.path.insert(0, str(BENCH))
    try:
        yield {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(BENCH))
        ours = {path.stem for path in BENCH.glob("*.py")}
        for name in ({*sys.modules} - before) & ours:
            del sys.modules[name]


def trainings(of: dict[str, ModuleType]) -> Iterator[tuple[str, str, Any]]:
    """Model, task and options of every training that has its options in a table."""
    yield from ((kind.model, kind.task, kind.options) for kind in of["training_kills"].KINDS)
    yield from (("transformer", task, options) for task, options in of["writing"].OPTIONS.items())
    generation = of["text_generation"]
    yield from ((model, generation.TASK, options) for options in generation.OPTIONS.values() for model in generation.NETWORKS)
    tags = of["token_classification"].OPTIONS.values()
    yield from ((model, "token-classification", options) for options in tags for model in ("lstm", "transformer", "base"))
    yield "base", "question-answering", of["question_answering"].OPTIONS
    yield "base", "text-classification", of["training_accuracy"].E5_OPTIONS
    yield from (("base", "reranking", case.options) for case in of["training_reranking"].CASES.values())
    yield from (("base", "embedding", case.options) for case in of["training_retrieval"].CASES.values())
    pretraining = of["pretraining"]
    yield from (("transformer", "fill-mask", pretraining.NETWORK | options) for options in pretraining.PRETRAIN.values())
    yield from (("base", "fill-mask", options) for options in pretraining.PRETRAIN.values())
    for task, more in (("text-classification", {}), ("token-classification", {"crf": False})):
        yield from ((model, task, options | more) for model, options in (("lstm", pretraining.LSTM), ("base", pretraining.FINE)))


def test_a_training_takes_them(scripts: dict[str, ModuleType]) -> None:
    found = list(trainings(scripts))
    assert len(found) > 30
    for model, task, options in found:
        assert TrainConfig.from_json(options, model=model, task=task).case[:2] == (model, task)
