"""`map` of both clients: one question to every text of a long list, answers in order as they come."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Literal, TypeVar, Unpack, overload

from hanlin.client import map_tasks, map_threads
from hanlin.client.core import AsyncCore, Core
from hanlin.client.map_tables import Table, TableMap
from hanlin.client.mapping import MapOptions, Mapping, OnError, plan_of
from hanlin.client.questions import Classify, Question
from hanlin.client.texts import aiterate, check_source, iterate, length_of
from hanlin.client.values_answers import Prediction
from hanlin.errors import HanlinError

T = TypeVar("T")
Texts = Iterable[object]  # of strings; what is none is an error of its row
AnyTexts = Iterable[object] | AsyncIterable[object]


class Maps:
    """Many texts at once, blocking."""

    _core: Core

    @overload
    def map(
        self, endpoint: str, texts: Texts, *, on_error: Literal["raise"] = "raise", **options: Unpack[MapOptions]
    ) -> Iterator[Prediction]: ...
    @overload
    def map(
        self, endpoint: str, texts: Texts, *, on_error: Literal["return"], **options: Unpack[MapOptions]
    ) -> Iterator[Prediction | HanlinError]: ...
    @overload
    def map(
        self, endpoint: str, texts: Texts, question: Question[T], *, on_error: Literal["raise"] = "raise", **options: Unpack[MapOptions]
    ) -> Iterator[T]: ...
    @overload
    def map(
        self, endpoint: str, texts: Texts, question: Question[T], *, on_error: Literal["return"], **options: Unpack[MapOptions]
    ) -> Iterator[T | HanlinError]: ...
    def map(
        self, endpoint: str, texts: Texts, question: Question[T] | None = None, *, on_error: OnError = "raise",
        **options: Unpack[MapOptions],
    ) -> Iterator[T | HanlinError] | Iterator[Prediction | HanlinError]:  # fmt: skip
        """One answer a text, in order, while the rest is still on its way; `question` is Classify() unless another is given.

        Any iterable will do, and is read as far as needed: a million rows take no more memory than a thousand. Requests are tried again
        while the server is away, starting or busy (`patience`). Close the generator to end early.

        Args:
            on_error: what becomes of a text that is refused: `raise` its error, after the answers before it; or `return` it in its place.
            options: `concurrency` (8) requests in flight at most; `group_size` (128) texts a request; `checkpoint`, a file from which a
                second run goes on; `progress` True for a bar, or a function of rows done and in all; `total` rows, for the bar;
                `patience` (120) seconds for a server that is away. See MapOptions.
        """
        return (
            self._map(endpoint, texts, Classify(), on_error, options)
            if question is None
            else self._map(endpoint, texts, question, on_error, options)
        )

    def _map(self, endpoint: str, texts: Texts, question: Question[T], on_error: OnError, options: MapOptions) -> Iterator[T | HanlinError]:
        check_source(texts)
        plan = plan_of(options)

        def begin() -> Mapping[T]:
            return Mapping(endpoint, question, plan, self._core.policy, on_error=on_error, total=length_of(texts))

        return map_threads.run(self._core, begin, iterate(texts), plan.concurrency)

    def map_table(
        self, endpoint: str, table: Table, column: str, question: Question[T] | None = None, *, on_error: OnError = "raise",
        prefix: str = "", **options: Unpack[MapOptions],
    ) -> Table:  # fmt: skip
        """`map` over a column of a table of pandas, polars or pyarrow: the same kind of table with the answers in columns of its own.

        Rows without a text get no answer. The columns: `label` and `score`; `embedding`; `entities`; `answer` (JSON).

        Args:
            on_error: `raise`, or `return`: a column `error` says why a row has no answer.
            prefix: put before the names of the new columns.
        """
        asked = TableMap(table, column, question or Classify(), on_error, prefix)
        with asked.told():
            rows = self._map(endpoint, asked.column.texts(), asked.question, on_error, asked.options(options))
            return asked.made(list(rows))


class AsyncMaps:
    """The same for asyncio; not awaited, but gone through with `async for`."""

    _core: AsyncCore

    @overload
    def map(
        self, endpoint: str, texts: AnyTexts, *, on_error: Literal["raise"] = "raise", **options: Unpack[MapOptions]
    ) -> AsyncIterator[Prediction]: ...
    @overload
    def map(
        self, endpoint: str, texts: AnyTexts, *, on_error: Literal["return"], **options: Unpack[MapOptions]
    ) -> AsyncIterator[Prediction | HanlinError]: ...
    @overload
    def map(
        self, endpoint: str, texts: AnyTexts, question: Question[T], *, on_error: Literal["raise"] = "raise", **options: Unpack[MapOptions]
    ) -> AsyncIterator[T]: ...
    @overload
    def map(
        self, endpoint: str, texts: AnyTexts, question: Question[T], *, on_error: Literal["return"], **options: Unpack[MapOptions]
    ) -> AsyncIterator[T | HanlinError]: ...
    def map(
        self, endpoint: str, texts: AnyTexts, question: Question[T] | None = None, *, on_error: OnError = "raise",
        **options: Unpack[MapOptions],
    ) -> AsyncIterator[T | HanlinError] | AsyncIterator[Prediction | HanlinError]:  # fmt: skip
        """One answer a text, in order; the texts may come from an asynchronous iterator too."""
        return (
            self._map(endpoint, texts, Classify(), on_error, options)
            if question is None
            else self._map(endpoint, texts, question, on_error, options)
        )

    def _map(
        self, endpoint: str, texts: AnyTexts, question: Question[T], on_error: OnError, options: MapOptions
    ) -> AsyncIterator[T | HanlinError]:
        check_source(texts)
        plan = plan_of(options)

        def begin() -> Mapping[T]:
            return Mapping(endpoint, question, plan, self._core.policy, on_error=on_error, total=length_of(texts))

        return map_tasks.run(self._core, begin, aiterate(texts))

    async def map_table(
        self, endpoint: str, table: Table, column: str, question: Question[T] | None = None, *, on_error: OnError = "raise",
        prefix: str = "", **options: Unpack[MapOptions],
    ) -> Table:  # fmt: skip
        """`map` over a column of a table: see Hanlin.map_table."""
        asked = TableMap(table, column, question or Classify(), on_error, prefix)
        with asked.told():
            rows = self._map(endpoint, asked.column.texts(), asked.question, on_error, asked.options(options))
            return asked.made([row async for row in rows])
