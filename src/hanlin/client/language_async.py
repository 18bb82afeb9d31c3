"""Calls of endpoints that find, write or parse, asynchronous: what `AsyncHanlin` has beside `inference`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from pydantic import JsonValue

from hanlin.client import language_calls as calls
from hanlin.client.core import AsyncCore
from hanlin.client.inference_calls import Texts, texts_of
from hanlin.client.values_answers import Prediction
from hanlin.client.values_language import Filled, FoundAnswer, Frame, Meaning, SqlQuery, Written


class AsyncLanguage:
    """The same with `await`. `parameters` are those of the task (docs/tasks.md); a string gives one answer, a list gives a list."""

    _core: AsyncCore

    async def answer(
        self, endpoint: str, question: str, context: str | None = None, *, documents: Sequence[JsonValue] | None = None,
        **parameters: JsonValue,
    ) -> FoundAnswer:  # fmt: skip
        """The best answer that stands in `context`, or in one of `documents` (texts, or objects with `id` and `text`)."""
        return await self._core.call(calls.answer(endpoint, question, context, documents, parameters))

    @overload
    async def classify_among(self, endpoint: str, inputs: str, candidate_labels: Sequence[str], **parameters: JsonValue) -> Prediction: ...
    @overload
    async def classify_among(
        self, endpoint: str, inputs: list[str] | tuple[str, ...], candidate_labels: Sequence[str], **parameters: JsonValue
    ) -> list[Prediction]: ...
    async def classify_among(
        self, endpoint: str, inputs: Texts, candidate_labels: Sequence[str], **parameters: JsonValue
    ) -> Prediction | list[Prediction]:
        """The labels that the call names, best first, by an endpoint of the task embedding: nothing is trained for them."""
        texts = texts_of(inputs)
        found = await self._core.call(calls.classify_among(endpoint, texts, candidate_labels, parameters))
        return found[0] if isinstance(inputs, str) else found

    @overload
    async def fill_mask(self, endpoint: str, inputs: str, **parameters: JsonValue) -> list[Filled]: ...
    @overload
    async def fill_mask(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[list[Filled]]: ...
    async def fill_mask(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> list[Filled] | list[list[Filled]]:
        """Words for the one mask of each text, best first; a text with several masks is one for `predict`."""
        texts = texts_of(inputs)
        found = await self._core.call(calls.lists(endpoint, texts, parameters, Filled, task="fill-mask"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    async def translate(self, endpoint: str, inputs: str, **parameters: JsonValue) -> Written: ...
    @overload
    async def translate(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[Written]: ...
    async def translate(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> Written | list[Written]:
        """Translations."""
        texts = texts_of(inputs)
        found = await self._core.call(calls.rows(endpoint, texts, parameters, Written, task="translation"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    async def summarize(self, endpoint: str, inputs: str, **parameters: JsonValue) -> Written: ...
    @overload
    async def summarize(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[Written]: ...
    async def summarize(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> Written | list[Written]:
        """Summaries."""
        texts = texts_of(inputs)
        found = await self._core.call(calls.rows(endpoint, texts, parameters, Written, task="summarization"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    async def generate(self, endpoint: str, inputs: str, **parameters: JsonValue) -> Written: ...
    @overload
    async def generate(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[Written]: ...
    async def generate(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> Written | list[Written]:
        """What comes next."""
        texts = texts_of(inputs)
        found = await self._core.call(calls.rows(endpoint, texts, parameters, Written, task="text-generation"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    async def parse_meaning(self, endpoint: str, inputs: str, **parameters: JsonValue) -> Meaning: ...
    @overload
    async def parse_meaning(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[Meaning]: ...
    async def parse_meaning(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> Meaning | list[Meaning]:
        """Intents with their slots."""
        texts = texts_of(inputs)
        found = await self._core.call(calls.rows(endpoint, texts, parameters, Meaning, task="semantic-parsing"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    async def to_sql(self, endpoint: str, inputs: str, **parameters: JsonValue) -> SqlQuery: ...
    @overload
    async def to_sql(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[SqlQuery]: ...
    async def to_sql(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> SqlQuery | list[SqlQuery]:
        """Questions as SQL over the tables that the version knows."""
        texts = texts_of(inputs)
        found = await self._core.call(calls.rows(endpoint, texts, parameters, SqlQuery, task="text-to-sql"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    async def find_frames(self, endpoint: str, inputs: str, **parameters: JsonValue) -> list[Frame]: ...
    @overload
    async def find_frames(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[list[Frame]]: ...
    async def find_frames(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> list[Frame] | list[list[Frame]]:
        """Predicates with who did what to whom."""
        texts = texts_of(inputs)
        found = await self._core.call(calls.lists(endpoint, texts, parameters, Frame, task="semantic-role-labelling"))
        return found[0] if isinstance(inputs, str) else found
