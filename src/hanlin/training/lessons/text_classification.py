"""Classifying texts and pairs: what the labels mean decides the loss; a linear road over runs of tokens may stand beside the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from hanlin.models.pretrained import build_from_base, has_types
from hanlin.networks.classifier import TextClassifier
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import save_network
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.label_metrics import MultiLabelMetrics, multi_label_metrics, tuned_thresholds
from hanlin.tasks.labelled import Gold, problem_of, read_gold
from hanlin.tasks.metrics import Metrics
from hanlin.tasks.problems import FIGURES, FUNCTIONS, HALF
from hanlin.tasks.sentiment import SENTIMENT, scale_of
from hanlin.tasks.spec import ModelSpec, PairForm
from hanlin.training.batches import collate
from hanlin.training.compaction import Compaction, compact
from hanlin.training.config import TrainConfig
from hanlin.training.encoders import scales_of
from hanlin.training.evaluation import Evaluation, predict
from hanlin.training.examples import Examples, check_data, encode
from hanlin.training.goals import Goal, watching
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.option_rules import wrong
from hanlin.training.pictures import confusion_svg
from hanlin.training.ports import Progress
from hanlin.training.scratch import lay_out_tokenizer, new_network, start_vectors, write_spec
from hanlin.training.wide import add_wide_road


class _Classifying:
    """What the tasks that classify texts teach."""

    def prepare(self, setting: Setting) -> ClassificationCourse:
        """See `Lesson.prepare`."""
        golds, held = ([read_gold(item) for item in rows.labels] for rows in (setting.data.train, setting.data.validation))
        check_data(setting.data, golds)
        problem, pairs = problem_of([*golds, *held]), _pair_form(setting, golds)
        config = watching(setting.config, problem)
        if config.wide and pairs == "typed":
            raise wrong("wide", True, "false for pairs that a base tells apart by token types")
        lay_out_tokenizer(setting, [gold.pair for gold in golds])
        scale = scale_of(config.scale, setting.data.labels) if config.task == SENTIMENT else ()
        spec = write_spec(config, setting.data, setting.out, base=setting.base, problem=problem, pairs=pairs, scale=scale)
        module: nn.Module = (
            new_network(config, spec.labels, setting.out, start_vectors(setting))
            if config.is_scratch or setting.base is None
            else build_from_base(setting.base, spec.labels, dropout=config.dropout, problem=problem, has_types=spec.has_types)
        )
        replace_dropout(module)
        train, validation = _encode(setting, spec, golds, held)
        compaction = None if config.is_scratch else compact(module, train.rows + validation.rows, spec.pad_id)
        if compaction:
            train, validation = (replace(part, rows=compaction.translate(part.rows)) for part in (train, validation))
        scales = scales_of(module, config)
        goal = Goal.of(problem, train, is_balanced=config.class_weights == "balanced", smoothing=config.label_smoothing)
        goal.begin(module, train)
        return ClassificationCourse(config, module, scales, spec, train, validation, goal, compaction, setting.out, setting.progress)

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: the confusion of labels, where a text has one."""
        metrics = found.metrics
        return {"confusion": lambda language: confusion_svg(metrics, language=language)} if isinstance(metrics, Metrics) else {}


@LESSONS.register("text-classification")
class TextClassificationLesson(_Classifying):
    """One label a text or several, or a score."""


@LESSONS.register("sentiment")
class SentimentLesson(_Classifying):
    """Labels with an order."""


@dataclass(frozen=True, slots=True)
class ClassificationCourse:
    """See `Course`."""

    config: TrainConfig
    module: nn.Module
    scales: Mapping[str, float]
    spec: ModelSpec
    train: Examples
    validation: Examples
    goal: Goal
    compaction: Compaction | None
    out: Path
    progress: Progress

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`."""
        return self.train.lengths

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`."""
        types = [self.train.types[row] for row in rows] if self.train.types else None
        logits = module(*collate([self.train.rows[row] for row in rows], self.spec.pad_id, types)).float()
        return self.goal.loss(logits, self.goal.target(self.train, rows))

    def weight(self, rows: Sequence[int]) -> float:
        """See `Divided.weight`."""
        return self.goal.weight(self.train, rows)

    def judge(self) -> dict[str, float]:
        """See `Course.judge`."""
        return self._figures(self._scores())

    def finish(self, best: float) -> float:
        """See `Course.finish`: thresholds chosen, the whole vocabulary back, the wide road fitted, scores in their own unit."""
        if self.spec.problem == "multi-label":
            assert self.validation.truth is not None
            thresholds = tuned_thresholds(self._scores(), self.validation.truth.numpy() > HALF)
            replace(self.spec, thresholds=thresholds).save(self.out)
        if self.compaction:
            self.compaction.restore(self.module)
        self.module.eval()
        has_road = self.config.wide and self.spec.problem == "single-label" and not self.spec.has_types
        if has_road and isinstance(self.module, TextClassifier | PretrainedClassifier):
            best = self._widen(self.module, before=best)
        self.goal.unscale(self.module)
        save_network(self.module, self.out)
        return best

    def _scores(self) -> npt.NDArray[np.float64]:
        found, function = self.validation, FUNCTIONS[self.spec.problem]
        return predict(self.module, found.rows, self.spec.pad_id, types=found.types, function=function)

    def _widen(self, module: TextClassifier | PretrainedClassifier, *, before: float) -> float:
        config, train, validation = self.config, self.train, self.validation
        if self.compaction:  # the road's runs are numbered by the tokenizer's ids
            train, validation = (replace(part, rows=self.compaction.original(part.rows)) for part in (train, validation))
        self.progress.message("fitting_wide_road", rows=len(train.rows))
        found = add_wide_road(module, train, validation, pad_id=self.spec.pad_id, seed=config.seed)
        after = self._figures(found.probabilities)[config.metric]
        self.progress.message(
            "wide_road_fitted", deep=found.deep, wide=found.wide, metric=config.metric, before=round(before, 4), after=round(after, 4)
        )
        return after

    def _figures(self, scores: npt.NDArray[np.float64]) -> dict[str, float]:
        found = self.validation
        gold = np.array(found.gold, dtype=np.int64) if found.truth is None else found.truth.numpy().astype(np.float64)
        truth = gold.reshape(-1) if self.spec.problem == "regression" else gold
        is_several = self.spec.problem == "multi-label"
        metrics = self._told_apart(scores) if is_several else TASKS.get(self.config.task).metrics(scores, truth, self.spec.labels)
        return {name: metrics.get(name) for name in FIGURES[self.spec.problem]} | {"loss": self.goal.loss_of(scores, gold)}

    def _told_apart(self, scores: npt.NDArray[np.float64]) -> MultiLabelMetrics:
        """Figures of several labels by the thresholds that `finish` would choose now: at a half, rare labels pass nowhere for long."""
        assert self.validation.truth is not None
        gold = self.validation.truth.numpy() > HALF
        return multi_label_metrics(scores, scores >= np.array(tuned_thresholds(scores, gold)), gold, self.spec.labels)


def _pair_form(setting: Setting, golds: Sequence[Gold]) -> PairForm:
    """How the network will read pairs, where there are any: with token types, if its base was taught with more than one."""
    if not any(gold.pair for gold in golds):
        return "none"
    return "typed" if setting.base and has_types(setting.base) else "joined"


def _encode(setting: Setting, spec: ModelSpec, golds: Sequence[Gold], held: Sequence[Gold]) -> tuple[Examples, Examples]:
    encoder, data = TextEncoder.load(setting.out), setting.data
    encoder.max_length = min(spec.max_length, setting.config.train_length)
    train = encode(data.train, golds, spec, encoder)
    encoder.max_length = spec.max_length
    return train, encode(data.validation, held, spec, encoder)
