"""Requests to endpoints that find, write or parse, built once for sync and async. Sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import JsonValue

from hanlin.client import replies
from hanlin.client.inference_calls import predict
from hanlin.client.steps import Call, Reply
from hanlin.client.value import JsonObject, Value
from hanlin.client.values_answers import Prediction
from hanlin.client.values_language import FoundAnswer
from hanlin.errors import Internal, InvalidInput

V = TypeVar("V", bound=Value)


def answer(
    endpoint: str, question: str, context: str | None, documents: Sequence[JsonValue] | None, parameters: JsonObject
) -> Call[FoundAnswer]:  # fmt: skip
    """The best answer. Raises InvalidInput (`missing_field`) where there is nothing, or two things, to look in."""
    if (context is None) == (documents is None):
        raise InvalidInput("missing_field", name="context")
    inputs: JsonObject = {"question": question, **({"context": context} if documents is None else {"documents": [*documents]})}
    return predict(endpoint, inputs, parameters, replies.one(FoundAnswer), task="question-answering")


def classify_among(endpoint: str, texts: Sequence[str], labels: Sequence[str], parameters: JsonObject) -> Call[list[Prediction]]:
    """Scores of labels that the call names."""

    def parse(reply: Reply) -> list[Prediction]:
        found = replies.predictions(reply)
        if len(found) != len(texts):
            raise Internal("unexpected_answer", status=reply.status)
        return found

    return predict(endpoint, list(texts), {**parameters, "candidate_labels": [*labels]}, parse, task="embedding")


def rows(endpoint: str, texts: Sequence[str], parameters: JsonObject, model: type[V], *, task: str) -> Call[list[V]]:
    """A value a text."""
    many = replies.many(model, "answers")

    def parse(reply: Reply) -> list[V]:
        found = many(reply)
        if len(found) != len(texts):
            raise Internal("unexpected_answer", status=reply.status)
        return found

    return predict(endpoint, list(texts), parameters, parse, task=task)


def lists(endpoint: str, texts: Sequence[str], parameters: JsonObject, model: type[V], *, task: str) -> Call[list[list[V]]]:
    """A list of values a text."""
    return predict(endpoint, list(texts), parameters, lambda reply: replies.lists(reply, model, count=len(texts)), task=task)
