"""Embedding: texts that belong together shall have vectors that point the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.models.pretrained import build_embedder, embedder_of
from hanlin.networks.config import read_config
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.head import Head
from hanlin.networks.loading import save_network
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.ranking_metrics import ScalarMetrics, pair_metrics
from hanlin.tasks.related import Related
from hanlin.tasks.search_exam import Search, likenesses, spread
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.vectors import VectorSettings
from hanlin.training.compaction import Compaction, compact
from hanlin.training.config import TrainConfig
from hanlin.training.contrast import Contrastive, CoSent, CosineError, Loss, Nested, Triplet
from hanlin.training.encoders import bert_config, check_setting, lay_out_tokenizer, read_rows, run_rows, scales_of, vocabulary_size
from hanlin.training.evaluation import Evaluation
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.related import Pairs, Texts, check_related, score_scale, with_negatives

MAX_JUDGED = 2_000  # validation examples, evenly from all of them
_SCORED, _PLAIN = ("cosent", "mse"), ("contrastive", "triplet")


@LESSONS.register("embedding")
class EmbeddingLesson:
    """One vector a text, from pairs, triplets or scored pairs."""

    def prepare(self, setting: Setting) -> EmbeddingCourse:
        """See `Lesson.prepare`."""
        check_setting(setting)
        train, validation, has_scores = check_related(setting.data)
        validation = spread(validation, MAX_JUDGED)
        config = _settled(setting.config, has_scores=has_scores)
        if config.negatives and not has_scores:
            train = with_negatives(train, config.negatives)
        lay_out_tokenizer(setting, (text for example in train for text in (example.first, example.second, *example.negatives)))
        module, spec = _network(replace(setting, config=config))
        spec.save(setting.out)
        replace_dropout(module)
        encoded = _encode(config, setting.out, spec, (train, validation), has_scores=has_scores)
        compaction = None if config.is_scratch else compact(module, encoded[0].texts.rows + encoded[1].texts.rows, spec.pad_id)
        for part in encoded if compaction else ():
            part.texts.rows = compaction.translate(part.texts.rows) if compaction else []
        scales = scales_of(module, config)
        loss = _loss(config, spec.vectors.dimensions if spec.vectors else 0)
        return EmbeddingCourse(config, module, scales, spec, encoded[0], encoded[1], validation, loss, compaction, setting.out)

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: figures say it all."""
        return {}


@dataclass(slots=True)
class Part:
    """One split: its texts and the pairs of their numbers."""

    texts: Texts
    pairs: Pairs


@dataclass(frozen=True, slots=True)
class EmbeddingCourse:
    """See `Course`."""

    config: TrainConfig
    module: nn.Module
    scales: Mapping[str, float]
    spec: ModelSpec
    train: Part
    validation: Part
    examples: Sequence[Related]  # of validation
    criterion: Loss
    compaction: Compaction | None
    out: Path

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`: of all texts of an example together."""
        rows = self.train.texts.rows
        return [sum(len(rows[number]) for number in (pair.first, pair.second, *pair.negatives)) for pair in self.train.pairs.pairs]

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`."""
        return self._loss(module, self.train, rows)

    def judge(self) -> dict[str, float]:
        """See `Course.judge`."""
        self.module.eval()
        size, count = self.config.batch_size, len(self.validation.pairs.pairs)
        batches = [range(start, min(start + size, count)) for start in range(0, count, size)]
        with torch.inference_mode():
            losses = [float(self._loss(self.module, self.validation, batch)) * len(batch) for batch in batches]
        metrics = self._metrics(read_rows(self.module, self.validation.texts.rows, self.spec.pad_id))
        return {**metrics.values, "loss": sum(losses) / count}

    def finish(self, best: float) -> float:
        """See `Course.finish`: the whole vocabulary back in its place."""
        if self.compaction:
            self.compaction.restore(self.module)
        self.module.eval()
        save_network(self.module, self.out)
        return best

    def _loss(self, module: nn.Module, part: Part, rows: Sequence[int]) -> Tensor:
        anchors, texts, batch = part.pairs.batch(rows)
        vectors = [run_rows(module, [part.texts.rows[number] for number in numbers], self.spec.pad_id) for numbers in (anchors, texts)]
        return self.criterion(vectors[0], vectors[1], batch)

    def _metrics(self, vectors: np.ndarray) -> ScalarMetrics:
        numbers, pairs = self.validation.texts.numbers, self.validation.pairs.pairs
        has_scores = pairs[0].score is not None
        ask, tell = _before(self.spec, has_scores=has_scores)
        if has_scores:
            found = likenesses(vectors[[pair.first for pair in pairs]], vectors[[pair.second for pair in pairs]])
            return pair_metrics(found, np.array([pair.score for pair in pairs], dtype=np.float64))
        search = Search.among(self.examples)
        queries = [numbers[ask + text] for text in search.queries]
        return search.metrics(vectors[queries], vectors[[numbers[tell + text] for text in search.texts]])


def _settled(config: TrainConfig, *, has_scores: bool) -> TrainConfig:
    """Loss and watched figure for these examples. Raises InvalidInput (`invalid_training_option`)."""
    choices = _SCORED if has_scores else _PLAIN
    loss = choices[0] if config.loss == "auto" else config.loss
    if loss not in choices:
        raise InvalidInput("invalid_training_option", name="loss", value=loss, right=" or ".join(choices) + ", by the examples")
    metric = config.metric
    if metric != "loss" and has_scores != (metric == "spearman"):
        metric = "spearman" if has_scores else "ndcg"
    return replace(config, loss=loss, metric=metric)


def _network(setting: Setting) -> tuple[nn.Module, ModelSpec]:
    """The encoder and what it says of itself; a base keeps its own pooling and prompts where the options name none."""
    config = setting.config
    if config.is_scratch or setting.base is None:
        from transformers import AutoModel

        head = Head("embeddings", "cls" if config.pooling == "cls" else "mean", is_normalized=True)
        module = embedder_of(AutoModel.from_config(bert_config(config, vocabulary_size(setting.out))), head)
        vectors = _prompted(VectorSettings(config.hidden_size), config)
        return module, ModelSpec(config.task, (), config.max_length, 0, text=config.text, vectors=vectors)
    known, own = ModelSpec.load(setting.base), Head.of(read_config(setting.base))
    head = own if own.output == "embeddings" else Head("embeddings", "mean", is_normalized=True)
    if config.pooling in ("mean", "cls"):
        head = replace(head, pooling=config.pooling)  # type: ignore[arg-type]  # one of both
    module = build_embedder(setting.base, head, dropout=config.dropout)
    size = module.size
    vectors = _prompted(known.vectors or VectorSettings(size, head.is_normalized), config)
    limit = min(config.max_length, known.max_length)
    return module, replace(known, task=config.task, labels=(), max_length=limit, vectors=vectors)


def _prompted(vectors: VectorSettings, config: TrainConfig) -> VectorSettings:
    prompts = dict(vectors.prompts)
    for role, words in (("query", config.query_prompt), ("passage", config.passage_prompt)):
        if words:
            prompts[role] = words
    return replace(vectors, prompts=tuple(prompts.items()))


def _before(spec: ModelSpec, *, has_scores: bool) -> tuple[str, str]:
    """Words before first and second texts, as callers are told to send them: scored pairs have the default prompt on both sides."""
    assert spec.vectors is not None, "made here"
    if has_scores:
        return spec.vectors.prompt(None), spec.vectors.prompt(None)
    return spec.vectors.role_words("query"), spec.vectors.role_words("passage")


def _encode(
    config: TrainConfig, out: Path, spec: ModelSpec, splits: tuple[list[Related], list[Related]], *, has_scores: bool
) -> list[Part]:  # fmt: skip
    """Both splits in ids, scores on the scale of cosines."""
    scale = score_scale(splits[0]) if has_scores else 1.0
    encoder = TextEncoder.load(out)
    parts: list[Part] = []
    for examples, longest in zip(splits, (config.train_length, spec.max_length), strict=True):
        scaled = [replace(item, score=item.score / scale) if item.score is not None else item for item in examples]
        texts = Texts()
        pairs = Pairs.of(scaled, texts, before=_before(spec, has_scores=has_scores))
        encoder.max_length = min(spec.max_length, longest)
        texts.encode(encoder)
        parts.append(Part(texts, pairs))
    return parts


def _loss(config: TrainConfig, size: int) -> Loss:
    losses: dict[str, Loss] = {
        "contrastive": Contrastive(config.temperature, config.symmetric), "triplet": Triplet(config.margin),
        "cosent": CoSent(config.temperature), "mse": CosineError(),
    }  # fmt: skip
    found = losses[config.loss]
    if not config.matryoshka:
        return found
    if max(config.matryoshka) > size:
        raise InvalidInput("invalid_training_option", name="matryoshka", value=str(max(config.matryoshka)), right=f"at most {size}")
    weights = config.matryoshka_weights or (1.0,) * len(config.matryoshka)
    given = dict(zip(config.matryoshka, weights, strict=True))
    whole = {} if size in given else {size: 1.0}  # the whole vector always learns
    sizes = {**whole, **given}
    return Nested(found, [*sizes], [*sizes.values()])
