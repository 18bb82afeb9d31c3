"""Calls of models, blocking and asynchronous: what `Hanlin` and `AsyncHanlin` have in common with every endpoint."""

from __future__ import annotations

from typing import overload

from pydantic import JsonValue

from hanlin.client import inference_calls, replies
from hanlin.client.chat import AsyncChat, Chat
from hanlin.client.core import AsyncCore, Core
from hanlin.client.inference_calls import Texts, texts_of
from hanlin.client.language import Language
from hanlin.client.language_async import AsyncLanguage
from hanlin.client.maps import AsyncMaps, Maps
from hanlin.client.values import Aggregation, Answer, Endpoint
from hanlin.client.values_answers import Entity, Prediction, Ranked


class Inference(Maps, Language, Chat):
    """Blocking calls."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @overload
    def classify(self, endpoint: str, inputs: str, *, top_k: int | None = None, truncate: bool = False) -> Prediction: ...
    @overload
    def classify(
        self, endpoint: str, inputs: list[str] | tuple[str, ...], *, top_k: int | None = None, truncate: bool = False
    ) -> list[Prediction]: ...
    def classify(self, endpoint: str, inputs: Texts, *, top_k: int | None = None, truncate: bool = False) -> Prediction | list[Prediction]:
        """Labels with scores, best first: one Prediction for a string, a list of them for a list."""
        texts = texts_of(inputs)
        found = self._core.call(inference_calls.classify(endpoint, texts, top_k=top_k, truncate=truncate))
        return found[0] if isinstance(inputs, str) else found

    @overload
    def embed(
        self, endpoint: str, inputs: str, *, dimensions: int | None = None, prompt_name: str | None = None,
        normalize: bool | None = None, truncate: bool = False,
    ) -> list[float]: ...  # fmt: skip
    @overload
    def embed(
        self, endpoint: str, inputs: list[str] | tuple[str, ...], *, dimensions: int | None = None, prompt_name: str | None = None,
        normalize: bool | None = None, truncate: bool = False,
    ) -> list[list[float]]: ...  # fmt: skip
    def embed(
        self, endpoint: str, inputs: Texts, *, dimensions: int | None = None, prompt_name: str | None = None,
        normalize: bool | None = None, truncate: bool = False,
    ) -> list[float] | list[list[float]]:  # fmt: skip
        """One vector for a string, a list of them for a list; `dimensions` keeps the first values of each."""
        texts = texts_of(inputs)
        options = {"dimensions": dimensions, "prompt_name": prompt_name, "normalize": normalize, "truncate": truncate or None}
        found = self._core.call(inference_calls.embed(endpoint, texts, options))
        return found[0] if isinstance(inputs, str) else found

    def similarity(
        self, endpoint: str, text: str, others: list[str] | tuple[str, ...], *, prompt_name: str | None = None, truncate: bool = False
    ) -> list[float]:
        """How near each of `others` is to `text`, -1 to 1: the cosines of their vectors, by an endpoint of the task embedding."""
        return self._core.call(inference_calls.similarity(endpoint, text, list(others), prompt_name=prompt_name, truncate=truncate))

    def rerank(
        self, endpoint: str, query: str, texts: list[str] | tuple[str, ...], *, top_k: int | None = None, return_text: bool = False,
        raw_scores: bool = False, truncate: bool = False,
    ) -> list[Ranked]:  # fmt: skip
        """The texts by how well they answer `query`, best first; `index` is a text's place in `texts`."""
        options = {"top_k": top_k, "return_text": return_text or None, "raw_scores": raw_scores or None, "truncate": truncate or None}
        return self._core.call(inference_calls.rerank(endpoint, query, list(texts), options))

    @overload
    def tag_tokens(
        self, endpoint: str, inputs: str, *, aggregation_strategy: Aggregation = "simple", ignore_labels: list[str] | None = None,
        truncate: bool = False,
    ) -> list[Entity]: ...  # fmt: skip
    @overload
    def tag_tokens(
        self, endpoint: str, inputs: list[str] | tuple[str, ...], *, aggregation_strategy: Aggregation = "simple",
        ignore_labels: list[str] | None = None, truncate: bool = False,
    ) -> list[list[Entity]]: ...  # fmt: skip
    def tag_tokens(
        self, endpoint: str, inputs: Texts, *, aggregation_strategy: Aggregation = "simple",
        ignore_labels: list[str] | None = None, truncate: bool = False,
    ) -> list[Entity] | list[list[Entity]]:  # fmt: skip
        """Entities with their places in the text, or with `none` every token: one list for a string, a list of them for a list."""
        texts = texts_of(inputs)
        ignored: list[JsonValue] | None = None if ignore_labels is None else [*ignore_labels]
        options = {"aggregation_strategy": aggregation_strategy, "ignore_labels": ignored, "truncate": truncate or None}
        found = self._core.call(inference_calls.tag_tokens(endpoint, texts, options))
        return found[0] if isinstance(inputs, str) else found

    def predict(self, endpoint: str, inputs: JsonValue, **parameters: JsonValue) -> JsonValue:
        """The answer as the server gave it, for any task."""
        return self._core.call(inference_calls.predict(endpoint, inputs, parameters, replies.json_of))

    def ask(self, endpoint: str, inputs: JsonValue, **parameters: JsonValue) -> Answer:
        """As `predict`, with what was done to long texts, where the time went, and who answered."""
        return self._core.call(inference_calls.ask(endpoint, inputs, parameters))

    def describe(self, endpoint: str) -> Endpoint:
        """What an endpoint serves: task, labels, model version, limits, an example."""
        return self._core.call(inference_calls.describe(endpoint))


class AsyncInference(AsyncMaps, AsyncLanguage, AsyncChat):
    """The same with `await`."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    @overload
    async def classify(self, endpoint: str, inputs: str, *, top_k: int | None = None, truncate: bool = False) -> Prediction: ...
    @overload
    async def classify(
        self, endpoint: str, inputs: list[str] | tuple[str, ...], *, top_k: int | None = None, truncate: bool = False
    ) -> list[Prediction]: ...
    async def classify(
        self, endpoint: str, inputs: Texts, *, top_k: int | None = None, truncate: bool = False
    ) -> Prediction | list[Prediction]:
        """Labels with scores, best first: one Prediction for a string, a list of them for a list."""
        texts = texts_of(inputs)
        found = await self._core.call(inference_calls.classify(endpoint, texts, top_k=top_k, truncate=truncate))
        return found[0] if isinstance(inputs, str) else found

    @overload
    async def embed(
        self, endpoint: str, inputs: str, *, dimensions: int | None = None, prompt_name: str | None = None,
        normalize: bool | None = None, truncate: bool = False,
    ) -> list[float]: ...  # fmt: skip
    @overload
    async def embed(
        self, endpoint: str, inputs: list[str] | tuple[str, ...], *, dimensions: int | None = None, prompt_name: str | None = None,
        normalize: bool | None = None, truncate: bool = False,
    ) -> list[list[float]]: ...  # fmt: skip
    async def embed(
        self, endpoint: str, inputs: Texts, *, dimensions: int | None = None, prompt_name: str | None = None,
        normalize: bool | None = None, truncate: bool = False,
    ) -> list[float] | list[list[float]]:  # fmt: skip
        """One vector for a string, a list of them for a list; `dimensions` keeps the first values of each."""
        texts = texts_of(inputs)
        options = {"dimensions": dimensions, "prompt_name": prompt_name, "normalize": normalize, "truncate": truncate or None}
        found = await self._core.call(inference_calls.embed(endpoint, texts, options))
        return found[0] if isinstance(inputs, str) else found

    async def similarity(
        self, endpoint: str, text: str, others: list[str] | tuple[str, ...], *, prompt_name: str | None = None, truncate: bool = False
    ) -> list[float]:
        """How near each of `others` is to `text`, -1 to 1: the cosines of their vectors, by an endpoint of the task embedding."""
        return await self._core.call(inference_calls.similarity(endpoint, text, list(others), prompt_name=prompt_name, truncate=truncate))

    async def rerank(
        self, endpoint: str, query: str, texts: list[str] | tuple[str, ...], *, top_k: int | None = None, return_text: bool = False,
        raw_scores: bool = False, truncate: bool = False,
    ) -> list[Ranked]:  # fmt: skip
        """The texts by how well they answer `query`, best first; `index` is a text's place in `texts`."""
        options = {"top_k": top_k, "return_text": return_text or None, "raw_scores": raw_scores or None, "truncate": truncate or None}
        return await self._core.call(inference_calls.rerank(endpoint, query, list(texts), options))

    @overload
    async def tag_tokens(
        self, endpoint: str, inputs: str, *, aggregation_strategy: Aggregation = "simple", ignore_labels: list[str] | None = None,
        truncate: bool = False,
    ) -> list[Entity]: ...  # fmt: skip
    @overload
    async def tag_tokens(
        self, endpoint: str, inputs: list[str] | tuple[str, ...], *, aggregation_strategy: Aggregation = "simple",
        ignore_labels: list[str] | None = None, truncate: bool = False,
    ) -> list[list[Entity]]: ...  # fmt: skip
    async def tag_tokens(
        self, endpoint: str, inputs: Texts, *, aggregation_strategy: Aggregation = "simple",
        ignore_labels: list[str] | None = None, truncate: bool = False,
    ) -> list[Entity] | list[list[Entity]]:  # fmt: skip
        """Entities with their places in the text, or with `none` every token: one list for a string, a list of them for a list."""
        texts = texts_of(inputs)
        ignored: list[JsonValue] | None = None if ignore_labels is None else [*ignore_labels]
        options = {"aggregation_strategy": aggregation_strategy, "ignore_labels": ignored, "truncate": truncate or None}
        found = await self._core.call(inference_calls.tag_tokens(endpoint, texts, options))
        return found[0] if isinstance(inputs, str) else found

    async def predict(self, endpoint: str, inputs: JsonValue, **parameters: JsonValue) -> JsonValue:
        """The answer as the server gave it, for any task."""
        return await self._core.call(inference_calls.predict(endpoint, inputs, parameters, replies.json_of))

    async def ask(self, endpoint: str, inputs: JsonValue, **parameters: JsonValue) -> Answer:
        """As `predict`, with what was done to long texts, where the time went, and who answered."""
        return await self._core.call(inference_calls.ask(endpoint, inputs, parameters))

    async def describe(self, endpoint: str) -> Endpoint:
        """What an endpoint serves: task, labels, model version, limits, an example."""
        return await self._core.call(inference_calls.describe(endpoint))
