"""Calls of endpoints that find, write or parse: what `Hanlin` has beside `inference`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from pydantic import JsonValue

from hanlin.client import language_calls as calls
from hanlin.client.core import Core
from hanlin.client.inference_calls import Texts, texts_of
from hanlin.client.values_answers import Prediction
from hanlin.client.values_language import Filled, FoundAnswer, Frame, Meaning, SqlQuery, Written


class Language:
    """Blocking calls. `parameters` are those of the task (docs/tasks.md); a string gives one answer, a list gives a list."""

    _core: Core

    def answer(
        self, endpoint: str, question: str, context: str | None = None, *, documents: Sequence[JsonValue] | None = None,
        **parameters: JsonValue,
    ) -> FoundAnswer:  # fmt: skip
        """The best answer that stands in `context`, or in one of `documents` (texts, or objects with `id` and `text`)."""
        return self._core.call(calls.answer(endpoint, question, context, documents, parameters))

    @overload
    def classify_among(self, endpoint: str, inputs: str, candidate_labels: Sequence[str], **parameters: JsonValue) -> Prediction: ...
    @overload
    def classify_among(
        self, endpoint: str, inputs: list[str] | tuple[str, ...], candidate_labels: Sequence[str], **parameters: JsonValue
    ) -> list[Prediction]: ...
    def classify_among(
        self, endpoint: str, inputs: Texts, candidate_labels: Sequence[str], **parameters: JsonValue
    ) -> Prediction | list[Prediction]:
        """The labels that the call names, best first, by an endpoint of the task embedding: nothing is trained for them."""
        texts = texts_of(inputs)
        found = self._core.call(calls.classify_among(endpoint, texts, candidate_labels, parameters))
        return found[0] if isinstance(inputs, str) else found

    @overload
    def fill_mask(self, endpoint: str, inputs: str, **parameters: JsonValue) -> list[Filled]: ...
    @overload
    def fill_mask(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[list[Filled]]: ...
    def fill_mask(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> list[Filled] | list[list[Filled]]:
        """Words for the one mask of each text, best first; a text with several masks is one for `predict`."""
        texts = texts_of(inputs)
        found = self._core.call(calls.lists(endpoint, texts, parameters, Filled, task="fill-mask"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    def translate(self, endpoint: str, inputs: str, **parameters: JsonValue) -> Written: ...
    @overload
    def translate(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[Written]: ...
    def translate(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> Written | list[Written]:
        """Translations."""
        texts = texts_of(inputs)
        found = self._core.call(calls.rows(endpoint, texts, parameters, Written, task="translation"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    def summarize(self, endpoint: str, inputs: str, **parameters: JsonValue) -> Written: ...
    @overload
    def summarize(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[Written]: ...
    def summarize(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> Written | list[Written]:
        """Summaries."""
        texts = texts_of(inputs)
        found = self._core.call(calls.rows(endpoint, texts, parameters, Written, task="summarization"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    def generate(self, endpoint: str, inputs: str, **parameters: JsonValue) -> Written: ...
    @overload
    def generate(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[Written]: ...
    def generate(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> Written | list[Written]:
        """What comes next."""
        texts = texts_of(inputs)
        found = self._core.call(calls.rows(endpoint, texts, parameters, Written, task="text-generation"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    def parse_meaning(self, endpoint: str, inputs: str, **parameters: JsonValue) -> Meaning: ...
    @overload
    def parse_meaning(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[Meaning]: ...
    def parse_meaning(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> Meaning | list[Meaning]:
        """Intents with their slots."""
        texts = texts_of(inputs)
        found = self._core.call(calls.rows(endpoint, texts, parameters, Meaning, task="semantic-parsing"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    def to_sql(self, endpoint: str, inputs: str, **parameters: JsonValue) -> SqlQuery: ...
    @overload
    def to_sql(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[SqlQuery]: ...
    def to_sql(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> SqlQuery | list[SqlQuery]:
        """Questions as SQL over the tables that the version knows."""
        texts = texts_of(inputs)
        found = self._core.call(calls.rows(endpoint, texts, parameters, SqlQuery, task="text-to-sql"))
        return found[0] if isinstance(inputs, str) else found

    @overload
    def find_frames(self, endpoint: str, inputs: str, **parameters: JsonValue) -> list[Frame]: ...
    @overload
    def find_frames(self, endpoint: str, inputs: list[str] | tuple[str, ...], **parameters: JsonValue) -> list[list[Frame]]: ...
    def find_frames(self, endpoint: str, inputs: Texts, **parameters: JsonValue) -> list[Frame] | list[list[Frame]]:
        """Predicates with who did what to whom."""
        texts = texts_of(inputs)
        found = self._core.call(calls.lists(endpoint, texts, parameters, Frame, task="semantic-role-labelling"))
        return found[0] if isinstance(inputs, str) else found
