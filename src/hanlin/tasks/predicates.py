"""Which words of a text may be predicates: those that were one where the model learnt, and unseen ones that end like them.

It only proposes: the network reads each proposal as a row of its own and says whether it is one. Stands in `hanlin.json`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.tasks.alignment import Span
from hanlin.tasks.text import IDEOGRAPH
from hanlin.types import JsonObject, JsonValue

MAX_WORDS = 200_000
_MAX_CHARACTERS = 40  # of a word
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_LEAST_SHARE = 0.05  # of a word's or an ending's occurrences that were predicates
_ENDING = 3  # characters
_FIELDS = {"words", "others", "endings"}


@dataclass(frozen=True, slots=True)
class PredicateFinder:
    """Words in lower case.

    Attributes:
        words: that have been predicates.
        others: seen words that were none although they end like one.
        endings: last characters of predicates.
    """

    words: frozenset[str]
    others: frozenset[str] = frozenset()
    endings: frozenset[str] = frozenset()

    def find(self, text: str) -> list[Span]:
        """Characters of every word that may be a predicate, in order. Where a script writes no spaces, every run that is a known word."""
        found: list[Span] = []
        longest = max(map(len, self.words), default=0)
        for run in _WORD.finditer(text):
            start, end = run.span()
            if IDEOGRAPH.search(run.group()) is None:
                found += [(start, end)] if self._is_likely(run.group().lower()) else []
                continue
            for begin in range(start, end):
                found += [
                    (begin, stop) for stop in range(begin + 1, min(end, begin + longest) + 1) if text[begin:stop].lower() in self.words
                ]
        return found

    def _is_likely(self, word: str) -> bool:
        return word in self.words or (word not in self.others and word[-_ENDING:] in self.endings)

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {name: [*sorted(getattr(self, name))] for name in sorted(_FIELDS)}

    @classmethod
    def from_json(cls, value: JsonValue) -> PredicateFinder:
        """What `to_json` wrote. Raises InvalidInput (`invalid_model_spec`)."""
        if not isinstance(value, dict) or set(value) != _FIELDS:
            raise _invalid("not words, others and endings")
        for items in value.values():
            if not isinstance(items, list) or len(items) > MAX_WORDS:
                raise _invalid("not lists of at most 200,000 words")
            if not all(isinstance(item, str) and 0 < len(item) <= _MAX_CHARACTERS for item in items):
                raise _invalid("a word is no string of 1 to 40 characters")
        return cls(**{name: frozenset(cast("list[str]", items)) for name, items in value.items()})


def learn_finder(texts: Iterable[str], predicates: Iterable[Sequence[Span]]) -> PredicateFinder:
    """The finder that texts and the places of their predicates teach."""
    seen: Counter[str] = Counter()
    were: Counter[str] = Counter()
    for text, places in zip(texts, predicates, strict=True):
        seen.update(run.group().lower() for run in _WORD.finditer(text))
        found = (text[start:end].lower() for start, end in places)
        were.update(word for word in found if len(word) <= _MAX_CHARACTERS)
    words = frozenset(word for word, count in were.items() if count >= _LEAST_SHARE * seen[word])
    by_ending: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for word, count in seen.items():  # rare words stand for those to come
        if count <= 2 and len(word) > _ENDING and word.isascii():
            by_ending[word[-_ENDING:]][0] += 1
            by_ending[word[-_ENDING:]][1] += word in words
    endings = frozenset(ending for ending, (total, right) in by_ending.items() if right >= 2 * _LEAST_SHARE * total and right > 1)
    alike = (word for word in seen if word[-_ENDING:] in endings and len(word) <= _MAX_CHARACTERS and not IDEOGRAPH.search(word))
    others = frozenset(word for word in alike if word not in words)
    return PredicateFinder(words, others, endings)


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput("invalid_model_spec", field="finder", problem=problem)
