"""Labels of tokens become entities: which tokens belong together, under which name, with which score.

Schemes: IO, BIO, BIOES and BILOU; a label without a prefix counts as inside. Strategies as Hugging Face's pipeline has them.
Source: transformers, `pipelines/token_classification.py` (`aggregate`, `group_entities`); E, S, L and U are ours besides, and `word`
is the caller's own text, where theirs is put together from the tokenizer's pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import numpy.typing as npt

from hanlin.tasks.encoded import Marks
from hanlin.types import JsonObject

Strategy = Literal["none", "simple", "first", "average", "max"]
Scores = npt.NDArray[np.float64]
_BEGINS, _ENDS = frozenset("BSU"), frozenset("ESLU")
_PREFIXES = frozenset("BIESLU")


@dataclass(frozen=True, slots=True)
class Entity:
    """A token or a run of tokens. `index` is the token's place in its row; None for a run. Where token ids were sent there is no text
    to point into: `word`, `start` and `end` are None."""

    label: str
    score: float
    word: str | None
    start: int | None
    end: int | None
    index: int | None = None

    def to_json(self) -> JsonObject:
        """The wire form."""
        where: JsonObject = {"word": self.word, "start": self.start, "end": self.end}
        if self.index is None:
            return {"entity_group": self.label, "score": self.score, **where}
        return {"entity": self.label, "score": self.score, "index": self.index, **where}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A token or word with the label it got."""

    label: int
    score: float
    start: int
    end: int
    index: int
    scores: Scores  # (labels,)


def entities(scores: Scores, marks: Marks, labels: Sequence[str], strategy: Strategy, path: Sequence[int] | None = None) -> list[Entity]:
    """The entities of one text in order.

    Args:
        scores: probabilities `(tokens, labels)`, special tokens included.
        path: the label of each token, where another than the most probable may be right; special tokens' mean nothing.
    """
    pieces = _pieces(scores, marks, strategy, path)
    if marks.text is None:
        assert strategy == "none", "the task refuses others"
        return [Entity(labels[p.label], p.score, None, None, None, p.index) for p in pieces]
    if strategy == "none":
        return [Entity(labels[p.label], p.score, marks.text[p.start : p.end], p.start, p.end, p.index) for p in pieces]
    return _grouped(pieces, marks.text, labels)


def score_at(
    span: tuple[int, int], name: str, scores: Scores, marks: Marks, labels: Sequence[str], *, strategy: Strategy, path: Sequence[int] | None
) -> float:
    """The score that an entity called `name` has in `span`, whatever was found there; 0 where no token stands. Arguments as of `entities`.

    Of each token or word counts the label that it got, where that has the name, or else the best that has.
    """
    own = [piece for piece in _pieces(scores, marks, strategy, path) if piece.start < span[1] and span[0] < piece.end]
    named = [place for place, label in enumerate(labels) if name == (label if strategy == "none" else split_label(label)[1])]
    if span[0] == span[1] or not own:
        return 0.0
    return float(np.mean([piece.score if piece.label in named else piece.scores[named].max() for piece in own]))


def _pieces(scores: Scores, marks: Marks, strategy: Strategy, path: Sequence[int] | None) -> list[_Piece]:
    """The tokens, or the words, that can have a label."""
    tokens = [index for index, span in enumerate(marks.spans) if span is not None]
    if strategy in ("none", "simple"):
        return [_piece(scores[index], [index], marks, path) for index in tokens]
    words = [list(group) for _, group in groupby(tokens, key=lambda index: (marks.words[index], marks.words[index] is None and index))]
    return [_piece(_of_word(scores[word], strategy), word, marks, path if strategy == "first" else None) for word in words]


def _of_word(scores: Scores, strategy: Strategy) -> Scores:
    """One row of scores for a word out of those of its tokens, `(labels,)`."""
    if strategy == "average":
        return np.asarray(scores.mean(axis=0))
    return np.asarray(scores[0] if strategy == "first" else scores[scores.max(axis=1).argmax()])


def _piece(scores: Scores, tokens: list[int], marks: Marks, path: Sequence[int] | None) -> _Piece:
    spans = [span for index in tokens if (span := marks.spans[index]) is not None]
    best = int(scores.argmax()) if path is None else path[tokens[0]]
    return _Piece(best, float(scores[best]), spans[0][0], spans[-1][1], tokens[0], scores)


def _grouped(pieces: Sequence[_Piece], text: str, labels: Sequence[str]) -> list[Entity]:
    groups: list[list[_Piece]] = []
    open_name: str | None = None
    for piece in pieces:
        prefix, name = split_label(labels[piece.label])
        if groups and name == open_name and prefix not in _BEGINS:
            groups[-1].append(piece)
        else:
            groups.append([piece])
        open_name = None if prefix in _ENDS else name
    return [_entity(group, text, labels) for group in groups]


def _entity(group: Sequence[_Piece], text: str, labels: Sequence[str]) -> Entity:
    start, end = group[0].start, group[-1].end
    score = float(np.mean([piece.score for piece in group]))
    return Entity(split_label(labels[group[0].label])[1], score, text[start:end], start, end)


def split_label(label: str) -> tuple[str, str]:
    """`B-PER` → (`B`, `PER`); a label without a prefix is inside: (`I`, label)."""
    prefix, mark, name = label.partition("-")
    return (prefix, name) if mark and name and prefix in _PREFIXES else ("I", label)
