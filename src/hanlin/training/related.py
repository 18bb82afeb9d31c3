"""Pairs of texts as ids: every different text once, and who belongs to whom."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch

from hanlin.errors import InvalidInput
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.related import Related
from hanlin.tasks.search_exam import is_scored
from hanlin.tasks.word_index import WordIndex
from hanlin.training.contrast import Batch
from hanlin.training.examples import CHUNK, TrainData
from hanlin.training.ports import Rows

SCALES = (1.0, 5.0, 10.0, 100.0)  # of scores, as people give them


@dataclass(slots=True)
class Texts:
    """Different texts by number, as they stand before the tokenizer; `rows` are their ids once they are encoded."""

    numbers: dict[str, int] = field(default_factory=dict)
    rows: list[array[int]] = field(default_factory=list)

    def number(self, text: str) -> int:
        """The number of a text, a new one for a new text."""
        return self.numbers.setdefault(text, len(self.numbers))

    def encode(self, encoder: TextEncoder) -> None:
        """Ids of all of them, cut to the encoder's length."""
        texts = [*self.numbers]
        for start in range(0, len(texts), CHUNK):
            self.rows += [array("i", row) for row in encoder.encode(texts[start : start + CHUNK], truncate=True)]


@dataclass(frozen=True, slots=True)
class Pair:
    """Numbers of the texts of one example."""

    first: int
    second: int
    negatives: tuple[int, ...] = ()
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """The examples of a split by the numbers of their texts, and which texts belong to each first one."""

    pairs: list[Pair]
    known: dict[int, set[int]]

    @classmethod
    def of(cls, examples: Iterable[Related], texts: Texts, *, before: tuple[str, str]) -> Pairs:
        """Numbers for these examples.

        Args:
            before: words that go before first texts, and before all others.
        """
        ask, tell = before
        pairs = [
            Pair(
                texts.number(ask + example.first), texts.number(tell + example.second),
                tuple(texts.number(tell + text) for text in example.negatives), example.score,
            ) for example in examples
        ]  # fmt: skip
        known: dict[int, set[int]] = {}
        for pair in pairs:
            known.setdefault(pair.first, set()).add(pair.second)
        return cls(pairs, known)

    def batch(self, rows: Sequence[int]) -> tuple[list[int], list[int], Batch]:
        """The numbers of the different anchors and texts of these examples, and their pairs by place among them."""
        chosen = [self.pairs[row] for row in rows]
        anchors = {number: place for place, number in enumerate(dict.fromkeys(pair.first for pair in chosen))}
        texts = {
            number: place for place, number in enumerate(dict.fromkeys(item for pair in chosen for item in (pair.second, *pair.negatives)))
        }  # fmt: skip
        known = torch.zeros((len(anchors), len(texts)), dtype=torch.bool)
        for anchor, row in anchors.items():
            known[row, [texts[number] for number in self.known[anchor] if number in texts]] = True
        scores = [pair.score for pair in chosen if pair.score is not None]
        return [*anchors], [*texts], Batch(
            torch.tensor([anchors[pair.first] for pair in chosen]), torch.tensor([texts[pair.second] for pair in chosen]), known,
            [[texts[number] for number in pair.negatives] for pair in chosen], torch.tensor(scores) if scores else None,
        )  # fmt: skip


def read_examples(rows: Rows) -> list[Related]:
    """The examples of a split."""
    return [Related.of(text, annotation) for text, annotation in zip(rows.texts, rows.labels, strict=True)]


def check_related(data: TrainData) -> tuple[list[Related], list[Related], bool]:
    """The examples of both splits, and whether they have scores.

    Raises:
        InvalidInput: `nothing_to_learn` when a split has too few rows, lone texts, or pairs with scores beside pairs without.
    """
    parts = [read_examples(part) for part in (data.train, data.validation)]
    has_scores = is_scored(parts[0])
    problem = ""
    if min(map(len, parts)) < 2:
        problem = "a split has fewer than two rows"
    elif not all(example.second for part in parts for example in part):
        problem = "texts stand alone, where pairs are needed"
    elif any((example.score is not None) != has_scores for part in parts for example in part):
        problem = "some pairs have scores and some have none"
    if problem:
        raise InvalidInput("nothing_to_learn", problem=problem, train=len(parts[0]), validation=len(parts[1]))
    return parts[0], parts[1], has_scores


def with_negatives(examples: Sequence[Related], count: int) -> list[Related]:
    """The same, with the `count` nearest texts of others by words beside those that bring no unrelated ones."""
    texts = list(dict.fromkeys(example.second for example in examples))
    places, index = {text: place for place, text in enumerate(texts)}, WordIndex(texts)
    own: dict[str, set[int]] = {}
    for example in examples:
        own.setdefault(example.first, set()).add(places[example.second])
    found = {first: tuple(texts[place] for place in index.nearest(first, count, besides=right)) for first, right in own.items()}
    return [example if example.negatives else replace(example, negatives=found[example.first]) for example in examples]


def score_scale(examples: Sequence[Related]) -> float:
    """What scores are divided by to come to 1 at most: the least of the usual scales that holds them all, else the largest score."""
    largest = max((abs(example.score or 0.0) for example in examples), default=1.0) or 1.0
    return next((scale for scale in SCALES if largest <= scale), largest)
