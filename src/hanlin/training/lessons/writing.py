"""Translation and summarization: the next token of a target, from its source and the tokens before it.

Source: Vaswani et al., Attention Is All You Need (2017): label smoothing, one table of tokens, and teacher forcing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.errors import InvalidInput
from hanlin.models.tokenizers import BEGIN, END, PAD, save_tokenizer, train_tokenizer
from hanlin.models.written_tokenizer import with_decoder
from hanlin.networks.config import NetworkConfig
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.generation.run import step_model
from hanlin.networks.loading import build_generator, save_network
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings
from hanlin.tasks.text_writing import default_settings
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.tasks.written_texts import target_of
from hanlin.training.batches import plan_evaluation
from hanlin.training.config import TrainConfig
from hanlin.training.decoders import brings_no_decoder, target_positions, writer_on
from hanlin.training.encoders import scales_of
from hanlin.training.evaluation import Evaluation, judge_answers
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.ports import Rows
from hanlin.training.written import IGNORED, Marks, WrittenRows, marks_of, scores_of, written_rows

JUDGED_ROWS = 100  # that are written out at each evaluation; all of them take minutes


class _Few(NamedTuple):
    texts: Sequence[str]
    labels: Sequence[str]


class WritingLesson:
    """A text for a text."""

    def prepare(self, setting: Setting) -> WritingCourse:
        """See `Lesson.prepare`."""
        config, data, out = setting.config, setting.data, setting.out
        if not data.train.texts or not data.validation.texts:
            raise InvalidInput(
                "nothing_to_learn", problem="a split has no rows", train=len(data.train.texts), validation=len(data.validation.texts)
            )
        lay_out_tokenizer(setting, map(target_of, data.train.labels))
        module = network(setting)
        marks = marks_of(module)
        replace_dropout(module)
        known = None if setting.base is None else ModelSpec.load(setting.base)
        text, longest = (config.text, config.max_length) if known is None else (known.text, min(config.max_length, known.max_length))
        languages = () if known is None else known.languages
        room = step_model(module).room([]) or config.max_target_length
        settings = default_settings(min(2 * config.max_target_length, config.max_length))
        spec = ModelSpec(config.task, (), longest, marks.pad, text=text, languages=languages, generation=settings)
        spec.save(out)
        encoder, tokenizer = TextEncoder.load(out), load_tokenizer(out / "tokenizer.json")
        encoder.max_length = min(spec.max_length, config.train_length)
        train, validation = (
            written_rows(rows, encoder, tokenizer, text, end=marks.end, longest=min(config.max_target_length, room))
            for rows in (data.train, data.validation)
        )
        return WritingCourse(config, module, marks, train, validation, data.validation, out, brings_no_decoder(setting.base))

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: none."""
        return {}


@LESSONS.register("translation")
class TranslationLesson(WritingLesson):
    """Pairs of texts in two languages."""


@LESSONS.register("summarization")
class SummarizationLesson(WritingLesson):
    """Texts and what they say in short."""


@dataclass(frozen=True, slots=True)
class WritingCourse:
    """See `Course`.

    Attributes:
        has_new_decoder: whether its base is an encoder alone.
    """

    config: TrainConfig
    module: nn.Module
    marks: Marks
    train: WrittenRows
    validation: WrittenRows
    held: Rows
    out: Path
    has_new_decoder: bool = False

    @property
    def scales(self) -> Mapping[str, float]:
        """See `Course`: a new decoder is the head of its base."""
        found = scales_of(self.module, self.config)
        return found | {name: self.config.head_rate for name in found if self.has_new_decoder and name.startswith("decoder.")}

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`."""
        return self.train.lengths

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`: the mean over target tokens."""
        scores, gold = scores_of(module, self.train, rows, self.marks)
        return functional.cross_entropy(
            scores.flatten(0, 1), gold.flatten(), ignore_index=IGNORED, label_smoothing=self.config.label_smoothing
        )

    def weight(self, rows: Sequence[int]) -> float:
        """See `Divided.weight`: target tokens."""
        return sum(len(self.train.targets[row]) for row in rows)

    def judge(self) -> dict[str, float]:
        """See `Course.judge`: the loss of all validation examples, the task's figures of the first hundred, written greedily."""
        self.module.eval()
        total, tokens = 0.0, 0
        with torch.inference_mode():
            for batch in plan_evaluation(self.validation.lengths):
                scores, gold = scores_of(self.module, self.validation, batch, self.marks)
                total += float(functional.cross_entropy(scores.flatten(0, 1), gold.flatten(), ignore_index=IGNORED, reduction="sum"))
                tokens += int((gold != IGNORED).sum())
        few = _Few(self.held.texts[:JUDGED_ROWS], self.held.labels[:JUDGED_ROWS])
        found = judge_answers(self.module, self.out, few, output="sequences", parameters={"num_beams": 1}).metrics
        return {name: found.get(name) for name in TASKS.get(self.config.task).figures} | {"loss": total / max(1, tokens)}

    def finish(self, best: float) -> float:
        """See `Course.finish`."""
        save_network(self.module, self.out)
        return best


def lay_out_tokenizer(setting: Setting, written: Iterable[str], *, text: TextSettings | None = None) -> None:
    """The checkpoint's, the base's made to write, or one trained on both sides of the examples, which share their tokens.

    Args:
        text: how texts come to it, where that is not the base's way.
    """
    config, data, target = setting.config, setting.data, setting.out / "tokenizer.json"
    if setting.found is not None:
        shutil.copyfile(setting.found / "tokenizer.json", target)
    elif setting.base is not None and brings_no_decoder(setting.base):
        is_segmented = (text or ModelSpec.load(setting.base).text).segmentation != "none"
        save_tokenizer(with_decoder(load_tokenizer(setting.base / "tokenizer.json"), is_segmented=is_segmented), setting.out)
    elif setting.base is not None:
        shutil.copyfile(setting.base / "tokenizer.json", target)
    else:
        both = chain(data.train.texts, written)
        texts = (config.text.prepare(text) for text in both)
        save_tokenizer(train_tokenizer(texts, config.tokenizer, config.vocab_size, min_count=config.min_count), setting.out)  # type: ignore[arg-type]  # checked by TrainConfig


def network(setting: Setting, *, more: int = 0) -> nn.Module:
    """The base, or a new network; `more` counts tokens behind those of the tokenizer."""
    config = setting.config
    if setting.base is not None:
        return writer_on(setting.base, config, setting.out, num_more=more)
    if config.model != "transformer" or config.tokenizer != "byte-bpe":
        raise InvalidInput(
            "network_for_another_task", model=f"{config.model}/{config.tokenizer}", task=config.task, choices="transformer/byte-bpe"
        )
    vocabulary = load_tokenizer(setting.out / "tokenizer.json").get_vocab(with_added_tokens=True)
    return build_generator(
        NetworkConfig(
            model_type="hanlin-seq2seq", vocab_size=max(vocabulary.values()) + 1 + more, embedding_size=config.hidden_size,
            hidden_size=config.hidden_size, num_hidden_layers=config.layers, num_decoder_layers=config.decoder_layers,
            num_attention_heads=config.heads, intermediate_size=4 * config.hidden_size,
            max_position_embeddings=target_positions(config), positions=config.positions,
            dropout=config.dropout, embedding_dropout=config.embedding_dropout, pad_token_id=vocabulary[PAD],
            bos_token_id=vocabulary[BEGIN], eos_token_id=vocabulary[END],
        )
    )  # fmt: skip
