"""Answers of endpoints that find, write or parse, as values."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from hanlin.client.value import JsonObject, Value


class FoundAnswer(Value):
    """The answer to a question: where it stands in the context, in characters; empty where the context holds none.

    Attributes:
        no_answer_score: of there being none.
        document: which one it stands in, where documents were sent.
    """

    answer: str
    score: float
    start: int
    end: int
    no_answer_score: float | None = None
    document: str | int | None = None


class Filled(Value):
    """A word for the mask: its token, and the whole text with it."""

    score: float
    token: int
    token_str: str
    sequence: str


class Written(Value):
    """A translation, a summary, or what comes next. `finish_reason` is `stop`, or `length` where there was no room for more;
    `stop_sequence`: the word of `stop` that ended it."""

    text: str = Field(validation_alias=AliasChoices("translation_text", "summary_text", "generated_text", "text"))
    finish_reason: str = ""
    stop_sequence: str | None = None
    num_tokens: int | None = None


class SlotSpan(Value):
    """Words of the text that a slot was read from; places in characters."""

    slot: str
    word: str
    start: int
    end: int
    score: float


class Meaning(Value):
    """An intent with its slots, as values of their types.

    Attributes:
        implied: probabilities of the slots that no words of the text stand for.
    """

    intent: str
    score: float
    slots: JsonObject = Field(default_factory=dict)
    implied: dict[str, float] = Field(default_factory=dict)
    spans: tuple[SlotSpan, ...] = ()


class SqlQuery(Value):
    """A query over the tables of the version's schema."""

    sql: str
    score: float


class Argument(Value):
    """Words that play a role beside a predicate; places in characters."""

    role: str
    word: str
    start: int
    end: int
    score: float


class Frame(Value):
    """A predicate with its arguments; places in characters of the text. `sense` is empty where the model knows none."""

    predicate: str
    start: int
    end: int
    score: float
    arguments: tuple[Argument, ...] = ()
    sense: str = ""
