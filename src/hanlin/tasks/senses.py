"""Which sense a predicate has: the one that its word mostly had where the model learnt. Stands in `hanlin.json`.

It does not read the sentence: `left` is the same sense in "she left early" and "she left a note".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.tasks.predicates import MAX_WORDS
from hanlin.types import JsonObject, JsonValue

MAX_CHARACTERS = 80  # of a word or a sense
_FIELDS = {"words", "usual"}


@dataclass(frozen=True, slots=True)
class PredicateSenses:
    """Senses of words in lower case.

    Attributes:
        words: the most frequent sense of each.
        usual: what most often stands behind the dot of a sense; empty where senses are not written `word.01`.
    """

    words: Mapping[str, str]
    usual: str = ""

    def of(self, word: str) -> str:
        """The sense of a predicate; of a word never seen the usual one under its own name."""
        word = word.lower()
        return self.words.get(word) or (f"{word}.{self.usual}" if self.usual else word)

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {"words": {**self.words}, "usual": self.usual}

    @classmethod
    def from_json(cls, value: JsonValue) -> PredicateSenses:
        """What `to_json` wrote. Raises InvalidInput (`invalid_model_spec`)."""
        if not isinstance(value, dict) or set(value) != _FIELDS:
            raise _invalid("not words and usual")
        words, usual = value["words"], value["usual"]
        if not isinstance(words, dict) or len(words) > MAX_WORDS or not isinstance(usual, str) or len(usual) > MAX_CHARACTERS:
            raise _invalid("not at most 200,000 words with a sense each")
        if not all(_is_short(word) and _is_short(sense) for word, sense in words.items()):
            raise _invalid("a word or a sense is no string of 1 to 80 characters")
        return cls(cast("dict[str, str]", words), usual)


def learn_senses(seen: Iterable[tuple[str, str]]) -> PredicateSenses | None:
    """The senses that (word, sense) of predicates teach, equal counts in the order of the alphabet; None where none has one."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    behind: Counter[str] = Counter()
    for word, sense in ((word.lower(), sense) for word, sense in seen):  # which may make it longer
        if _is_short(word) and _is_short(sense):
            counts[word][sense] += 1
            behind[sense.rpartition(".")[2] if "." in sense else ""] += 1
    most = sorted(counts, key=lambda word: (-counts[word].total(), word))[:MAX_WORDS]
    return PredicateSenses({word: _first(counts[word]) for word in sorted(most)}, _first(behind)) if counts else None


def _first(counts: Counter[str]) -> str:
    return min(counts, key=lambda name: (-counts[name], name))


def _is_short(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_CHARACTERS


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput("invalid_model_spec", field="senses", problem=problem)
