"""Every request of the inference API, built once for sync and async. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import mul
from typing import TypeVar

from pydantic import JsonValue

from hanlin.client import replies
from hanlin.client.building import JSON, encoded, get, path_of
from hanlin.client.steps import Call, Reply
from hanlin.client.value import JsonObject
from hanlin.client.values import Answer, Endpoint
from hanlin.client.values_answers import Entity, Prediction, Ranked
from hanlin.errors import Internal, InvalidInput

T = TypeVar("T")
Texts = str | list[str] | tuple[str, ...]


def texts_of(inputs: Texts) -> list[str]:
    """The texts of one call. Raises InvalidInput (`invalid_inputs`) for what is neither a string nor a list."""
    if isinstance(inputs, str):
        return [inputs]
    if isinstance(inputs, bytes) or not isinstance(inputs, Iterable):
        raise InvalidInput("invalid_inputs", found="null" if inputs is None else type(inputs).__name__)
    return list(inputs)


def predict(endpoint: str, inputs: JsonValue, parameters: JsonObject, parse: Callable[[Reply], T], *, task: str = "") -> Call[T]:
    """A prediction: it changes nothing, so it may be retried after a cut. An endpoint of another task than `task` refuses it."""
    body: JsonObject = {"inputs": inputs}
    if parameters:
        body["parameters"] = parameters
    _check_texts(inputs)
    headers = {**JSON, "x-hanlin-task": task} if task else JSON
    return Call("POST", path_of("models", endpoint), parse, content=encoded(body), headers=headers, has_deadline_header=True)


def _check_texts(inputs: JsonValue) -> None:
    """Raises InvalidInput (`invalid_unicode`) with the place in the text, as the server would; JSON would tell the place in the body."""
    texts = inputs.get("texts") if isinstance(inputs, dict) else inputs
    for index, text in enumerate(texts if isinstance(texts, list) else [texts]):
        try:
            str(text).encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidInput("invalid_unicode", index=index, position=error.start) from error


def ask(endpoint: str, inputs: JsonValue, parameters: JsonObject) -> Call[Answer]:
    """A prediction with all that the server said about it."""
    return predict(endpoint, inputs, parameters, replies.answer)


def classify(endpoint: str, texts: Sequence[str], *, top_k: int | None, truncate: bool) -> Call[list[Prediction]]:
    """Classification of a list of texts."""
    parameters: JsonObject = {}
    if top_k is not None:
        parameters["top_k"] = top_k
    if truncate:
        parameters["truncation"] = True

    def parse(reply: Reply) -> list[Prediction]:
        found = replies.predictions(reply)
        if len(found) != len(texts):
            raise Internal("unexpected_answer", status=reply.status)
        return replies.marked(found, reply)

    return predict(endpoint, list(texts), parameters, parse, task="text-classification")


def embed(endpoint: str, texts: Sequence[str], options: Mapping[str, JsonValue]) -> Call[list[list[float]]]:
    """Vectors of a list of texts; options that are None are left to the server."""
    parameters: JsonObject = {name: value for name, value in options.items() if value is not None}
    return predict(endpoint, list(texts), parameters, lambda reply: replies.vectors(reply, count=len(texts)), task="embedding")


def similarity(endpoint: str, text: str, others: Sequence[str], *, prompt_name: str | None, truncate: bool) -> Call[list[float]]:
    """Cosines of a text's vector with those of others, in one request: vectors of length 1, multiplied here."""
    call = embed(endpoint, [text, *others], {"normalize": True, "prompt_name": prompt_name, "truncate": truncate or None})

    def parse(reply: Reply) -> list[float]:
        first, *rest = call.parse(reply)
        return [sum(map(mul, first, vector)) for vector in rest]

    return replace(call, parse=parse)  # type: ignore[arg-type, return-value]


def rerank(endpoint: str, query: str, texts: list[str], options: Mapping[str, JsonValue]) -> Call[list[Ranked]]:
    """A ranking of texts; options that are None are left to the server."""
    parameters: JsonObject = {name: value for name, value in options.items() if value is not None}
    return predict(endpoint, {"query": query, "texts": [*texts]}, parameters, replies.many(Ranked, "texts"), task="reranking")


def tag_tokens(endpoint: str, texts: Sequence[str], options: Mapping[str, JsonValue]) -> Call[list[list[Entity]]]:
    """Entities of a list of texts; options that are None are left to the server."""
    parameters: JsonObject = {name: value for name, value in options.items() if value is not None}
    return predict(
        endpoint, list(texts), parameters, lambda reply: replies.lists(reply, Entity, count=len(texts)), task="token-classification"
    )


def describe(endpoint: str) -> Call[Endpoint]:
    """What an endpoint serves."""
    return get(path_of("models", endpoint), replies.one(Endpoint))
