"""Extractive question answering: where the answer starts and ends, by cross-entropy over the tokens of a window."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.engines import REFERENCE
from hanlin.engines.asking import Questioner
from hanlin.engines.torch_engine import TorchSession
from hanlin.errors import InvalidInput
from hanlin.models.pretrained import build_from_base, has_types
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.loading import save_network
from hanlin.tasks.answer_metrics import f1_of
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.pair_encoding import PairEncoder
from hanlin.tasks.question_answering import LABELS
from hanlin.tasks.spec import ModelSpec
from hanlin.training.batches import collate
from hanlin.training.config import TrainConfig
from hanlin.training.encoders import scales_of
from hanlin.training.evaluation import Evaluation
from hanlin.training.examples import check_rows
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.ports import Rows
from hanlin.training.scratch import lay_out_tokenizer
from hanlin.types import JsonObject, JsonValue

_CHUNK = 256


@dataclass(slots=True)
class Features:
    """Windows of all examples, with the tokens where the answer starts and ends in each; 0, the first token: nowhere in it."""

    rows: list[array[int]] = field(default_factory=list)
    types: list[array[int]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


@LESSONS.register("question-answering")
class QuestionAnsweringLesson:
    """The piece of a context that answers a question."""

    def prepare(self, setting: Setting) -> AnsweringCourse:
        """See `Lesson.prepare`. Raises InvalidInput (`nothing_to_learn`, `base_needed`)."""
        config, data, out = setting.config, setting.data, setting.out
        if setting.base is None:
            raise InvalidInput("base_needed", task=config.task)
        check_rows(data)
        lay_out_tokenizer(setting)
        known = ModelSpec.load(setting.base)
        spec = ModelSpec(
            task=config.task, labels=LABELS, max_length=min(config.max_length, known.max_length), pad_id=known.pad_id, text=known.text,
            languages=known.languages, pairs="typed" if has_types(setting.base) else "joined",
        )  # fmt: skip
        spec.save(out)
        module = build_from_base(setting.base, LABELS, dropout=config.dropout, has_types=spec.has_types, output="token_logits")
        replace_dropout(module)
        encoder = TextEncoder.load(out)
        encoder.max_length = min(spec.max_length, config.train_length)
        train = features_of(data.train, encoder, spec)
        encoder.max_length = spec.max_length
        validation = features_of(data.validation, encoder, spec)
        scales = scales_of(module, config)
        return AnsweringCourse(config, module, scales, spec, train, validation, data.validation, out)

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: a table says it all."""
        return {}


def features_of(rows: Rows, encoder: TextEncoder, spec: ModelSpec) -> Features:
    """Windows of every example, each with the place of its first answer."""
    found = Features()
    for start in range(0, len(rows.texts), _CHUNK):
        contexts = rows.texts[start : start + _CHUNK]
        golds: list[JsonObject] = [json.loads(annotation) for annotation in rows.labels[start : start + _CHUNK]]
        encoded = PairEncoder(encoder).encode_questions([str(gold["question"]) for gold in golds], contexts, stride=None)
        assert encoded.marks is not None and encoded.types is not None, "questions have both"
        row = 0
        for index, (gold, marks) in enumerate(zip(golds, encoded.marks, strict=True)):
            first, last = _tokens_of(gold, marks.spans)
            for window in encoded.windows.get(index, (None,)):
                shift = window.start if window else 0
                end = window.place + window.end if window else math.inf
                begin = window.place + window.start if window else 0
                is_inside = first > 0 and begin <= first and last < end
                found.rows.append(array("i", encoded.rows[row]))
                found.types.append(array("i", encoded.types[row]))
                found.starts.append(first - shift if is_inside else 0)
                found.ends.append(last - shift if is_inside else 0)
                row += 1
    return found


def _tokens_of(gold: JsonObject, spans: Sequence[tuple[int, int] | None]) -> tuple[int, int]:
    """The tokens that hold the first answer; (0, 0) where there is none."""
    answers = gold["answers"]
    assert isinstance(answers, list), "as the task stores them"
    if not answers:
        return 0, 0
    answer = answers[0]
    assert isinstance(answer, dict), "as the task stores them"
    begin, text = int(str(answer["start"])), str(answer["text"])
    held = [at for at, span in enumerate(spans) if span is not None and span[1] > begin and span[0] < begin + len(text)]
    return (held[0], held[-1]) if held else (0, 0)


@dataclass(frozen=True, slots=True)
class AnsweringCourse:
    """See `Course`."""

    config: TrainConfig
    module: nn.Module
    scales: Mapping[str, float]
    spec: ModelSpec
    train: Features
    validation: Features
    held: Rows
    out: Path

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`."""
        return [len(row) for row in self.train.rows]

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`: the mean over both ends."""
        return self._loss(module, self.train, rows)

    def weight(self, rows: Sequence[int]) -> float:
        """See `Divided.weight`: all rows count alike."""
        return len(rows)

    def _loss(self, module: nn.Module, features: Features, rows: Sequence[int]) -> Tensor:
        types = [features.types[row] for row in rows] if self.spec.has_types else None
        arrays = collate([features.rows[row] for row in rows], self.spec.pad_id, types)
        logits = module(*arrays).float().masked_fill(arrays[1][:, :, None] == 0, -1e4)  # (rows, length, 2)
        sides = ((features.starts, 0), (features.ends, 1))
        losses = [functional.cross_entropy(logits[:, :, side], torch.tensor([places[row] for row in rows])) for places, side in sides]
        return (losses[0] + losses[1]) / 2

    def judge(self) -> dict[str, float]:
        """See `Course.judge`."""
        self.module.eval()
        with torch.inference_mode():
            losses = [
                float(self._loss(self.module, self.validation, range(at, min(at + 32, len(self.validation.rows)))))
                for at in range(0, len(self.validation.rows), 32)
            ]
        answers = self._ask({})
        metrics = TASKS.get(self.config.task).quality(answers, self.held.labels, LABELS)
        return {"f1": metrics.get("f1"), "exact": metrics.get("exact"), "loss": float(np.mean(losses))}

    def _ask(self, parameters: JsonObject) -> list[JsonValue]:
        task = TASKS.get(self.config.task)
        session = TorchSession(self.module.eval(), REFERENCE, output="token_logits")
        asker = Questioner(session, task, replace(self.spec, thresholds=(0.0,)), TextEncoder.load(self.out))
        questions = [task.examples.question(text, gold) for text, gold in zip(self.held.texts, self.held.labels, strict=True)]
        return asker.ask([(question, parameters) for question in questions]).answers

    def finish(self, best: float) -> float:
        """See `Course.finish`: how sure "no answer" must be, and its chance, come from the validation rows, where some have none."""
        self.module.float().eval()
        golds = [[str(item["text"]) for item in json.loads(annotation)["answers"]] for annotation in self.held.labels]
        spec = self.spec
        if not all(golds):
            found = [answer for answer in self._ask({"handle_impossible_answer": False}) if isinstance(answer, dict)]
            spec = replace(spec, thresholds=(no_answer_threshold(found, golds),), calibration=no_answer_calibration(found, golds))
        spec.save(self.out)
        save_network(self.module, self.out)
        return best


def no_answer_threshold(found: Sequence[JsonObject], golds: Sequence[Sequence[str]]) -> float:
    """How far the log score of no answer must be above the best answer's, for the best mean F1 on these questions.

    Source: Rajpurkar et al., SQuAD 2.0 (2018), its scorer's search for the best threshold.
    """
    gaps = _gaps(found)
    given = np.array(
        [max((f1_of(str(item["answer"]), right) for right in answers), default=0.0) for item, answers in zip(found, golds, strict=True)]
    )
    withheld = np.array([float(not answers) for answers in golds])
    order = np.argsort(gaps)
    totals = np.concatenate([[0.0], np.cumsum(given[order])]) + np.concatenate([np.cumsum(withheld[order][::-1])[::-1], [0.0]])
    at = int(totals.argmax())  # so many answers are given, the surest first
    sides = gaps[order]
    if at == 0:
        return float(sides[0] - 1)
    return float(sides[-1] + 1) if at == len(sides) else float((sides[at - 1] + sides[at]) / 2)


def no_answer_calibration(found: Sequence[JsonObject], golds: Sequence[Sequence[str]]) -> tuple[float, ...]:
    """Slope and offset that make the same difference of log scores the log odds of there being no answer; none where all have none.

    Source: Platt, Probabilistic Outputs for Support Vector Machines (1999): one logistic regression on rows that were not learnt;
    with scikit-learn's usual penalty instead of his softened targets.
    """
    from sklearn.linear_model import LogisticRegression

    absent = np.array([not answers for answers in golds])
    if absent.all() or not absent.any():
        return ()
    model = LogisticRegression().fit(_gaps(found)[:, None], absent)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def _gaps(found: Sequence[JsonObject]) -> npt.NDArray[np.float64]:
    """How far the log score of no answer is above the best answer's."""
    scores = np.array([[float(str(item[name])) for name in ("no_answer_score", "score")] for item in found])
    logs = np.log(np.maximum(scores, 1e-300))
    return np.asarray(logs[:, 0] - logs[:, 1])
