"""Examples of texts that belong together: pairs, pairs with unrelated texts beside them, pairs with a score. Embedding and reranking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from hanlin.tasks.examples import BadExample, Column, Example, canonical, check_score, check_text, read_json_field
from hanlin.types import JsonObject, JsonValue

MAX_NEGATIVES = 100  # of one example


@dataclass(frozen=True, slots=True)
class Related:
    """One stored example.

    Args:
        first: what is asked about: an anchor, a query.
        second: the text beside it; empty where the example is a lone text.
        negatives: texts that do not belong to `first`.
        score: how much `second` belongs to `first`, on the scale of the data; None where it simply does.
    """

    first: str
    second: str = ""
    negatives: tuple[str, ...] = ()
    score: float | None = None

    @classmethod
    def of(cls, text: str, annotation: str) -> Related:
        """The example as it is stored."""
        if not annotation:
            return cls(text)
        found = cast("dict[str, JsonValue]", json.loads(annotation))
        negatives = cast("list[str]", found.get("negatives", []))
        return cls(text, str(found["text"]), tuple(negatives), cast("float | None", found.get("score")))

    @classmethod
    def asked(cls, question: JsonValue) -> Related:
        """The example of a question: a plain text, or what `to_json` gives."""
        if not isinstance(question, dict):
            return cls(str(question))
        negatives = cast("list[str]", question.get("negatives", []))
        return cls(str(question["first"]), str(question.get("text", "")), tuple(negatives), cast("float | None", question.get("score")))

    def annotation(self) -> str:
        """What is stored beside the first text."""
        return canonical(self._beside()) if self.second else ""

    def to_json(self) -> JsonValue:
        """The question: the first text alone where nothing stands beside it."""
        return {"first": self.first, **self._beside()} if self.second else self.first

    def _beside(self) -> JsonObject:
        beside: JsonObject = {"text": self.second}
        if self.negatives:
            beside["negatives"] = [*self.negatives]
        if self.score is not None:
            beside["score"] = self.score
        return beside


@dataclass(frozen=True, slots=True)
class RelatedTexts:
    """Reads two columns of texts and, where a file has them, unrelated texts and scores.

    Args:
        columns: of the first text, the second, the unrelated ones, the score and the group, in this order.
    """

    columns: tuple[Column, Column, Column, Column, Column]
    formats: tuple[str, ...] = ()
    is_classified: bool = False
    has_answers: bool = True

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`: pairs of one group, else of one first text, stay in one split. A lone text has no answer."""
        first, second, negatives, score, group = (column.name for column in self.columns)
        given = [fields[name] for name in (first, second) if name in fields]
        if len(given) < 2:
            return Example(check_text(given[0] if given else None), "")
        found = Related(
            check_text(given[0]),
            check_text(given[1]),
            _negatives(fields.get(negatives)),
            _score(fields[score]) if score in fields else None,
        )
        return Example(
            found.first, found.annotation(), identity=f"{found.first}\n{found.second}", group=_group(fields.get(group)) or found.first
        )

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the whole example; the text alone where it has no more."""
        return Related.of(text, annotation).to_json()


def _negatives(value: object) -> tuple[str, ...]:
    """One text, a list of texts, or a list as a cell of JSON; an empty cell is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ()
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = read_json_field(value)
        except BadExample:
            return (check_text(value),)  # a text that begins with a bracket
    if not isinstance(value, list):
        return (check_text(value),)
    if len(value) > MAX_NEGATIVES:
        raise BadExample("too_many_negatives")
    return tuple(check_text(item) for item in value)


def _group(value: object) -> str:
    return "" if value is None else str(value).strip()[:1000]


def _score(value: object) -> float:
    number = check_score(value)
    if not abs(number) <= 1e6:
        raise BadExample("score")
    return number
