"""What a language model learns from when texts may be larger than memory: rows full of text on disk, taken apart at texts' ends.

    start t1 … tn end start t1 … | … tm end start …      rows of one length, each beginning with the last token of the one before

A text that ends in a row and the one that begins there are two pieces, which a network reads apart: no token sees another text, and none
is asked for what only a text before it could tell.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.datasets import Split
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.read_texts import start_of
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import asking
from hanlin.training.continued import IGNORED, READ, SAID, ContinuedRows, scores_of
from hanlin.training.lesson import Setting
from hanlin.training.ports import Rows
from hanlin.training.streams import Blocks, write_tokens

JUDGED_BYTES = 400_000  # of validation texts, evenly from all
_SPARE = 1.25  # places of a step, padding included, for one token


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Rows of a token file.

    Args:
        end: the token behind every text.
        num_start: tokens before every text, which nothing foretells; 0 where the end of a text begins the next one.
    """

    blocks: Blocks
    end: int
    num_start: int

    def __len__(self) -> int:
        return len(self.blocks)

    def pieces(self, numbers: Sequence[int]) -> ContinuedRows:
        """The texts, and parts of texts, of these rows."""
        found = ContinuedRows([], [], 0)
        for number in numbers:
            row: list[int] = self.blocks.row(number).tolist()
            ends = [place + 1 for place, token in enumerate(row) if token == self.end]
            for begin, end in zip([0, *ends], [*ends, len(row)], strict=True):
                ids = row[begin - (begin > 0 and not self.num_start) : end]
                read = max(1, self.num_start) if begin else 1
                if len(ids) > read:
                    found.ids.append(array("i", ids))
                    found.kinds.append(array("i", [READ] * read + [SAID] * (len(ids) - read)))
        return found


def write_rows(setting: Setting, encoder: TextEncoder, spec: ModelSpec, texts: Sequence[str], *, end: int, length: int) -> PackedRows:
    """All texts, a few hundred at a time, in a file that is gone with the process."""
    start = start_of(encoder, spec)
    start = () if start == (end,) else start

    def encode(chunk: list[str]) -> list[list[int]]:
        prepared = [encoder.text.prepare(text) for text in chunk]
        with asking():
            rows = encoder.tokenizer.encode_batch(prepared, add_special_tokens=False)
        return [[*start, *row.ids] for row in rows]

    tokens = write_tokens(texts, encode, setting.out.parent, end=[end], check=setting.progress.check_cancelled)
    return PackedRows(Blocks(tokens, length, length - 1), end, len(start))


def few_of(rows: Rows) -> Split:
    """Texts spread over a split, as many as an evaluation can read each time; the same each time."""
    every = max(1, -(-sum(len(text.encode()) for text in rows.texts) // JUDGED_BYTES))
    texts = [text for number, text in enumerate(rows.texts) if number % every == 0]
    return Split(texts, [""] * len(texts))


def loss_of(module: nn.Module, part: ContinuedRows, pad_id: int, *, smoothing: float) -> Tensor:
    """Mean loss () over all tokens that are learned; pieces of like length are read together. Nothing where there are none."""
    total, count = torch.zeros(()), 0
    for group in groups(part.lengths):
        scores, gold, _ = scores_of(module, part, group, pad_id)
        total = total + functional.cross_entropy(
            scores.flatten(0, 1), gold.flatten(), ignore_index=IGNORED, label_smoothing=smoothing, reduction="sum"
        )
        count += int((gold != IGNORED).sum())
    if not count:  # rows of nothing but ends: no gradient, and a step like any other
        return 0.0 * next(one for one in module.parameters() if one.requires_grad).float().sum()
    return total / count


def groups(lengths: Sequence[int]) -> list[list[int]]:
    """Numbers of pieces from long to short, in groups that padding makes a quarter larger at most."""
    found: list[list[int]] = []
    real = 0
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        if found and (len(found[-1]) + 1) * lengths[found[-1][0]] <= _SPARE * (real + lengths[number]):
            found[-1].append(number)
            real += lengths[number]
        else:
            found.append([number])
            real = lengths[number]
    return found
