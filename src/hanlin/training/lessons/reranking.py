"""Reranking: a cross-encoder reads query and text together and says how well the text answers."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.errors import InvalidInput
from hanlin.models.heads import PAIR_LABEL
from hanlin.models.pretrained import build_from_base
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.head import KEY, Head
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import save_network
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.padding import pad
from hanlin.tasks.pair_encoding import PairEncoder
from hanlin.tasks.ranking_exam import CANDIDATES, Group, groups_of, judge_groups
from hanlin.tasks.search_exam import spread
from hanlin.tasks.spec import ModelSpec
from hanlin.training.batches import plan_evaluation
from hanlin.training.compaction import Compaction, compact
from hanlin.training.config import TrainConfig
from hanlin.training.encoders import bert_config, check_setting, lay_out_tokenizer, scales_of, vocabulary_size
from hanlin.training.evaluation import Evaluation
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.related import check_related, score_scale

MAX_TEXTS = 16  # of one query in one step; a query with more has several
MAX_JUDGED = 300  # validation queries, evenly from all of them
_LOSSES = ("bce", "listwise")


@LESSONS.register("reranking")
class RerankingLesson:
    """One number a pair, from right and wrong texts of queries, or from scores."""

    def prepare(self, setting: Setting) -> RerankingCourse:
        """See `Lesson.prepare`."""
        check_setting(setting)
        config = _settled(setting.config)
        train, validation, has_scores = check_related(setting.data)
        lay_out_tokenizer(setting, (text for example in train for text in (example.first, example.second, *example.negatives)))
        module, spec = _network(replace(setting, config=config))
        spec.save(setting.out)
        replace_dropout(module)
        wrong = config.negatives
        learnt = [part for group in groups_of(train, mined=wrong, drawn=wrong // 2) for part in _pieces(group)]
        judged = spread(groups_of(validation, mined=CANDIDATES), MAX_JUDGED)
        encoder = TextEncoder.load(setting.out)
        encoder.max_length = min(spec.max_length, config.train_length)
        parts = [Part.of(learnt, encoder)]
        encoder.max_length = spec.max_length
        parts.append(Part.of(judged, encoder))
        rows = [row for part in parts for rows in part.rows for row in rows]
        compaction = None if config.is_scratch else compact(module, rows, spec.pad_id)
        if compaction:
            parts = [part.translated(compaction) for part in parts]
        scales = scales_of(module, config)
        weight = 1.0 if has_scores else _weight(learnt)
        return RerankingCourse(config, module, scales, spec, parts[0], parts[1], compaction, setting.out, score_scale(train), weight)

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: figures say it all."""
        return {}


@dataclass(frozen=True, slots=True)
class Part:
    """Queries with their texts as rows of ids and token types."""

    groups: list[Group]
    rows: list[list[array[int]]]
    types: list[list[array[int]]]

    @classmethod
    def of(cls, groups: list[Group], encoder: TextEncoder) -> Part:
        """The rows of these groups, cut to the encoder's length."""
        found = [PairEncoder(encoder).encode_pairs(group.query, group.texts, "truncate") for group in groups]
        rows = [[array("i", row) for row in item.rows] for item in found]
        return cls(groups, rows, [[array("i", row) for row in item.types or []] for item in found])

    def translated(self, compaction: Compaction) -> Part:
        """The same in the ids of a cut vocabulary."""
        return Part(self.groups, [compaction.translate(rows) for rows in self.rows], self.types)


@dataclass(frozen=True, slots=True)
class RerankingCourse:
    """See `Course`."""

    config: TrainConfig
    module: nn.Module
    scales: Mapping[str, float]
    spec: ModelSpec
    train: Part
    validation: Part
    compaction: Compaction | None
    out: Path
    scale: float  # of the scores
    weight: float  # of a right text

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`: of all rows of a query together."""
        return [sum(map(len, rows)) for rows in self.train.rows]

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`."""
        chosen = [(self.train.rows[at], self.train.types[at], self.train.groups[at].relevance) for at in rows]
        logits = self._run(module, [row for item in chosen for row in item[0]], [row for item in chosen for row in item[1]])
        return self._loss(logits, [item[2] for item in chosen])

    def judge(self) -> dict[str, float]:
        """See `Course.judge`."""
        part = self.validation
        rows, types = [row for item in part.rows for row in item], [row for item in part.types for row in item]
        self.module.eval()
        logits = torch.empty(len(rows))
        with torch.inference_mode():
            for batch in plan_evaluation([len(row) for row in rows]):
                logits[batch] = self._run(self.module, [rows[at] for at in batch], [types[at] for at in batch])
        ends = np.cumsum([len(item) for item in part.rows])[:-1]
        metrics = judge_groups(part.groups, [values.tolist() for values in np.split(logits.numpy(), ends)])
        return {**metrics.values, "loss": float(self._loss(logits, [group.relevance for group in part.groups]))}

    def finish(self, best: float) -> float:
        """See `Course.finish`: the whole vocabulary back in its place."""
        if self.compaction:
            self.compaction.restore(self.module)
        self.module.eval()
        save_network(self.module, self.out)
        return best

    def _run(self, module: nn.Module, rows: Sequence[array[int]], types: Sequence[array[int]]) -> Tensor:
        """(rows,) float32."""
        arrays = pad(rows, self.spec.pad_id, types if _has_types(self.module) else None)
        found: Tensor = module(*map(torch.from_numpy, arrays.values()))
        return found.float()[:, 0]

    def _loss(self, logits: Tensor, relevance: Sequence[Sequence[float]]) -> Tensor:
        gains = [torch.tensor(values, dtype=torch.float32) / self.scale for values in relevance]
        return pointwise_loss(logits, gains, self.weight) if self.config.loss == "bce" else listwise_loss(logits, gains)


def pointwise_loss(logits: Tensor, gains: Sequence[Tensor], weight: float) -> Tensor:
    """Each text by itself; a right one counts `weight` times. As `listwise_loss`."""
    return functional.binary_cross_entropy_with_logits(logits, torch.cat([*gains]).clamp(0, 1), pos_weight=torch.tensor(weight))


def listwise_loss(logits: Tensor, gains: Sequence[Tensor]) -> Tensor:
    """The softmax over a query's texts is their share of its relevance. Source: Cao et al., Learning to Rank (2007).

    Args:
        logits: (rows,) float32, the texts of one query behind those of another.
        gains: relevance of each query's texts, (texts,) float32 from 0; of a query without any nothing is learned.

    Returns:
        The mean over queries, () float32.
    """
    lists = zip(torch.split(logits, [len(values) for values in gains]), gains, strict=True)
    return torch.stack([-(own / own.sum().clamp(min=1e-9) * found.log_softmax(0)).sum() for found, own in lists]).mean()


def _settled(config: TrainConfig) -> TrainConfig:
    loss = _LOSSES[0] if config.loss == "auto" else config.loss
    if loss not in _LOSSES:
        raise InvalidInput("invalid_training_option", name="loss", value=loss, right=" or ".join(_LOSSES))
    return replace(config, loss=loss)


def _weight(groups: Sequence[Group]) -> float:
    """What a right text counts where wrong ones are more: at weight 1 a network may stop at the share of right ones, whatever the text."""
    right = sum(gain > 0 for group in groups for gain in group.relevance)
    return max((sum(len(group.texts) for group in groups) - right) / max(right, 1), 1.0)


def _pieces(group: Group) -> list[Group]:
    """A query with many texts in pieces that fit a step; right texts stand last and are dealt evenly."""
    count = -(-len(group.texts) // MAX_TEXTS)
    return [Group(group.query, group.texts[at::count], group.relevance[at::count]) for at in range(count)]


def _network(setting: Setting) -> tuple[nn.Module, ModelSpec]:
    config = setting.config
    if config.is_scratch or setting.base is None:
        from transformers import AutoModelForSequenceClassification

        names = {"num_labels": 1, "id2label": {0: PAIR_LABEL}, "label2id": {PAIR_LABEL: 0}}
        shape = bert_config(config, vocabulary_size(setting.out), **names)
        module = PretrainedClassifier(AutoModelForSequenceClassification.from_config(shape))
        spec = ModelSpec(config.task, (PAIR_LABEL,), config.max_length, 0, text=config.text)
    else:
        module = build_from_base(setting.base, (PAIR_LABEL,), dropout=config.dropout, problem="regression")
        known = ModelSpec.load(setting.base)
        limit = min(config.max_length, known.max_length)
        spec = replace(known, task=config.task, labels=(PAIR_LABEL,), max_length=limit, vectors=None)
    head = Head("logits", has_types=_has_types(module))
    module.model.config.update({KEY: head.to_json()})  # type: ignore[union-attr,operator]  # transformers configs are untyped here
    return module, spec


def _has_types(module: nn.Module) -> bool:
    """Whether the encoder tells the two texts of a row apart by token types."""
    return int(getattr(module.model.config, "type_vocab_size", 0)) > 1  # type: ignore[union-attr]  # transformers configs are untyped here
