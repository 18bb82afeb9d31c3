"""Answers of endpoints as values."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import AliasChoices, Field, JsonValue

from hanlin.client.value import Value


class Scored(Value):
    """One label and how likely it is, 0 to 1.

    Attributes:
        passes: whether it applies, where several labels may.
        value: where the text stands on the scale of the labels, where they have one.
    """

    label: str
    score: float
    passes: bool | None = None
    value: float | None = None


class Ranked(Value):
    """One text of a ranking: its place in the request, how well it answers, and itself where that was asked for."""

    index: int
    score: float
    text: str | None = None


class Entity(Value):
    """A run of tokens under one label, or one token; `start` and `end` count characters of the text as it was sent."""

    label: str = Field(validation_alias=AliasChoices("entity_group", "entity", "label"))
    score: float
    word: str
    start: int
    end: int


class Prediction(tuple[Scored, ...]):
    """All labels of one text, best first; `label` and `score` are the best one's.

    Attributes:
        is_truncated: the text was too long, and cut.
        num_windows: pieces the text was read in, more than one when it was too long and the endpoint merges windows.
    """

    is_truncated: bool = False
    num_windows: int = 1

    @property
    def label(self) -> str:
        """The best label."""
        return self[0].label

    @property
    def score(self) -> float:
        """The score of the best label."""
        return self[0].score

    def by_label(self) -> dict[str, float]:
        """Scores by label."""
        return {scored.label: scored.score for scored in self}


def as_prediction(rows: Iterable[JsonValue]) -> Prediction:
    """The typed form of one text's `[{"label", "score"}, …]`. Raises pydantic.ValidationError."""
    return Prediction(Scored.model_validate(row) for row in rows)
