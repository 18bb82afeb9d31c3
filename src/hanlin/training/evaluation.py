"""Reading a split with a model: its answers, the task's metrics, throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hanlin.engines import REFERENCE, Session
from hanlin.engines.asking import Questioner
from hanlin.engines.torch_engine import torch_session
from hanlin.engines.trained import trained_session
from hanlin.networks.head import Head, Output
from hanlin.networks.loading import Dtype
from hanlin.tasks.base import TASKS, Exam, JudgesSearch, Quality, SetsExams, Task
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.problems import Function, scores_of
from hanlin.tasks.spec import ModelSpec
from hanlin.training.batches import collate, plan_evaluation
from hanlin.training.ports import Progress, Rows, Silent
from hanlin.types import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model does on a split.

    Attributes:
        answers: in their wire form, one an example, in the order of the split; one a call where the task sets an exam.
        labels: the model's.
        rows_per_s, tokens_per_s: of the network alone, at the split's own lengths; tokens without padding.
        search: figures of a search among the texts of the split, where the task has one.
    """

    answers: list[JsonValue]
    labels: tuple[str, ...]
    metrics: Quality
    rows_per_s: float
    tokens_per_s: float
    search: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Metrics and throughput, without the answers."""
        speeds = {"rows_per_s": round(self.rows_per_s, 1), "tokens_per_s": round(self.tokens_per_s, 1)}
        return {**self.metrics.to_json(), **self.search, **speeds}


def evaluate(folder: Path, split: Rows, *, dtype: Dtype = "fp32", threads: int = 0, progress: Progress | None = None) -> Evaluation:
    """Evaluate the artifact in `folder` on `split` by what callers would be answered. Sets torch's thread count when `threads` is not 0.

    Raises:
        InvalidInput: for a label the model does not have, or files that do not fit each other.
        Cancelled: when `progress` says so.
    """
    session, max_rows = trained_session(folder, threads=threads, dtype=dtype)
    found = _judge(session, max_rows, folder, split, progress or Silent(), {})
    task = TASKS.get(ModelSpec.load(folder).task)
    return replace(found, search=task.search_quality(split.texts, split.labels)) if isinstance(task, JudgesSearch) else found


def judge_answers(
    module: nn.Module, folder: Path, split: Rows, *, output: Output | None = None, parameters: JsonObject | None = None,
    progress: Progress | None = None,
) -> Evaluation:  # fmt: skip
    """The same of a module in memory whose tokenizer and spec are in `folder`; it is in eval mode afterwards. Raises as `evaluate`.

    Args:
        output: what the module answers with; None: what config.json in `folder` says.
        parameters: of every call, besides those of the task's own question.
    """
    session = torch_session(module, REFERENCE, output=output or Head.load(folder).output, folder=folder)
    return _judge(session, None, folder, split, progress or Silent(), parameters or {})


def _judge(session: Session, max_rows: int | None, folder: Path, split: Rows, told: Progress, more: JsonObject) -> Evaluation:  # noqa: PLR0917  # its callers are above
    spec, encoder = ModelSpec.load(folder), TextEncoder.load(folder)
    task = TASKS.get(spec.task)
    questions = [task.examples.question(text, gold) for text, gold in zip(split.texts, split.labels, strict=True)]

    def on_done(done: int) -> None:
        told.check_cancelled()
        told.report(done, len(exam.calls), {})

    exam = exam_of(task, questions, split.labels, spec)
    calls = [(inputs, parameters | more) for inputs, parameters in exam.calls]
    asked = Questioner(session, task, spec, encoder, max_rows=max_rows).ask(calls, on_done=on_done)
    metrics = exam.judge(asked.answers)
    return Evaluation(asked.answers, spec.labels, metrics, len(questions) / asked.seconds, asked.tokens / asked.seconds)


def exam_of(task: Task, questions: Sequence[JsonValue], gold: Sequence[str], spec: ModelSpec) -> Exam:
    """The calls that judge a model on these examples: one an example, unless the task sets an exam of its own."""
    if isinstance(task, SetsExams):
        return task.exam(questions, spec)
    return Exam([task.ask(question) for question in questions], lambda answers: task.quality(answers, gold, spec.labels))


def predict(
    module: nn.Module, rows: Sequence[Sequence[int]], pad_id: int, *, types: Sequence[Sequence[int]] | None = None,
    function: Function = "softmax", progress: Progress | None = None,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Scores of every row, (rows, labels) float64: probabilities, unless `function` says else. The module is in eval mode then."""
    progress = progress or Silent()
    module.eval()
    found: list[npt.NDArray[np.float64]] = [np.empty(0)] * len(rows)
    done = 0
    with torch.inference_mode():
        for batch in plan_evaluation([len(row) for row in rows]):
            progress.check_cancelled()
            arrays = collate([rows[index] for index in batch], pad_id, [types[index] for index in batch] if types else None)
            for index, score in zip(batch, scores_of(module(*arrays).double().numpy(), function), strict=True):
                found[index] = score
            done += len(batch)
            progress.report(done, len(rows), {})
    return np.stack(found)
