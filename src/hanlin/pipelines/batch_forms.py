"""What a batch asks and writes, row by row: rows of a file for one endpoint, or lines of requests as OpenAI's batches have them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from hanlin.datasets.values import PROBLEMS
from hanlin.errors import HanlinError, Internal, InvalidInput
from hanlin.pipelines.batch_calls import Answered, Caller
from hanlin.pipelines.batch_spool import Row
from hanlin.types import JsonObject

GROUP_ROWS = 64
GROUP_BYTES = 16 * 2**10  # of texts in one call: about one step of an engine
_SINGLED_OUT = 3  # bad rows of a call that are told by their index; then it is halved
_FATAL = frozenset({"Unauthenticated", "PermissionDenied", "NotFound"})
_OF_ALL_ROWS = frozenset({"invalid_parameter", "unknown_parameter"})

Lines = tuple[list[bytes], list[bytes]]  # of results, of errors


class Form(Protocol):
    """One way of asking and writing."""

    def groups(self, rows: Iterator[tuple[Row, int]]) -> Iterator[tuple[list[Row], int]]:
        """Rows that are asked together, with the byte of the spool behind them."""
        ...

    async def lines(self, caller: Caller, rows: Sequence[Row]) -> Lines:
        """What the rows become, each in one of the two lists, in order. Raises HanlinError: the whole batch cannot go on."""
        ...

    def given_up(self, row: Row, error: HanlinError) -> bytes:
        """The line of errors of a row that was never asked."""
        ...


@dataclass(frozen=True, slots=True)
class RowsForm:
    """Rows of a file: `{"row": 1, "result": …}`, and `{"row": 2, "line": 3, "error": {…}}`."""

    endpoint: str
    parameters: JsonObject
    language: str
    max_rows: int = GROUP_ROWS

    def groups(self, rows: Iterator[tuple[Row, int]]) -> Iterator[tuple[list[Row], int]]:
        """See `Form`."""
        return grouped(rows, self.max_rows)

    async def lines(self, caller: Caller, rows: Sequence[Row]) -> Lines:
        """See `Form`. Texts go in one call, whole inputs each in its own."""
        texts = [row for row in rows if not row.problem and row.is_text]
        others = [row for row in rows if not row.problem and not row.is_text]
        found: dict[int, bytes | HanlinError] = {row.number: _unreadable(row) for row in rows if row.problem}
        for part in await asyncio.gather(self._texts(caller, texts), *(self._other(caller, row) for row in others)):
            found |= part
        good = [_result(row, told) for row in rows if isinstance(told := found[row.number], bytes)]
        bad = [_refusal(row, told, self.language) for row in rows if isinstance(told := found[row.number], HanlinError)]
        return good, bad

    def given_up(self, row: Row, error: HanlinError) -> bytes:
        """See `Form`."""
        return _refusal(row, error, self.language)

    async def _texts(self, caller: Caller, rows: list[Row], singled_out: int = 0) -> dict[int, bytes | HanlinError]:
        """The answer of each text; one that is refused for itself does not take the others with it."""
        if not rows:
            return {}
        answered = await self._ask(caller, b"[" + b",".join(bytes(row.inputs) for row in rows) + b"]", self._parameters)
        if answered.error is None:
            return dict(zip((row.number for row in rows), _items(answered.body, len(rows)), strict=True))
        self._check(answered.error)
        if len(rows) == 1:
            return {rows[0].number: answered.error}
        if answered.error.code == "poison_input":  # a worker died of one of them, and should not of each half of them
            parts = await asyncio.gather(*(self._texts(caller, [row]) for row in rows))
            return {number: told for part in parts for number, told in part.items()}
        index = answered.error.params.get("index")
        if singled_out < _SINGLED_OUT and isinstance(index, int) and 0 <= index < len(rows):
            others = await self._texts(caller, [*rows[:index], *rows[index + 1 :]], singled_out + 1)
            return others | await self._texts(caller, [rows[index]])  # alone, so that its error speaks of it alone
        middle = len(rows) // 2
        return await self._texts(caller, rows[:middle]) | await self._texts(caller, rows[middle:])

    async def _other(self, caller: Caller, row: Row) -> dict[int, bytes | HanlinError]:
        own = bytes(row.parameters)
        answered = await self._ask(caller, bytes(row.inputs), self._parameters if own == b"null" else own)
        if answered.error is not None and own == b"null":
            self._check(answered.error)
        return {row.number: answered.error or answered.body}

    async def _ask(self, caller: Caller, inputs: bytes, parameters: bytes) -> Answered:
        return await caller.ask(f"/models/{self.endpoint}", b'{"inputs":%s,"parameters":%s}' % (inputs, parameters))

    @property
    def _parameters(self) -> bytes:
        return msgspec.json.encode(self.parameters)

    def _check(self, error: HanlinError) -> None:
        """Raises `error` when it would be that of every row."""
        if error.family in _FATAL or (error.code in _OF_ALL_ROWS and self.parameters):
            raise error


@dataclass(frozen=True, slots=True)
class OpenAIForm:
    """Lines of requests: the output has what the door at `url` says, word for word. Source: OpenAI's reference of the batch API."""

    url: str
    batch_id: str

    def groups(self, rows: Iterator[tuple[Row, int]]) -> Iterator[tuple[list[Row], int]]:
        """See `Form`."""
        return grouped(rows, GROUP_ROWS)

    async def lines(self, caller: Caller, rows: Sequence[Row]) -> Lines:
        """See `Form`."""
        answers = await asyncio.gather(*(caller.ask(self.url, bytes(row.inputs)) for row in rows))
        told = list(zip(rows, answers, strict=True))
        for _, answered in told:
            if answered.error is not None and answered.error.family in {"Unauthenticated", "PermissionDenied"}:
                raise answered.error
        return [self._line(*pair) for pair in told if pair[1].status == 200], [self._line(*pair) for pair in told if pair[1].status != 200]

    def given_up(self, row: Row, error: HanlinError) -> bytes:
        """See `Form`."""
        told = msgspec.json.encode({"code": error.code, "message": error.message})
        return b'{"id":"%s","custom_id":%s,"response":null,"error":%s}\n' % (self._name(row), bytes(row.id), told)

    def _line(self, row: Row, answered: Answered) -> bytes:
        body = answered.body if answered.body.startswith(b"{") else b"null"
        return b'{"id":"%s","custom_id":%s,"response":{"status_code":%d,"request_id":%s,"body":%s},"error":null}\n' % (
            self._name(row), bytes(row.id), answered.status, msgspec.json.encode(answered.request_id), body,
        )  # fmt: skip

    def _name(self, row: Row) -> bytes:
        return f"{self.batch_id.replace('batch_', 'batch_req_')}_{row.number}".encode()


def grouped(rows: Iterator[tuple[Row, int]], max_rows: int) -> Iterator[tuple[list[Row], int]]:
    """Rows in groups of at most `max_rows` rows and `GROUP_BYTES`, one at least."""
    group: list[Row] = []
    size = end = 0
    for row, offset in rows:
        length = len(bytes(row.inputs))
        if group and (len(group) == max_rows or size + length > GROUP_BYTES):
            yield group, end
            group, size = [], 0
        group.append(row)
        size, end = size + length, offset
    if group:
        yield group, end


def _items(body: bytes, count: int) -> list[bytes]:
    """The answer of each text, as the worker wrote it. Raises Internal when it is no list of them."""
    try:
        items = msgspec.json.decode(body, type=list[msgspec.Raw])
    except msgspec.MsgspecError as error:
        raise Internal("internal", details=str(error)) from error
    if len(items) != count:
        raise Internal("internal", details=f"{len(items)} answers for {count} texts")
    return [bytes(item) for item in items]


def _unreadable(row: Row) -> HanlinError:
    return InvalidInput("row_unreadable", problem=PROBLEMS[row.problem][0])


def _result(row: Row, told: bytes) -> bytes:
    return b'{"row":%d,%s"result":%s}\n' % (row.number, _mark(row), told)


def _refusal(row: Row, error: HanlinError, language: str) -> bytes:
    told = msgspec.json.encode({"code": error.code, "message": error.text(language)})
    return b'{"row":%d,"line":%d,%s"error":%s}\n' % (row.number, row.line, _mark(row), told)


def _mark(row: Row) -> bytes:
    mark = bytes(row.id)
    return b"" if mark == b"null" else b'"id":%s,' % mark
