"""Guesses of what a row writes next by a smaller decoder of the same vocabulary (a draft model).

It writes the likeliest tokens only, and holds one row: whichever is guessed for. What of its tokens is right is known when the row goes on:
what it holds of it stays, the rest is read again. What is written depends on nothing here, see `lookup`.

Source: Leviathan et al., Fast Inference from Transformers via Speculative Decoding (2023), of which only the check is taken.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from hanlin.engines.base import load_failed
from hanlin.engines.blocks import BLOCK_TOKENS
from hanlin.engines.openvino_paged import Paged, Piece
from hanlin.networks.head import Head
from hanlin.tasks.spec import DRAFT_FOLDER
from hanlin.tasks.tokenizer import load_tokenizer

TOKENS = 3  # guessed at once
LEAST = 1.0  # of them must come true on average, as long as it is not known what they cost
_KEPT = 9  # turns of a kind whose median counts
_PROBE_TURNS = 32  # with guesses, then one without
_READ = 512  # tokens of a row that are read a turn before there are guesses for it


class Costs:
    """How many tokens of a guess must come true, by what turns with one and without have taken."""

    def __init__(self) -> None:
        self._plain: deque[float] = deque(maxlen=_KEPT)
        self._drafted: deque[float] = deque(maxlen=_KEPT)
        self._num_since = 0  # turns with a guess since the last one without

    def note(self, seconds: float, *, is_drafted: bool) -> None:
        """A turn of a row that is alone has taken so long, the smaller model's part in it."""
        (self._drafted if is_drafted else self._plain).append(seconds)
        self._num_since = self._num_since + 1 if is_drafted else 0

    @property
    def is_plain_due(self) -> bool:
        """Whether a turn without a guess is to be timed."""
        return not self._plain or self._num_since >= _PROBE_TURNS

    @property
    def least(self) -> float:
        """On average, to lose nothing."""
        if not (self._plain and self._drafted):
            return LEAST
        return statistics.median(self._drafted) / statistics.median(self._plain) - 1


class Drafter:
    """A smaller decoder that guesses for one row at a time. Not for several threads at once.

    Args:
        positions: tokens that it can count.
        vocabulary: tokens that the other model has; it guesses no others.

    Attributes:
        costs: of its guesses, as whoever takes them has timed them.
    """

    def __init__(self, model: Paged, *, positions: int, vocabulary: int) -> None:
        self._model = model
        self._most = min(positions, model.size * BLOCK_TOKENS)
        self._vocabulary = min(vocabulary, model.vocabulary)
        self._blocks = range(model.size)
        self._held: list[int] = []
        self.costs = Costs()

    def draft(self, ids: Sequence[int], most: int) -> list[int]:
        """What may follow, at most so many tokens; none where it cannot follow the row, while much of it is to be read, or
        where a turn without is to be timed.

        Raises:
            RuntimeError: as `PagedModel.step` does.
        """
        most = min(most, TOKENS, self._most - len(ids) + 1)
        done = _num_alike(self._held, ids[:-1])
        if most <= 0 or self.costs.is_plain_due or max(ids[done:]) >= self._model.vocabulary:
            return []
        del self._held[done:]
        token = self._read(ids[done : done + _READ])
        if len(self._held) < len(ids):
            return []
        guess = [token]
        while len(guess) < most:
            guess.append(self._read(guess[-1:]))
        return guess

    def forget(self) -> None:
        """A step that failed may have left anything in the blocks."""
        self._held.clear()

    def _read(self, ids: Sequence[int]) -> int:
        """Read further tokens of the row. Returns what is likeliest behind the last."""
        (scores,) = self._model.step([Piece(ids, len(self._held), self._blocks)])
        self._held += ids
        return int(scores[-1, : self._vocabulary].argmax())


def check_draft(folder: Path, variant: str) -> Path:
    """The folder of the draft model in an artifact folder, whatever its precision.

    Raises:
        EngineFailed: `engine_load_failed`: it does not write, or not the same tokens.
        InvalidInput: `invalid_tokenizer`.
    """
    draft = folder / DRAFT_FOLDER
    if Head.load(draft).output != "sequences":
        raise load_failed(variant, "its draft model does not write")
    if not has_same_tokens(folder / "tokenizer.json", draft / "tokenizer.json"):
        raise load_failed(variant, "its draft model has another vocabulary")
    return draft


def has_same_tokens(one: Path, other: Path) -> bool:
    """Whether two tokenizers have the same tokens under the same ids. How they cut text does not matter: one cuts for both."""
    if not (one.is_file() and other.is_file()):
        return not (one.is_file() or other.is_file())
    return one.read_bytes() == other.read_bytes() or _tokens(one) == _tokens(other)


def _tokens(path: Path) -> dict[str, int]:
    return load_tokenizer(path).get_vocab()


def _num_alike(one: Sequence[int], other: Sequence[int]) -> int:
    """Tokens with which both begin."""
    if list(other[: len(one)]) == list(one):
        return len(one)
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(other))
