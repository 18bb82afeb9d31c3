"""What networks that write learn from: sources and targets as ids, in batches for teacher forcing."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from hanlin.networks.loading import Generator
from hanlin.networks.seq2seq import EncoderDecoder
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.text import TextSettings
from hanlin.tasks.tokenizer import asking
from hanlin.tasks.written_texts import target_of
from hanlin.training.batches import collate
from hanlin.training.ports import Rows

IGNORED = -100
_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Marks:
    """Ids that frame a target: what it begins with, what ends it, what fills rows."""

    begin: int
    end: int
    pad: int


@dataclass(frozen=True, slots=True)
class WrittenRows:
    """Sources, and targets with the token that ends them."""

    sources: list[array[int]]
    targets: list[array[int]]

    @property
    def lengths(self) -> list[int]:
        """Tokens of both sides."""
        return [len(source) + len(target) for source, target in zip(self.sources, self.targets, strict=True)]


def marks_of(module: nn.Module) -> Marks:
    """The marks that a network of ours or of transformers was made with."""
    config: Any = module.config
    begin = config.bos_token_id if isinstance(module, Generator) else getattr(config, "decoder_start_token_id", None)
    end = config.eos_token_id
    assert isinstance(begin, int), "every network that we allow names what a target begins with"
    return Marks(begin, end[0] if isinstance(end, list) else int(end), int(config.pad_token_id))


def written_rows(rows: Rows, encoder: TextEncoder, tokenizer: Tokenizer, text: TextSettings, *, end: int, longest: int) -> WrittenRows:
    """Ids of every example, sources cut to the encoder's length, targets to `longest` tokens."""
    sources: list[array[int]] = []
    ids: list[array[int]] = []
    for start in range(0, len(rows.texts), _CHUNK):
        sources += [array("i", row) for row in encoder.encode(rows.texts[start : start + _CHUNK], truncate=True)]
        targets = [text.prepare(target_of(item)) for item in rows.labels[start : start + _CHUNK]]
        with asking():
            encoded = tokenizer.encode_batch(targets, add_special_tokens=False)
        ids += [array("i", [*row.ids[: longest - 1], end]) for row in encoded]
    return WrittenRows(sources, ids)


def scores_of(module: nn.Module, part: WrittenRows, rows: Sequence[int], marks: Marks) -> tuple[Tensor, Tensor]:
    """Scores of every next token (batch, length, vocabulary) float32, and the tokens themselves (batch, length), `IGNORED` behind ends."""
    ids, mask = collate([part.sources[row] for row in rows], marks.pad)
    gold, gold_mask = collate([part.targets[row] for row in rows], marks.pad)
    shown = torch.cat([torch.full((len(gold), 1), marks.begin), gold[:, :-1]], dim=1)
    if isinstance(module, EncoderDecoder):
        scores = module(ids, mask, shown, gold_mask)
    else:
        scores = module(
            input_ids=ids, attention_mask=mask, decoder_input_ids=shown, decoder_attention_mask=gold_mask, use_cache=False
        ).logits
    return scores.float(), gold.masked_fill(gold_mask == 0, IGNORED)
