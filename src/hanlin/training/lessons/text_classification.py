"""Text classification: cross-entropy over the labels, and a linear road over runs of tokens beside the network."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.models.pretrained import build_from_base, rate_scales
from hanlin.models.vectors import Vectors, read_vectors
from hanlin.networks.classifier import TextClassifier
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import save_network
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.metrics import Metrics
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.training.batches import collate
from hanlin.training.compaction import Compaction, compact
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import Evaluation, predict
from hanlin.training.examples import Examples, check_data, class_weights, encode
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.pictures import confusion_svg
from hanlin.training.ports import Progress
from hanlin.training.raw_text import learn_vectors, read_texts
from hanlin.training.scratch import new_network, write_spec, write_tokenizer
from hanlin.training.wide import add_wide_road


@LESSONS.register("text-classification")
class TextClassificationLesson:
    """One label a text."""

    def prepare(self, setting: Setting) -> ClassificationCourse:
        """See `Lesson.prepare`."""
        config, data, out = setting.config, setting.data, setting.out
        check_data(data)
        lay_out_tokenizer(setting)
        spec = write_spec(config, data, out, base=setting.base)
        module: nn.Module = (
            new_network(config, data.labels, out, _vectors(setting))
            if config.is_scratch or setting.base is None
            else build_from_base(setting.base, data.labels, dropout=config.dropout)
        )
        replace_dropout(module)
        train, validation = _encode(setting, spec)
        compaction = None if config.is_scratch else compact(module, train.rows + validation.rows, spec.pad_id)
        if compaction:
            train = Examples(compaction.translate(train.rows), train.gold)
            validation = Examples(compaction.translate(validation.rows), validation.gold)
        scales = {} if config.is_scratch else rate_scales(module, layer_decay=config.layer_decay, head_rate=config.head_rate)
        weights = class_weights(train.gold, len(data.labels)) if config.class_weights == "balanced" else None
        return ClassificationCourse(config, module, scales, spec, train, validation, weights, compaction, out, setting.progress)

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: the confusion of labels."""
        metrics = found.metrics
        assert isinstance(metrics, Metrics), "what the task gives"
        return {"confusion": lambda language: confusion_svg(metrics, language=language)}


@dataclass(frozen=True, slots=True)
class ClassificationCourse:
    """See `Course`."""

    config: TrainConfig
    module: nn.Module
    scales: Mapping[str, float]
    spec: ModelSpec
    train: Examples
    validation: Examples
    weights: Tensor | None  # of the classes
    compaction: Compaction | None
    out: Path
    progress: Progress

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`."""
        return self.train.lengths

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`."""
        ids, mask = collate([self.train.rows[row] for row in rows], self.spec.pad_id)
        gold = torch.tensor([self.train.gold[row] for row in rows])
        logits = module(ids, mask).float()
        return functional.cross_entropy(logits, gold, weight=self.weights, label_smoothing=self.config.label_smoothing)

    def judge(self) -> dict[str, float]:
        """See `Course.judge`."""
        return self._figures(predict(self.module, self.validation.rows, self.spec.pad_id))

    def finish(self, best: float) -> float:
        """See `Course.finish`: the whole vocabulary back in its place, the wide road fitted."""
        if self.compaction:
            self.compaction.restore(self.module)
        self.module.eval()
        if self.config.wide and isinstance(self.module, TextClassifier | PretrainedClassifier):
            best = self._widen(self.module, before=best)
        save_network(self.module, self.out)
        return best

    def _widen(self, module: TextClassifier | PretrainedClassifier, *, before: float) -> float:
        config, train, validation = self.config, self.train, self.validation
        if self.compaction:  # the road's runs are numbered by the tokenizer's ids
            train, validation = (Examples(self.compaction.original(part.rows), part.gold) for part in (train, validation))
        self.progress.message("fitting_wide_road", rows=len(train.rows))
        found = add_wide_road(module, train, validation, pad_id=self.spec.pad_id, seed=config.seed)
        after = self._figures(found.probabilities)[config.metric]
        self.progress.message(
            "wide_road_fitted", deep=found.deep, wide=found.wide, metric=config.metric, before=round(before, 4), after=round(after, 4)
        )
        return after

    def _figures(self, probabilities: npt.NDArray[np.float64]) -> dict[str, float]:
        gold = np.array(self.validation.gold, dtype=np.int64)
        task = TASKS.get(self.config.task)
        metrics = task.metrics(probabilities, gold, self.spec.labels)
        loss = -float(np.log(np.clip(probabilities[np.arange(len(gold)), gold], 1e-12, None)).mean())
        return {name: metrics.get(name) for name in task.figures} | {"loss": loss}


def lay_out_tokenizer(setting: Setting) -> None:
    """`tokenizer.json` in the artifact: the checkpoint's, the base's, or one trained on the rows."""
    config, target = setting.config, setting.out / "tokenizer.json"
    if setting.found is not None:
        shutil.copyfile(setting.found / "tokenizer.json", target)
    elif config.is_scratch:
        more = read_texts(setting.raw_text, config) if setting.raw_text else ()
        write_tokenizer(config, setting.data, setting.out, more)
    else:
        assert setting.base is not None, "fine-tuning needs a base"
        shutil.copyfile(setting.base / "tokenizer.json", target)


def _vectors(setting: Setting) -> Vectors | None:
    if setting.vectors is not None:
        vocabulary = load_tokenizer(setting.out / "tokenizer.json").get_vocab(with_added_tokens=True)
        return read_vectors(setting.vectors, set(vocabulary))
    if setting.raw_text is None or setting.found is not None:  # a checkpoint holds what was learnt
        return None
    return learn_vectors(setting.raw_text, setting.config, setting.out, setting.progress)


def _encode(setting: Setting, spec: ModelSpec) -> tuple[Examples, Examples]:
    encoder, data = TextEncoder.load(setting.out), setting.data
    encoder.max_length = min(spec.max_length, setting.config.train_length)
    train = encode(data.train, data.labels, encoder)
    encoder.max_length = spec.max_length
    return train, encode(data.validation, data.labels, encoder)
