"""Examples of classifications: one label a text or several, or a score; a text alone or beside another.

An annotation is the plain label where a text has one and stands alone; else JSON that says which of the three it is, and the second text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hanlin.errors import InvalidInput
from hanlin.tasks.examples import BadExample, Column, Example, canonical, check_label, check_score, check_text
from hanlin.tasks.spec import Problem
from hanlin.types import JsonObject, JsonValue

SCORE = "score"  # the one label of a model that gives numbers
_FIELDS = {"label", "labels", "score", "text_pair"}
_MAX_LABELS = 1000  # of one text
_TRUE, _FALSE = {"1", "true", "yes", "y", "1.0"}, {"0", "false", "no", "n", "0.0", ""}


class Gold(NamedTuple):
    """What an annotation says: labels, or a score; and the second text, empty where there is none."""

    problem: Problem
    labels: tuple[str, ...] = ()
    score: float = 0.0
    pair: str = ""

    @property
    def annotation(self) -> str:
        """The stored form."""
        found: JsonObject = {"text_pair": self.pair} if self.pair else {}
        if self.problem == "regression":
            return canonical(found | {"score": self.score})
        if self.problem == "multi-label":
            return canonical(found | {"labels": [*self.labels]})
        label = self.labels[0]
        return canonical(found | {"label": label}) if found or label.startswith("{") else label


def read_gold(annotation: str) -> Gold:
    """What a stored annotation says."""
    if annotation.startswith("{"):
        try:
            value = json.loads(annotation)
        except ValueError:
            value = None
        if isinstance(value, dict) and value.keys() <= _FIELDS:
            pair = str(value.get("text_pair", ""))
            if "score" in value:
                return Gold("regression", score=float(value["score"]), pair=pair)
            if "labels" in value:
                return Gold("multi-label", tuple(value["labels"]), pair=pair)
            return Gold("single-label", (str(value["label"]),), pair=pair)
    return Gold("single-label", (annotation,))


def problem_of(golds: Sequence[Gold]) -> Problem:
    """What all of them together ask of a model: one text with several labels makes all of them such.

    Raises:
        InvalidInput: `mixed_answers` for scores among labels.
    """
    kinds = {gold.problem for gold in golds}
    if "regression" in kinds and len(kinds) > 1:
        raise InvalidInput("mixed_answers")
    return "regression" if "regression" in kinds else "multi-label" if "multi-label" in kinds else "single-label"


@dataclass(frozen=True, slots=True)
class AnsweredTexts:
    """A text, perhaps a second one, and what is right of them: `label`, a list of labels in it, or a number in `score`.

    Args:
        text, pair, label: names of the columns that hold them.
    """

    columns: tuple[Column, ...]
    formats: tuple[str, ...] = ()
    is_classified: bool = True
    has_answers: bool = True
    text: str = "text"
    pair: str = "text_pair"
    label: str = "label"

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`. Two examples are the same question when both texts are; the first decides the split."""
        text, pair = check_text(fields.get(self.text)), ""
        if (found := fields.get(self.pair)) is not None and found != "":
            pair = _second_text(found)
        gold = self._gold(fields)._replace(pair=pair)
        return Example(text, gold.annotation, gold.labels, identity=canonical([text, pair]) if pair else "", group=text if pair else "")

    def _gold(self, fields: Mapping[str, object]) -> Gold:
        value = fields.get(self.label)
        if value is None and fields.get(SCORE) is not None:
            return Gold("regression", score=check_score(fields[SCORE]))
        if isinstance(value, str) and value.startswith('["'):
            value = _list_in(value)
        if isinstance(value, Mapping):
            return Gold("multi-label", tuple(sorted(check_label(name) for name, flag in value.items() if _flag(flag))))
        if isinstance(value, list | tuple):
            if len(value) > _MAX_LABELS:
                raise BadExample("label")
            return Gold("multi-label", tuple(sorted({check_label(item) for item in value})))
        return Gold("single-label", (check_label(value),))

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the text alone, or both under Hugging Face's names."""
        pair = read_gold(annotation).pair
        return {"text": text, "text_pair": pair} if pair else text


def _second_text(value: object) -> str:
    """A text as `check_text` has it, whose problems are told as those of the second. Raises BadExample."""
    try:
        return check_text(value)
    except BadExample as error:
        raise BadExample(f"second_{error.problem}") from error


def _list_in(value: str) -> object:
    """The list that a table's cell holds as JSON; a label that only looks like one as it is."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, list) else value


def _flag(value: object) -> bool:
    """Whether a label applies: 1 and 0 in their usual spellings. Raises BadExample."""
    word = "" if value is None else str(value).strip().casefold()
    if word not in _TRUE | _FALSE:
        raise BadExample("flag")
    return word in _TRUE
