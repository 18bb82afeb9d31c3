"""What can be asked of every text of a long list: a call for many texts, and the form of one answer in a file. Sends nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Generic, Protocol, TypeVar

from pydantic import JsonValue

from hanlin.client import inference_calls, replies
from hanlin.client.steps import Call, Reply
from hanlin.client.value import JsonObject
from hanlin.client.values import Aggregation, Answer
from hanlin.client.values_answers import Entity, Prediction, as_prediction
from hanlin.errors import Internal
from hanlin.types import LongText

T = TypeVar("T")


class Question(Protocol, Generic[T]):
    """Asked of each text by itself; `T` is the answer to one text."""

    def call(self, endpoint: str, texts: Sequence[str]) -> Call[list[T]]:
        """One request for all of `texts`; its answer has their order and number."""
        ...

    def options(self) -> JsonObject:
        """What was asked for, as it is written down at the head of a checkpoint."""
        ...

    def to_json(self, answer: T) -> JsonValue:
        """One answer as it is written down."""
        ...

    def from_json(self, value: JsonValue) -> T:
        """The answer that was written down. Raises ValueError or TypeError."""
        ...

    def columns(self, answers: Sequence[T | None]) -> dict[str, list[object]]:
        """The answers as columns of a table; None where a row has none."""
        ...


class _Named:
    """Names the question and its options."""

    def options(self) -> JsonObject:
        """See Question."""
        return {"question": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class Classify(_Named):
    """Labels with scores, as `Hanlin.classify`."""

    top_k: int | None = None
    truncate: bool = False

    def call(self, endpoint: str, texts: Sequence[str]) -> Call[list[Prediction]]:
        """See Question."""
        return inference_calls.classify(endpoint, texts, top_k=self.top_k, truncate=self.truncate)

    def to_json(self, answer: Prediction) -> JsonValue:
        """See Question."""
        rows: list[JsonValue] = [scored.model_dump(mode="json", exclude_none=True) for scored in answer]
        return {"rows": rows, "is_truncated": answer.is_truncated, "num_windows": answer.num_windows}

    def from_json(self, value: JsonValue) -> Prediction:
        """See Question."""
        if not isinstance(value, dict) or not isinstance(value["rows"], list):
            raise TypeError("not a prediction")
        found = as_prediction(value["rows"])
        found.is_truncated, found.num_windows = bool(value["is_truncated"]), int(str(value["num_windows"]))
        return found

    def columns(self, answers: Sequence[Prediction | None]) -> dict[str, list[object]]:
        """The best label and its score."""
        return {
            "label": [answer.label if answer is not None else None for answer in answers],
            "score": [answer.score if answer is not None else None for answer in answers],
        }


@dataclass(frozen=True, slots=True)
class Embed(_Named):
    """Vectors, as `Hanlin.embed`."""

    dimensions: int | None = None
    prompt_name: str | None = None
    normalize: bool | None = None
    truncate: bool = False

    def call(self, endpoint: str, texts: Sequence[str]) -> Call[list[list[float]]]:
        """See Question."""
        options: JsonObject = {"dimensions": self.dimensions, "prompt_name": self.prompt_name, "normalize": self.normalize}
        return inference_calls.embed(endpoint, texts, options | {"truncate": self.truncate or None})

    def to_json(self, answer: list[float]) -> JsonValue:
        """See Question."""
        return [*answer]

    def from_json(self, value: JsonValue) -> list[float]:
        """See Question."""
        if not isinstance(value, list):
            raise TypeError("not a vector")
        return [float(number) for number in value if isinstance(number, int | float)]

    def columns(self, answers: Sequence[list[float] | None]) -> dict[str, list[object]]:
        """The vectors."""
        return {"embedding": [*answers]}


@dataclass(frozen=True, slots=True)
class TagTokens(_Named):
    """Entities, as `Hanlin.tag_tokens`."""

    aggregation_strategy: Aggregation = "simple"
    ignore_labels: tuple[str, ...] | None = None
    truncate: bool = False

    def call(self, endpoint: str, texts: Sequence[str]) -> Call[list[list[Entity]]]:
        """See Question."""
        ignored: list[JsonValue] | None = None if self.ignore_labels is None else [*self.ignore_labels]
        options: JsonObject = {"aggregation_strategy": self.aggregation_strategy, "ignore_labels": ignored}
        return inference_calls.tag_tokens(endpoint, texts, options | {"truncate": self.truncate or None})

    def to_json(self, answer: list[Entity]) -> JsonValue:
        """See Question."""
        return [entity.model_dump(mode="json") for entity in answer]

    def from_json(self, value: JsonValue) -> list[Entity]:
        """See Question."""
        if not isinstance(value, list):
            raise TypeError("not a list of entities")
        return [Entity.model_validate(row) for row in value]

    def columns(self, answers: Sequence[list[Entity] | None]) -> dict[str, list[object]]:
        """A list of entities a row."""
        return {"entities": [None if answer is None else self.to_json(answer) for answer in answers]}


@dataclass(frozen=True, slots=True)
class Predict:
    """The answer to each text as the server gives it, as `Hanlin.predict`; for any task that takes a list of texts.

    Args:
        parameters: of the task; None leaves them to the server.
        long_text: refuse, truncate or window; None leaves it to the endpoint.
    """

    parameters: JsonObject | None = None
    long_text: LongText | None = None

    def call(self, endpoint: str, texts: Sequence[str]) -> Call[list[JsonValue]]:
        """See Question."""
        more: JsonObject = {"long_text": self.long_text} if self.long_text else {}

        def parse(reply: Reply) -> list[JsonValue]:
            rows = replies.json_of(reply)
            if not isinstance(rows, list) or len(rows) != len(texts):
                raise Internal("unexpected_answer", status=reply.status)
            return rows

        return inference_calls.predict(endpoint, list(texts), {**(self.parameters or {}), **more}, parse)

    def options(self) -> JsonObject:
        """See Question."""
        return {"question": "Predict", "parameters": self.parameters, "long_text": self.long_text}

    def to_json(self, answer: JsonValue) -> JsonValue:
        """See Question."""
        return answer

    def from_json(self, value: JsonValue) -> JsonValue:
        """See Question."""
        return value

    def columns(self, answers: Sequence[JsonValue | None]) -> dict[str, list[object]]:
        """The answers as JSON text."""
        return {"answer": [None if answer is None else json.dumps(answer, ensure_ascii=False) for answer in answers]}


@dataclass(frozen=True, slots=True)
class Ask:
    """As Predict, with what was done to each text and by whom, as `Hanlin.ask`; `truncated` and `windows` speak of text 0."""

    parameters: JsonObject | None = None

    def call(self, endpoint: str, texts: Sequence[str]) -> Call[list[Answer]]:
        """See Question."""
        call = inference_calls.ask(endpoint, list(texts), self.parameters or {})

        def parse(reply: Reply) -> list[Answer]:
            whole = call.parse(reply)
            if not isinstance(whole.value, list) or len(whole.value) != len(texts):
                raise Internal("unexpected_answer", status=reply.status)
            return [_of_one(whole, index, value) for index, value in enumerate(whole.value)]

        return replace(call, parse=parse)  # type: ignore[arg-type, return-value]

    def options(self) -> JsonObject:
        """See Question."""
        return {"question": "Ask", "parameters": self.parameters}

    def to_json(self, answer: Answer) -> JsonValue:
        """See Question."""
        return answer.model_dump(mode="json")

    def from_json(self, value: JsonValue) -> Answer:
        """See Question."""
        return Answer.model_validate(value)

    def columns(self, answers: Sequence[Answer | None]) -> dict[str, list[object]]:
        """The answers as JSON text."""
        return {"answer": [None if answer is None else json.dumps(answer.value, ensure_ascii=False) for answer in answers]}


def _of_one(whole: Answer, index: int, value: JsonValue) -> Answer:
    """What the answer to many texts says of one."""
    windows = {0: whole.windows[index]} if index in whole.windows else {}
    return whole.model_copy(update={"value": value, "truncated": (0,) if index in whole.truncated else (), "windows": windows})
