"""Reading a split with a model: probabilities, the task's metrics, throughput."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hanlin.networks.loading import Dtype, load_model
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.metrics import Metrics
from hanlin.tasks.spec import ModelSpec
from hanlin.training.batches import collate, plan_evaluation
from hanlin.training.examples import Examples, encode
from hanlin.training.ports import Progress, Rows, Silent
from hanlin.types import JsonObject


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model does on a split.

    Attributes:
        probabilities: (rows, labels) float64, in the order of the split; gold: (rows,) int64 label indices.
        rows_per_s, tokens_per_s: of the network alone, at the split's own lengths; tokens without padding.
    """

    probabilities: npt.NDArray[np.float64]
    gold: npt.NDArray[np.int64]
    metrics: Metrics
    rows_per_s: float
    tokens_per_s: float

    def to_json(self) -> JsonObject:
        """Metrics and throughput, without the probabilities."""
        return self.metrics.to_json() | {"rows_per_s": round(self.rows_per_s, 1), "tokens_per_s": round(self.tokens_per_s, 1)}


def evaluate(folder: Path, split: Rows, *, dtype: Dtype = "fp32", threads: int = 0, progress: Progress | None = None) -> Evaluation:
    """Evaluate the artifact in `folder` on `split`. Sets torch's thread count when `threads` is not 0.

    Raises:
        InvalidInput: for a label the model does not have, or files that do not fit each other.
        Cancelled: when `progress` says so.
    """
    if threads:
        torch.set_num_threads(threads)
    spec = ModelSpec.load(folder)
    examples = encode(split, spec.labels, TextEncoder.load(folder))
    module = load_model(folder, dtype=dtype)
    started = time.perf_counter()
    probabilities = predict(module, examples.rows, spec.pad_id, progress=progress)
    seconds = time.perf_counter() - started
    gold = np.array(examples.gold, dtype=np.int64)
    metrics = TASKS.get(spec.task).metrics(probabilities, gold, spec.labels)
    assert isinstance(metrics, Metrics), "only classifiers are evaluated here"
    return Evaluation(probabilities, gold, metrics, len(gold) / seconds, sum(examples.lengths) / seconds)


def predict(module: nn.Module, rows: Sequence[Sequence[int]], pad_id: int, *, progress: Progress | None = None) -> npt.NDArray[np.float64]:
    """Probabilities of every row, (rows, labels) float64. The module is in eval mode afterwards."""
    progress = progress or Silent()
    module.eval()
    found: list[npt.NDArray[np.float64]] = [np.empty(0)] * len(rows)
    done = 0
    with torch.inference_mode():
        for batch in plan_evaluation([len(row) for row in rows]):
            progress.check_cancelled()
            ids, mask = collate([rows[index] for index in batch], pad_id)
            scores = module(ids, mask).double().softmax(-1).numpy()
            for index, score in zip(batch, scores, strict=True):
                found[index] = score
            done += len(batch)
            progress.report(done, len(rows), {})
    return np.stack(found)


def judge(task: str, probabilities: npt.NDArray[np.float64], examples: Examples, labels: Sequence[str]) -> dict[str, float]:
    """The figures that a run watches on its validation rows."""
    gold = np.array(examples.gold, dtype=np.int64)
    metrics = TASKS.get(task).metrics(probabilities, gold, labels)
    loss = -float(np.log(np.clip(probabilities[np.arange(len(gold)), gold], 1e-12, None)).mean())
    return {"accuracy": metrics.get("accuracy"), "macro_f1": metrics.get("macro_f1"), "micro_f1": metrics.get("micro_f1"), "loss": loss}
