"""Token classification: a label for every token of a text, judged each by itself or, with a CRF, as a row.

Every token of a model learns, later pieces of words too: texts with spans of characters have no words to take the first piece of, and
the tags say where a span goes on. Texts longer than `train_length` are learnt in windows.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.models.pretrained import build_from_base
from hanlin.networks.crf import LinearChainCrf
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.loading import save_network
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.label_chain import FORBIDDEN, LabelChain
from hanlin.tasks.span_metrics import NOT_JUDGED, ROW_END, SpanMetrics, span_metrics
from hanlin.tasks.spec import MAX_LENGTH, ModelSpec
from hanlin.tasks.tagged_texts import read_tagging
from hanlin.tasks.tags import OUTSIDE, TagScheme, expand, forbidden, is_inside, is_unfinished, paint
from hanlin.tasks.windows import cut_windows, framed
from hanlin.training.batches import collate, plan_evaluation
from hanlin.training.compaction import Compaction, compact
from hanlin.training.config import TrainConfig
from hanlin.training.encoders import scales_of
from hanlin.training.evaluation import Evaluation
from hanlin.training.examples import check_rows
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.ports import Rows
from hanlin.training.scratch import lay_out_tokenizer, new_network, start_vectors, write_spec

NUM_TYPES = 2  # a token of the predicate, or another

FIGURES = ("f1", "precision", "recall", "accuracy")
HANDICAPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0)  # taken from the score of `O`


@dataclass(frozen=True, slots=True)
class TaggedRows:
    """Rows of token ids with the label of each token; `NOT_JUDGED` where there is none. Token types where the network reads them."""

    rows: list[array[int]]
    gold: list[array[int]]
    types: list[array[int]] | None = None


class Tagger(nn.Module):
    """A network with the CRF above it while both learn. Only the network is saved as one; the CRF goes into the spec."""

    def __init__(self, network: nn.Module, labels: Sequence[str], *, has_crf: bool) -> None:
        super().__init__()
        self.network = network
        self.crf = LinearChainCrf(len(labels)) if has_crf else None
        self.barred = [torch.from_numpy(mask) for mask in forbidden(labels)]
        for part, mask in zip(self._parts(), self.barred, strict=False):
            part.data.masked_fill_(mask, FORBIDDEN)

    def _parts(self) -> list[nn.Parameter]:
        return [] if self.crf is None else [self.crf.start, self.crf.transitions, self.crf.end]

    def loss(self, inputs: Sequence[Tensor], gold: Tensor, smoothing: float) -> Tensor:
        """Mean over the judged tokens, () float32. Ids, mask (and types), labels: (batch, length) int64 each."""
        return self.loss_of(self.network(*inputs).float(), gold, smoothing)

    def loss_of(self, logits: Tensor, gold: Tensor, smoothing: float) -> Tensor:
        """The same of the logits (batch, length, labels) float32."""
        if self.crf is None:
            return functional.cross_entropy(logits.flatten(0, 1), gold.flatten(), ignore_index=NOT_JUDGED, label_smoothing=smoothing)
        judged = (gold != NOT_JUDGED).long()
        return -self.crf.log_likelihood(logits, gold, judged).sum() / judged.sum().clamp(min=1)

    def chain(self) -> LabelChain | None:
        """The CRF as serving reads it."""
        if self.crf is None:
            return None
        parts = zip(self._parts(), self.barred, strict=True)  # weight decay has worn what is barred
        return LabelChain(
            *(part.detach().double().clamp(FORBIDDEN, -FORBIDDEN).masked_fill(mask, FORBIDDEN).numpy() for part, mask in parts)
        )


@LESSONS.register("token-classification")
class TokenClassificationLesson:
    """One label a token."""

    def prepare(self, setting: Setting) -> TaggingCourse:
        """See `Lesson.prepare`."""
        config, data, out = setting.config, setting.data, setting.out
        check_rows(data)
        labels = expand(data.labels, cast("TagScheme", config.tags))
        lay_out_tokenizer(setting)
        spec = write_spec(config, replace(data, labels=labels), out, base=setting.base)
        train = tagged_rows(data.train, spec, out, config, length=config.train_length)
        validation = tagged_rows(data.validation, spec, out, config, length=spec.max_length)
        return tagging_course(setting, spec, train, validation)

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: a table says it all."""
        return {}


@dataclass(frozen=True, slots=True)
class TaggingCourse:
    """See `Course`."""

    config: TrainConfig
    module: Tagger
    scales: Mapping[str, float]
    spec: ModelSpec
    train: TaggedRows
    validation: TaggedRows
    compaction: Compaction | None
    out: Path

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`."""
        return [len(row) for row in self.train.rows]

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`."""
        assert isinstance(module, Tagger)
        return module.loss(*self._batch(self.train, rows), self.config.label_smoothing)

    def weight(self, rows: Sequence[int]) -> float:
        """See `Divided.weight`: the judged tokens."""
        return sum(label != NOT_JUDGED for row in rows for label in self.train.gold[row])

    def judge(self) -> dict[str, float]:
        """See `Course.judge`."""
        logits, loss = self._read()
        metrics = self._metrics(logits, self.module.chain())
        return {name: metrics.get(name) for name in FIGURES} | {"loss": loss}

    def _read(self) -> tuple[list[npt.NDArray[np.float32]], float]:
        """Logits (tokens, labels) of every validation row, and the mean loss of their tokens."""
        self.module.eval()
        rows = self.validation.rows
        found: list[npt.NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(rows)
        loss, tokens = 0.0, 0
        with torch.inference_mode():
            for batch in plan_evaluation([len(row) for row in rows]):
                inputs, gold = self._batch(self.validation, batch)
                logits = self.module.network(*inputs).float()
                judged = int((gold != NOT_JUDGED).sum())
                loss += float(self.module.loss_of(logits, gold, 0.0)) * judged
                tokens += judged
                for place, index in enumerate(batch):
                    found[index] = logits[place, : len(rows[index])].numpy()
        return found, loss / max(1, tokens)

    def finish(self, best: float) -> float:
        """See `Course.finish`: the whole vocabulary back in its place, the CRF into the spec."""
        chain = self.module.chain()
        if chain is not None:  # while the rows are still in the ids of the network
            chain, figures = self._weighed(chain)
            best = figures.get(self.config.metric, best)
        if self.compaction:
            self.compaction.restore(self.module.network)
        self.module.eval()
        save_network(self.module.network, self.out)
        replace(self.spec, chain=chain).save(self.out)
        return best

    def _weighed(self, chain: LabelChain) -> tuple[LabelChain, dict[str, float]]:
        """The chain with the handicap of `O` that is best by F1 on the validation rows, and its figures: likelihood alone is too shy."""
        logits, _ = self._read()
        outside = self.spec.labels.index(OUTSIDE)
        tried = [(self._metrics(logits, one), one) for one in (chain.without(outside, handicap) for handicap in HANDICAPS)]
        metrics, best = max(tried, key=lambda item: item[0].get("f1"))
        return best, {name: metrics.get(name) for name in FIGURES}

    def _batch(self, part: TaggedRows, rows: Sequence[int]) -> tuple[tuple[Tensor, ...], Tensor]:
        inputs = collate([part.rows[row] for row in rows], self.spec.pad_id)
        gold, _ = collate([part.gold[row] for row in rows], NOT_JUDGED)
        if part.types is None:
            return inputs, gold
        return (*inputs, collate([part.types[row] for row in rows], 0)[0]), gold

    def _metrics(self, logits: Sequence[npt.NDArray[np.float32]], chain: LabelChain | None) -> SpanMetrics:
        found = [_best(values, own, chain) for values, own in zip(logits, self.validation.gold, strict=True)]
        gold = [place for row in self.validation.gold for place in (*row, ROW_END)]
        predicted = [place for row in found for place in (*row, 0)]
        return span_metrics(np.array(predicted), np.array(gold), self.spec.labels)


def tagging_course(setting: Setting, spec: ModelSpec, train: TaggedRows, validation: TaggedRows) -> TaggingCourse:
    """The course of a tagger whose tokenizer and spec are laid out."""
    config, out = setting.config, setting.out
    num_types = 0 if train.types is None else NUM_TYPES
    network: nn.Module = (
        new_network(config, spec.labels, out, start_vectors(setting), output="token_logits", num_types=num_types)
        if config.is_scratch or setting.base is None
        else build_from_base(setting.base, spec.labels, dropout=config.dropout, output="token_logits", has_types=num_types > 0)
    )
    replace_dropout(network)
    compaction = None if config.is_scratch else compact(network, train.rows + validation.rows, spec.pad_id)
    if compaction:
        train, validation = (replace(part, rows=compaction.translate(part.rows)) for part in (train, validation))
    module = Tagger(network, spec.labels, has_crf=config.crf)
    scales = scales_of(module, config)
    return TaggingCourse(config, module, scales, spec, train, validation, compaction, out)


def tagged_rows(rows: Rows, spec: ModelSpec, folder: Path, config: TrainConfig, *, length: int) -> TaggedRows:
    """Every text as one row, or as windows of at most `length` tokens; what lies beyond the encoder's bound is not learnt."""
    encoder, scheme = TextEncoder.load(folder), cast("TagScheme", config.tags)
    encoder.max_length = MAX_LENGTH
    places = {label: place for place, label in enumerate(spec.labels)}
    found = TaggedRows([], [])
    for text, annotation in zip(rows.texts, rows.labels, strict=True):
        encoded = encoder.encode_marked([text], "truncate")
        assert encoded.marks is not None
        (row,), (marks,) = encoded.rows, encoded.marks
        own = [place for place, span in enumerate(marks.spans) if span is not None]
        tags = paint(marks.spans, read_tagging(annotation).entities, scheme)
        gold = [places[tag] if span is not None else NOT_JUDGED for tag, span in zip(tags, marks.spans, strict=True)]
        head, tail = own[0], len(row) - own[-1] - 1
        windows = cut_windows(len(row) - head - tail, min(length, spec.max_length) - head - tail, place=head)
        for window, ids in zip(windows, framed(row, windows, tail), strict=True):
            inner = _whole_runs(tags[head + window.start : head + window.end], gold[head + window.start : head + window.end], scheme)
            found.rows.append(array("i", ids))
            found.gold.append(array("i", [*[NOT_JUDGED] * head, *inner, *[NOT_JUDGED] * tail]))
    return found


def _whole_runs(tags: Sequence[str], gold: Sequence[int], scheme: TagScheme) -> list[int]:
    """The labels of a window, without those of runs that its edges cut apart: no row begins inside a run."""
    first, last = 0, len(tags)
    while first < last and is_inside(tags[first]):
        first += 1
    while last > first and is_unfinished(tags[last - 1], scheme):
        last -= 1
    return [label if first <= place < last else NOT_JUDGED for place, label in enumerate(gold)]


def _best(logits: npt.NDArray[np.float32], gold: Sequence[int], chain: LabelChain | None) -> list[int]:
    """The label of every token of a row, by the chain over those that are judged."""
    if chain is None:
        return [int(label) for label in logits[: len(gold)].argmax(axis=1)]
    judged = [place for place, label in enumerate(gold) if label != NOT_JUDGED]
    path = [0] * len(gold)
    if judged:
        for place, label in zip(judged, chain.best(logits[judged]), strict=True):
            path[place] = label
    return path
