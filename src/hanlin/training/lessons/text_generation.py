"""Text generation: the next token of a text or of an answer, from all that stands before it; or the better of two answers.

Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019), with a Transformer of rotary positions (Su et al., 2021)
or an RNN, LSTM or GRU (`networks/recurrent_decoder.py`).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import processors
from torch import Tensor, nn
from torch.nn import functional

from hanlin.errors import InvalidInput
from hanlin.generation import MAX_NEW_TOKENS, GenerationSettings
from hanlin.models.tokenizers import BEGIN, END, PAD, save_tokenizer, train_tokenizer
from hanlin.networks.config import NetworkConfig
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.loading import build_generator, save_network
from hanlin.tasks.chat import stops_of
from hanlin.tasks.chat_form import CHATML, CHATML_TOKENS, plain_form
from hanlin.tasks.continued_texts import messages_of, rejected_of
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.training.batches import plan_evaluation
from hanlin.training.config import TrainConfig
from hanlin.training.continued import IGNORED, READ, ContinuedRows, continued_rows, scores_of
from hanlin.training.encoders import scales_of, writer_of
from hanlin.training.evaluation import Evaluation
from hanlin.training.examples import check_rows
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.option_rules import PREFERENCE
from hanlin.training.packed import PackedRows, few_of, loss_of, write_rows
from hanlin.training.preferred import PreferenceCourse, preference_course
from hanlin.training.streams import Batches, SameLength, epoch_batches

NETWORKS = {"transformer": "hanlin-decoder", "rnn": "hanlin-rnn-decoder", "lstm": "hanlin-lstm-decoder", "gru": "hanlin-gru-decoder"}
NEW_TOKENS = 256  # that a version writes where a call says nothing
_EVALUATED_TOKENS = 4096  # of a batch: scores of a vocabulary stand at each


@LESSONS.register("text-generation")
class TextGenerationLesson:
    """What comes next."""

    def prepare(self, setting: Setting) -> GenerationCourse | PreferenceCourse:
        """See `Lesson.prepare`."""
        config, data, out = setting.config, setting.data, setting.out
        check_rows(data)
        if config.packing and any(data.train.labels):
            raise InvalidInput("invalid_training_option", name="packing", value="true", right="false where there are talks, or prompts")
        has_talks = any(messages_of(label) for label in data.train.labels if label)
        _lay_out_tokenizer(setting, has_talks=has_talks)
        module = writer_of(setting.base, config) if setting.base is not None else _network(setting)
        replace_dropout(module)
        spec, end = _spec(setting, module, has_talks=has_talks)
        spec.save(out)
        encoder = TextEncoder.load(out)
        encoder.max_length = min(spec.max_length, config.train_length)
        if config.packing:
            return _packed(setting, module, spec, encoder, end=end)
        if config.objective == PREFERENCE:
            return preference_course(setting, module, spec, encoder, end=end, save=lambda: save_network(module, out))
        if any(rejected_of(label) is not None for label in data.train.labels[:1]):
            setting.progress.message("rejected_unread")
        train, validation = (
            continued_rows(rows, encoder, spec, end=end, longest=encoder.max_length) for rows in (data.train, data.validation)
        )
        return GenerationCourse(config, module, spec.pad_id, train, validation, out)

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: none."""
        return {}


def _packed(setting: Setting, module: nn.Module, spec: ModelSpec, encoder: TextEncoder, *, end: int) -> PackedCourse:
    length = encoder.max_length
    packed = write_rows(setting, encoder, spec, setting.data.train.texts, end=end, length=length)
    validation = continued_rows(few_of(setting.data.validation), encoder, spec, end=end, longest=length)
    if not len(packed) or not validation.ids:
        raise InvalidInput("nothing_to_learn", problem="a split has no tokens", train=len(packed), validation=len(validation.ids))
    setting.progress.message("pretraining_on", rows=len(packed), length=length, validation=len(validation.ids))
    return PackedCourse(setting.config, module, spec.pad_id, ContinuedRows([], [], 0), validation, setting.out, packed)


@dataclass(frozen=True, slots=True)
class GenerationCourse:
    """See `Course`."""

    config: TrainConfig
    module: nn.Module
    pad_id: int
    train: ContinuedRows
    validation: ContinuedRows
    out: Path

    @property
    def scales(self) -> Mapping[str, float]:
        """See `Course`."""
        return scales_of(self.module, self.config)

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`."""
        return self.train.lengths

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`: the mean over the tokens that are learned; nothing where a batch has none."""
        scores, gold, _ = scores_of(module, self.train, rows, self.pad_id)
        total = functional.cross_entropy(
            scores.flatten(0, 1), gold.flatten(), ignore_index=IGNORED, label_smoothing=self.config.label_smoothing, reduction="sum"
        )
        return total / max(1, int((gold != IGNORED).sum()))

    def weight(self, rows: Sequence[int]) -> float:
        """See `Divided.weight`: the tokens that are learned; 1 where there is none."""
        return max(1, sum(kind != READ for row in rows for kind in self.train.kinds[row][1:]))

    def judge(self) -> dict[str, float]:
        """See `Course.judge`: the loss of all that is learned; accuracy, perplexity and bits a byte of what figures count."""
        self.module.eval()
        total, learned, log, tokens, right = 0.0, 0, 0.0, 0, 0
        with torch.inference_mode():
            for batch in plan_evaluation(self.validation.lengths, batch_tokens=_EVALUATED_TOKENS):
                scores, gold, counts = scores_of(self.module, self.validation, batch, self.pad_id)
                losses = functional.cross_entropy(scores.flatten(0, 1), gold.flatten(), ignore_index=IGNORED, reduction="none")
                total += float(losses.sum())
                learned += int((gold != IGNORED).sum())
                log += float(losses[counts.flatten()].sum())
                tokens += int(counts.sum())
                right += int((scores.argmax(-1) == gold)[counts].sum())
        share = log / max(1, tokens)
        return {
            "loss": total / max(1, learned), "accuracy": right / max(1, tokens), "perplexity": math.exp(min(700.0, share)),
            "bits_per_byte": log / max(1, self.validation.size_bytes) / math.log(2),
        }  # fmt: skip

    def finish(self, best: float) -> float:
        """See `Course.finish`."""
        save_network(self.module, self.out)
        return best


@dataclass(frozen=True, slots=True)
class PackedCourse(GenerationCourse):
    """The same over rows full of text on disk, see `training/packed.py`. Also `PlansBatches`."""

    packed: PackedRows

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`: every row counts as full."""
        return SameLength(self.packed.blocks.length, len(self.packed))

    def batches(self, epoch: int) -> Batches:
        """See `PlansBatches.batches`."""
        config = self.config
        return epoch_batches(
            len(self.packed), length=self.packed.blocks.length, seed=config.seed, epoch=epoch, batch_tokens=config.batch_tokens,
            batch_size=config.batch_size,
        )  # fmt: skip

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`."""
        return loss_of(module, self.packed.pieces(rows), self.pad_id, smoothing=self.config.label_smoothing)

    def weight(self, rows: Sequence[int]) -> float:
        """See `Divided.weight`: the tokens that are learned; 1 where there is none."""
        return max(1, sum(kind != READ for kinds in self.packed.pieces(rows).kinds for kind in kinds))


def _lay_out_tokenizer(setting: Setting, *, has_talks: bool) -> None:
    """The checkpoint's, the base's, or one trained on the texts, which begins each, and marks talks where there are some."""
    config, target = setting.config, setting.out / "tokenizer.json"
    known = setting.found or setting.base
    if known is not None:
        shutil.copyfile(known / "tokenizer.json", target)
        return
    if config.tokenizer != "byte-bpe":
        choices = ", ".join(f"{model}/byte-bpe" for model in NETWORKS)
        raise InvalidInput("network_for_another_task", model=f"{config.model}/{config.tokenizer}", task=config.task, choices=choices)
    texts = (config.text.prepare(text) for text in setting.data.train.texts)
    tokenizer = train_tokenizer(texts, "byte-bpe", config.vocab_size, min_count=config.min_count)
    if has_talks:
        tokenizer.add_special_tokens([*CHATML_TOKENS])
    mark = tokenizer.token_to_id(BEGIN)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, mark)])
    save_tokenizer(tokenizer, setting.out)


def _network(setting: Setting) -> nn.Module:
    config = setting.config
    vocabulary = load_tokenizer(setting.out / "tokenizer.json").get_vocab(with_added_tokens=True)
    return build_generator(
        NetworkConfig(
            model_type=NETWORKS[config.model], bidirectional=False, vocab_size=max(vocabulary.values()) + 1,
            embedding_size=config.hidden_size, hidden_size=config.hidden_size, num_hidden_layers=config.layers,
            num_attention_heads=config.heads, intermediate_size=4 * config.hidden_size, positions=config.positions,
            max_position_embeddings=config.max_length + NEW_TOKENS if config.model == "transformer" else 0,
            dropout=config.dropout, embedding_dropout=config.embedding_dropout, pad_token_id=vocabulary[PAD],
            bos_token_id=vocabulary[BEGIN], eos_token_id=vocabulary[END],
        )
    )  # fmt: skip


def _spec(setting: Setting, module: nn.Module, *, has_talks: bool) -> tuple[ModelSpec, int]:
    """What the version says of itself, and the token that ends a text."""
    config, tokenizer = setting.config, load_tokenizer(setting.out / "tokenizer.json")
    if setting.base is not None:
        before = ModelSpec.load(setting.base)
        settings, pad_id, form = before.generation or GenerationSettings(), before.pad_id, before.chat
        longest, text, languages = min(config.max_length, before.max_length), before.text, before.languages
        stops = settings.stop_ids or _stops(module)
    else:
        own = module.config
        assert isinstance(own, NetworkConfig), "built above"
        settings, pad_id, form, longest = GenerationSettings(max_new_tokens=NEW_TOKENS), own.pad_token_id, None, config.max_length
        text, languages = config.text, ()
        stops = (own.eos_token_id,)
    end = stops[-1]
    if has_talks and form is None:
        is_known = all(tokenizer.token_to_id(name) is not None for name in CHATML_TOKENS)
        form = CHATML if is_known else plain_form(tokenizer.id_to_token(end) or "")
    if form is not None:
        stops = (*(stop for stop in stops_of(tokenizer, form) if stop not in stops), *stops)
    settings = replace(settings, stop_ids=stops, max_new_tokens=min(settings.max_new_tokens, MAX_NEW_TOKENS))
    return ModelSpec(config.task, (), longest, pad_id, text=text, languages=languages, generation=settings, chat=form), end


def _stops(module: nn.Module) -> tuple[int, ...]:
    from hanlin.networks.generation.run import step_model

    found = step_model(module).stop_ids
    if not found:
        raise InvalidInput("no_end_of_text")
    return found
