"""What a masked language model learns from: rows of raw text on disk, and which of their tokens are hidden in a step.

Every draw is made anew each time a row comes up, by torch's generator or by one that is given: no row is hidden twice in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from hanlin.tasks.sentences import sentences
from hanlin.training.streams import CHUNK, Blocks, Encode, TokenFile

REPLACED, RANDOM = 0.8, 0.1  # of hidden tokens: become the mask, become any token; the rest stays. Devlin et al. (2019), section 3.1


class Drawn(NamedTuple):
    """Rows of a batch. `types` and `follows` (1: the second part is another text's) are those of pairs of sentences."""

    rows: list[list[int]]
    types: list[list[int]] | None = None
    follows: list[int] | None = None


class Reading(Protocol):
    """Rows of a corpus, by number."""

    def __len__(self) -> int: ...

    @property
    def text(self) -> TokenFile:
        """The tokens of the whole corpus in their order."""
        ...

    def draw(self, numbers: Sequence[int], random: Generator | None = None) -> Drawn:
        """These rows, special tokens included."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """Special tokens: what begins a row, what ends each of its parts."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class BlockRows:
    """Blocks full of text, across texts: RoBERTa's rows. Source: Liu et al., RoBERTa (2019), section 4.2, FULL-SENTENCES."""

    blocks: Blocks
    frame: Frame

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def text(self) -> TokenFile:
        """See `Reading`."""
        return self.blocks.tokens

    def draw(self, numbers: Sequence[int], random: Generator | None = None) -> Drawn:
        """See `Reading`."""
        return Drawn([[self.frame.begin, *self.blocks.row(number).tolist(), self.frame.end] for number in numbers])


@dataclass(frozen=True, slots=True)
class PairRows:
    """Two parts of a text in a row, or half of the time parts of two texts: BERT's rows.

    Attributes:
        tokens: of all sentences.
        starts: where each sentence begins in `tokens`, and where the last ends.
        passages: for each row its first sentence and the one behind its last, which fill a row.
        room: tokens of both parts.
    """

    tokens: TokenFile
    starts: TokenFile
    passages: TokenFile
    frame: Frame
    room: int

    def __len__(self) -> int:
        return len(self.passages) // 2

    @property
    def text(self) -> TokenFile:
        """See `Reading`."""
        return self.tokens

    def draw(self, numbers: Sequence[int], random: Generator | None = None) -> Drawn:
        """See `Reading`."""
        rows, types, follows = [], [], []
        for number in numbers:
            first, second, is_other = self._pair(number, random)
            rows.append([self.frame.begin, *first, self.frame.end, *second, self.frame.end])
            types.append([0] * (len(first) + 2) + [1] * (len(second) + 1))
            follows.append(int(is_other))
        return Drawn(rows, types, follows)

    def _pair(self, number: int, random: Generator | None) -> tuple[list[int], list[int], bool]:
        start, middle, end = self._parted(number, random)
        first = self.tokens.read(start, middle).tolist()
        is_other = len(self) > 1 and _below(2, random) == 1
        if is_other:
            other = _below(len(self) - 1, random)
            _, middle, end = self._parted(other + (other >= number), random)
        return first, self.tokens.read(middle, end).tolist()[: self.room - len(first)], is_other

    def _parted(self, number: int, random: Generator | None) -> tuple[int, int, int]:
        """Where a passage begins, where its second part does, and where it ends; a single sentence is parted in its middle."""
        first, last = self.passages.read(2 * number, 2 * number + 2).tolist()
        bounds = self.starts.read(first, last + 1).tolist()
        middle = bounds[1 + _below(len(bounds) - 2, random)] if len(bounds) > 2 else (bounds[0] + bounds[-1]) // 2
        return bounds[0], middle, bounds[-1]


def write_pairs(
    texts: Iterable[str], encode: Encode, folder: Path, *, frame: Frame, length: int, check: Callable[[], None] = lambda: None
) -> PairRows:
    """The sentences of all texts, in passages that fill rows of `length` tokens and never leave their text. As `write_tokens`."""
    room = length - 3
    files = TokenFile(folder), TokenFile(folder), TokenFile(folder)
    rest = iter(texts)
    while chunk := list(islice(rest, CHUNK)):
        check()
        parts = [sentences(text) for text in chunk]
        ids = iter(encode([sentence for part in parts for sentence in part]))
        _add([[piece for row in islice(ids, len(part)) for piece in _cut(row, room)] for part in parts], files, room)
    files[1].add([len(files[0])])
    return PairRows(*files, frame, room)


def _cut(row: Sequence[int], room: int) -> list[Sequence[int]]:
    return [row[at : at + room] for at in range(0, len(row), room) if len(row) - at > 1 or not at]


def _add(documents: list[list[Sequence[int]]], files: tuple[TokenFile, TokenFile, TokenFile], room: int) -> None:
    tokens, starts, passages = files
    at, number = len(tokens), len(starts)
    begun: list[int] = []
    spans: list[int] = []
    for document in documents:
        size = room + 1  # as if full: the next sentence begins a passage
        for sentence in document:
            if size + len(sentence) > room:
                spans += (number + len(begun), 0)
                size = 0
            begun.append(at)
            at, size = at + len(sentence), size + len(sentence)
            spans[-1] = number + len(begun)
    tokens.add(token for document in documents for sentence in document for token in sentence)
    starts.add(begun)
    passages.add(spans)


def _below(count: int, random: Generator | None) -> int:
    return int(torch.randint(count, (1,), generator=random))


@dataclass(frozen=True, slots=True)
class Masking:
    """How tokens are hidden.

    Args:
        share: of the tokens that are not special.
        special: ids that are never hidden.
    """

    mask_id: int
    vocab_size: int
    special: tuple[int, ...]
    share: float

    def hide(self, ids: Tensor, mask: Tensor, random: Generator | None = None) -> tuple[Tensor, Tensor]:
        """What the network is shown, and which places it is asked about, one at least: both (batch, length).

        Args:
            ids, mask: (batch, length) int64.
        """
        may = (mask > 0) & ~torch.isin(ids, torch.tensor(self.special))
        draws = torch.rand(ids.shape, generator=random)
        asked = may & (draws < self.share)
        if not asked.any():
            asked.view(-1)[(draws + (~may) * 2).argmin()] = True
        kinds = torch.rand(ids.shape, generator=random)
        others = torch.randint(self.vocab_size, ids.shape, generator=random)
        shown = torch.where(asked & (kinds < REPLACED), self.mask_id, ids)
        return torch.where(asked & (kinds >= 1 - RANDOM), others, shown), asked
