"""Semantic parsing: cross-entropy of every token's tag and of every field of the sentence, read at the row's first token.

Source: Liu and Lane, Attention-based RNN models for joint intent detection and slot filling (2016); here with several fields.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.models.pretrained import build_from_base
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.loading import save_network
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.meaning_decoding import Layout
from hanlin.tasks.meaning_examples import read_annotation, spans_of
from hanlin.tasks.spec import ModelSpec
from hanlin.training.batches import collate, plan_evaluation
from hanlin.training.compaction import Compaction, compact
from hanlin.training.config import TrainConfig
from hanlin.training.encoders import scales_of
from hanlin.training.evaluation import Evaluation, judge_answers
from hanlin.training.examples import check_rows
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.meanings import field_words, labels_of, learn_schema, tags_of
from hanlin.training.ports import Rows
from hanlin.training.scratch import lay_out_tokenizer, new_network, start_vectors, write_spec

_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Parsed:
    """Examples as ids: rows of tokens, a tag for each (`_IGNORED` for special ones), a value for each field (`_IGNORED` where unknown)."""

    rows: list[array[int]]
    tags: list[array[int]]
    fields: list[array[int]]

    @property
    def lengths(self) -> list[int]:
        """Tokens of every row."""
        return [len(row) for row in self.rows]


@LESSONS.register("semantic-parsing")
class SemanticParsingLesson:
    """Intent and slots at once."""

    def prepare(self, setting: Setting) -> ParsingCourse:
        """See `Lesson.prepare`."""
        config, data, out = setting.config, setting.data, setting.out
        check_rows(data)
        schema = learn_schema(data.train.texts, data.train.labels)
        if config.schema is not None:
            config.schema.check_rows(data.train.labels)
            schema = config.schema.over(schema)
        labels = labels_of(schema)
        lay_out_tokenizer(setting)
        spec = replace(write_spec(config, replace(data, labels=labels), out, base=setting.base), meanings=schema)
        spec.save(out)
        module: nn.Module = (
            new_network(config, labels, out, start_vectors(setting), output="token_logits")
            if config.is_scratch or setting.base is None
            else build_from_base(setting.base, labels, dropout=config.dropout, output="token_logits")
        )
        replace_dropout(module)
        scales = scales_of(module, config)
        layout, encoder = Layout.of(labels), TextEncoder.load(out)
        encoder.max_length = min(spec.max_length, config.train_length)
        told_apart = schema.is_told_apart
        train = _encode(data.train, layout, encoder, told_apart)
        encoder.max_length = spec.max_length
        validation = _encode(data.validation, layout, encoder, told_apart)
        compaction = None if config.is_scratch else compact(module, train.rows + validation.rows, spec.pad_id)
        if compaction:
            train, validation = (replace(part, rows=compaction.translate(part.rows)) for part in (train, validation))
        return ParsingCourse(config, module, scales, spec, layout, train, validation, data.validation, compaction, out)

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: none."""
        return {}


@dataclass(frozen=True, slots=True)
class ParsingCourse:
    """See `Course`."""

    config: TrainConfig
    module: nn.Module
    scales: Mapping[str, float]
    spec: ModelSpec
    layout: Layout
    train: Parsed
    validation: Parsed
    held: Rows
    compaction: Compaction | None
    out: Path

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`."""
        return self.train.lengths

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`: the mean over tokens of their tags' loss, and that of each field."""
        return self._loss(module, self.train, rows)

    def judge(self) -> dict[str, float]:
        """See `Course.judge`."""
        module = self.compaction.read(self.module) if self.compaction else self.module
        metrics = judge_answers(module, self.out, self.held, output="token_logits").metrics
        batches = plan_evaluation(self.validation.lengths)
        with torch.inference_mode():
            losses = [float(self._loss(self.module, self.validation, batch)) * len(batch) for batch in batches]
        return {name: metrics.get(name) for name in ("exact_match", "intent_accuracy", "slot_f1")} | {
            "loss": sum(losses) / len(self.held.texts)
        }

    def finish(self, best: float) -> float:
        """See `Course.finish`: the whole vocabulary back in its place."""
        if self.compaction:
            self.compaction.restore(self.module)
        save_network(self.module, self.out)
        return best

    def _loss(self, module: nn.Module, examples: Parsed, rows: Sequence[int]) -> Tensor:
        ids, mask = collate([examples.rows[row] for row in rows], self.spec.pad_id)
        logits = module(ids, mask).float()  # (batch, length, labels)
        gold = torch.full(ids.shape, _IGNORED)
        for place, row in enumerate(rows):
            gold[place, : len(examples.tags[row])] = torch.tensor(examples.tags[row])
        tags = logits[:, :, torch.from_numpy(self.layout.tags)]
        loss = functional.cross_entropy(
            tags.flatten(0, 1), gold.flatten(), ignore_index=_IGNORED, label_smoothing=self.config.label_smoothing
        )
        for number, places in enumerate(self.layout.fields.values()):
            values = torch.tensor([examples.fields[row][number] for row in rows])
            if (values != _IGNORED).any():
                own = logits[:, 0, list(places.values())]
                loss = loss + functional.cross_entropy(own, values, ignore_index=_IGNORED, label_smoothing=self.config.label_smoothing)
        return loss


def _encode(rows: Rows, layout: Layout, encoder: TextEncoder, told_apart: Collection[str]) -> Parsed:
    """Ids of every example, cut to the encoder's length. Labels that training never saw count for nothing in the loss."""
    tag_numbers = {layout.labels[place]: number for number, place in enumerate(layout.tags)}
    value_numbers = {name: {words: number for number, words in enumerate(places)} for name, places in layout.fields.items()}
    found = Parsed([], [], [])
    for text, annotation in zip(rows.texts, rows.labels, strict=True):
        meaning = read_annotation(annotation)
        encoded = encoder.encode_marked([text], "truncate")
        assert encoded.marks is not None, "asked for"
        tags = tags_of(spans_of(meaning), encoded.marks[0].spans)
        words = field_words(meaning, told_apart)
        found.rows.append(array("i", encoded.rows[0]))
        found.tags.append(array("i", [_IGNORED if tag is None else tag_numbers.get(tag, _IGNORED) for tag in tags]))
        found.fields.append(array("i", [numbers.get(words.get(name, ""), _IGNORED) for name, numbers in value_numbers.items()]))
    return found
