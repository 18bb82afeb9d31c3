"""Pretraining of encoders: from raw text what is hidden in it, and if wanted whether a sentence follows another.

Source: Devlin et al., BERT (2019): masked words and next sentence, pairs of sentences; Liu et al., RoBERTa (2019): masked words alone,
hidden anew each time, rows full of text. A new encoder's token table begins with vectors of neighbours (first_table.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from hanlin.errors import InvalidInput
from hanlin.models.importing import mask_of
from hanlin.models.pretrained import build_filler_from_base
from hanlin.networks.dropout import replace_dropout
from hanlin.networks.filler import PretrainedFiller, PretrainedPairFiller, build_filler
from hanlin.networks.loading import save_network
from hanlin.tasks.masked_texts import DEPTHS
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import frame_of, load_tokenizer
from hanlin.training.batches import collate
from hanlin.training.config import TrainConfig
from hanlin.training.encoders import bert_config, check_setting, lay_out_tokenizer, scales_of, vocabulary_size
from hanlin.training.evaluation import Evaluation
from hanlin.training.examples import check_rows
from hanlin.training.first_table import start_table
from hanlin.training.lesson import LESSONS, Picture, Setting
from hanlin.training.masking import BlockRows, Drawn, Frame, Masking, Reading, write_pairs
from hanlin.training.streams import Batches, Blocks, SameLength, epoch_batches, shuffled, write_tokens

PAIRS = "mlm+nsp"
JUDGED_TOKENS = 100_000  # of the validation texts, at each evaluation


@LESSONS.register("fill-mask")
class FillMaskLesson:
    """Raw text."""

    def prepare(self, setting: Setting) -> MaskedCourse:
        """See `Lesson.prepare`."""
        check_setting(setting)
        check_rows(setting.data)
        lay_out_tokenizer(setting, setting.data.train.texts, is_masked=True)
        spec = _spec(setting)
        spec.save(setting.out)
        config = setting.config
        module = _network(setting)
        replace_dropout(module)
        length = min(config.train_length, spec.max_length)
        train, validation = (_reading(setting, spec, texts, length) for texts in (setting.data.train.texts, setting.data.validation.texts))
        if not len(train) or not len(validation):
            raise InvalidInput("nothing_to_learn", problem="a split has no tokens", train=len(train), validation=len(validation))
        if setting.base is None and setting.found is None:  # a checkpoint holds what was learnt
            known = start_table(module.table, train.text, seed=config.seed)
            setting.progress.message("vectors_of_neighbours", tokens=known)
        setting.progress.message("pretraining_on", rows=len(train), length=length, validation=len(validation))
        tokenizer = load_tokenizer(setting.out / "tokenizer.json")
        special = tuple(token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special)
        assert spec.mask_id is not None, "set above"
        masking = Masking(spec.mask_id, module.vocab_size, special, config.mask_share)
        scales = scales_of(module, config)
        return MaskedCourse(config, module, scales, spec, train, validation, length, masking, setting.out)

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """See `Lesson.pictures`: figures say it all."""
        return {}


class _Asked(NamedTuple):
    """What a batch asked and was answered: scores (places, vocabulary), what stood there, and the same of pairs of sentences."""

    scores: Tensor
    gold: Tensor
    follows: Tensor | None
    is_other: Tensor | None

    def loss(self, smoothing: float) -> Tensor:
        """Of masked words, whose targets are smoothed, and of pairs where there are any."""
        found = functional.cross_entropy(self.scores, self.gold, label_smoothing=smoothing)
        return found if self.follows is None or self.is_other is None else found + functional.cross_entropy(self.follows, self.is_other)


@dataclass(frozen=True, slots=True)
class MaskedCourse:
    """See `Course` and `PlansBatches`."""

    config: TrainConfig
    module: nn.Module
    scales: Mapping[str, float]
    spec: ModelSpec
    train: Reading
    validation: Reading
    length: int
    masking: Masking
    out: Path

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`: every row counts as full."""
        return SameLength(self.length, len(self.train))

    def batches(self, epoch: int) -> Batches:
        """See `PlansBatches.batches`."""
        config = self.config
        return epoch_batches(
            len(self.train),
            length=self.length,
            seed=config.seed,
            epoch=epoch,
            batch_tokens=config.batch_tokens,
            batch_size=config.batch_size,
        )

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`."""
        return self._ask(module, self.train.draw(rows)).loss(self.config.label_smoothing)

    def judge(self) -> dict[str, float]:
        """See `Course.judge`: on the same rows, hidden in the same way, each time."""
        self.module.eval()
        right, places, masked, pairs, follow = dict.fromkeys(DEPTHS, 0), 0, 0.0, 0.0, [0, 0]
        random = Generator().manual_seed(self.config.seed)
        with torch.inference_mode():
            for numbers in self._judged():
                asked = self._ask(self.module, self.validation.draw(numbers, random), random)
                masked += float(functional.cross_entropy(asked.scores, asked.gold, reduction="sum"))
                places += len(asked.gold)
                ranks = (asked.scores >= asked.scores.gather(1, asked.gold[:, None])).sum(1)
                right = {name: count + int((ranks <= DEPTHS[name]).sum()) for name, count in right.items()}
                if asked.follows is not None and asked.is_other is not None:
                    pairs += float(functional.cross_entropy(asked.follows, asked.is_other, reduction="sum"))
                    follow = [follow[0] + int((asked.follows.argmax(1) == asked.is_other).sum()), follow[1] + len(numbers)]
        mean = masked / places
        found = {name: count / places for name, count in right.items()} | {"perplexity": math.exp(min(700.0, mean)), "masked_loss": mean}
        more = {"next_sentence": follow[0] / follow[1], "loss": mean + pairs / follow[1]} if follow[1] else {"loss": mean}
        return found | more

    def finish(self, best: float) -> float:
        """See `Course.finish`."""
        save_network(self.module, self.out)
        return best

    def _judged(self) -> Iterator[list[int]]:
        """The rows of the validation texts that are judged, the same each time, evenly from all."""
        count, size = len(self.validation), max(1, 4096 // self.length)
        few = [shuffled(place, count, "judged") for place in range(min(count, max(1, JUDGED_TOKENS // self.length)))]
        return (few[at : at + size] for at in range(0, len(few), size))

    def _ask(self, module: nn.Module, drawn: Drawn, random: Generator | None = None) -> _Asked:
        ids, mask, *types = collate(drawn.rows, self.spec.pad_id, drawn.types)
        shown, asked = self.masking.hide(ids, mask, random)
        if drawn.follows is None:
            assert isinstance(module, PretrainedFiller), "masked words alone"
            return _Asked(module.scores(module.hidden(shown, mask)[asked]), ids[asked], None, None)
        assert isinstance(module, PretrainedPairFiller), "pairs of sentences"
        hidden, follows = module.both(shown, mask, types[0])
        return _Asked(module.scores(hidden[asked]), ids[asked], follows, torch.tensor(drawn.follows))


def _spec(setting: Setting) -> ModelSpec:
    config, mask_id = setting.config, mask_of(setting.out)
    if setting.base is None:
        return ModelSpec(config.task, (), config.max_length, 0, text=config.text, mask_id=mask_id)
    known = ModelSpec.load(setting.base)
    return ModelSpec(
        config.task, (), min(config.max_length, known.max_length), known.pad_id, text=known.text, languages=known.languages, mask_id=mask_id
    )


def _network(setting: Setting) -> PretrainedFiller:
    config, has_pairs = setting.config, setting.config.objective == PAIRS
    if setting.base is not None:
        return build_filler_from_base(setting.base, dropout=config.dropout, has_pairs=has_pairs)
    return build_filler(bert_config(config, vocabulary_size(setting.out)), has_pairs=has_pairs)


def _reading(setting: Setting, spec: ModelSpec, texts: Sequence[str], length: int) -> Reading:
    tokenizer, check = load_tokenizer(setting.out / "tokenizer.json"), setting.progress.check_cancelled
    before, after = frame_of(tokenizer, tokenizer.num_special_tokens_to_add(False))
    if len(before) != 1 or len(after) != 1:
        raise InvalidInput("invalid_tokenizer", details="a text stands between one token and another")
    frame = Frame(before[0], after[0])

    def encode(chunk: list[str]) -> list[list[int]]:
        prepared = [spec.text.prepare(text) for text in chunk]
        return [row.ids for row in tokenizer.encode_batch_fast(prepared, add_special_tokens=False)]

    if setting.config.objective == PAIRS:
        return write_pairs(texts, encode, setting.out.parent, frame=frame, length=length, check=check)
    tokens = write_tokens(texts, encode, setting.out.parent, end=[frame.end], check=check)
    return BlockRows(Blocks(tokens, length - 2), frame)
