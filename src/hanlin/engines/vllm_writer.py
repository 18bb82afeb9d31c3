"""Rows that vLLM writes: they are told to its loop, and what that hears of them becomes deltas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hanlin.engines.base import Floats, Ids, step_failed
from hanlin.engines.constraints import Constraints, Wording
from hanlin.engines.vllm_loop import VllmLoop
from hanlin.engines.vllm_words import check_served, delta_of, parameters, reading_of
from hanlin.errors import HanlinError, InvalidInput
from hanlin.generation import Delta, Generated, GenerationSettings, longer

MAX_ROWS = 256
_PATIENCE_S = 0.05  # for a form, while nothing else can be done


@dataclass(slots=True)
class _Row:
    """A row that is open.

    Attributes:
        stops: what ends it.
        is_fresh: nothing that is known of earlier rows is used.
        wording: of its constraint, to be known before vLLM is told of the row.
        request: what it is called there; None: vLLM has not been told of it.
    """

    ids: tuple[int, ...]
    settings: GenerationSettings
    stops: frozenset[int]
    is_fresh: bool
    wording: Future[Wording] | None
    request: int | None = None


class VllmWriter:
    """See `StreamingSession`. A turn waits until something is heard; vLLM writes meanwhile.

    Args:
        loop: where vLLM's engine is; closed with the session.
        stops: what ends a target unless the settings say otherwise.
        positions: tokens that a row may have.
    """

    num_streams = 1
    step_tokens: int | None = None
    has_tokens = False
    max_rows = MAX_ROWS

    def __init__(
        self, loop: VllmLoop, variant: str, *, stops: Sequence[int], positions: int, num_tokens: int, room_tokens: int | None,
        constraints: Constraints,
    ) -> None:  # fmt: skip
        self._loop, self._variant = loop, variant
        self._stops, self._positions, self._num_tokens = frozenset(stops), positions, num_tokens
        self._constraints = constraints
        self.room_tokens = room_tokens
        self._open: dict[int, _Row] = {}
        self._waiting: set[int] = set()
        self._requests: dict[int, int] = {}  # rows that vLLM writes, by what they are called there
        self._last_request = 0
        self._ended: list[Delta] = []

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `WritingSession`: it has no arrays to answer with."""
        raise step_failed(self._variant, TypeError("a network that writes"))

    def admit(self, number: int, row: Sequence[int], settings: GenerationSettings) -> None:
        """See `StreamingSession.admit`. A form is made meanwhile; if it is none its row ends with that error."""
        if settings.reads:
            raise InvalidInput("setting_not_served", variant=self._variant, name="reads")
        self._take(number, row, settings)

    def drop(self, number: int) -> None:
        """See `StreamingSession.drop`."""
        self._ended = [delta for delta in self._ended if delta.number != number]
        self._waiting.discard(number)
        row = self._open.pop(number, None)
        if row is not None and row.request is not None:
            del self._requests[row.request]
            self._loop.leave(row.request)

    def turn(self) -> list[Delta]:
        """See `StreamingSession.turn`."""
        self._tell_of_forms()
        deltas, self._ended = self._ended, []
        if deltas or not self._requests:
            return deltas
        return [delta for request, said in self._loop.heard() if (delta := self._delta(request, said)) is not None]

    def generate(
        self, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], *, is_wanted: Callable[[int], bool] = lambda row: True
    ) -> list[Generated]:
        """See `WritingSession.generate`. Nothing that is known of earlier rows is used: such calls judge and measure.

        Raises:
            InvalidInput: `setting_not_served`, `constraint_refused`.
        """
        found: dict[int, Generated] = {}
        so_far = dict.fromkeys(range(len(rows)), Generated((), "cancelled"))
        try:
            for number, (row, each) in enumerate(zip(rows, settings, strict=True)):
                self._take(number, row, each, is_fresh=True)
            while len(found) < len(rows):
                for number in [number for number in so_far if number not in found and not is_wanted(number)]:
                    self.drop(number)
                    found[number] = so_far[number]
                for delta in self.turn():
                    if delta.error is not None:
                        raise delta.error
                    so_far[delta.number] = longer(so_far[delta.number], delta)
                    if delta.finish is not None:
                        found[delta.number] = so_far[delta.number]
        except BaseException:
            for number in range(len(rows)):
                self.drop(number)
            raise
        return [found[number] for number in range(len(rows))]

    def close(self) -> None:
        """End vLLM's processes, which gives the processor's memory back."""
        self._open, self._waiting, self._requests, self._ended = {}, set(), {}, []
        self._constraints.close()
        self._loop.close()

    def _take(self, number: int, row: Sequence[int], settings: GenerationSettings, *, is_fresh: bool = False) -> None:
        check_served(settings, self._variant)
        is_own = settings.stop_ids is not None and settings.constraint is None  # within a form's texts no stop id of a call may end it
        stops = frozenset(settings.stop_ids or ()) if is_own else self._stops
        if not 0 <= min(row) <= max(row) < self._num_tokens:
            self._ended.append(self._failure(number, IndexError("ids beyond the vocabulary")))
        elif len(row) >= self._positions and settings.reads:
            self._ended.append(self._failure(number, IndexError("a row that is too long to be read")))
        elif len(row) >= self._positions:
            self._ended.append(Delta(number, finish="length"))
        else:
            wording = None if settings.constraint is None else self._constraints.wording(settings.constraint)
            taken = self._open[number] = _Row(tuple(row), settings, stops, is_fresh, wording)
            if wording is None:
                self._tell(number, taken, None)
            else:
                self._waiting.add(number)

    def _tell_of_forms(self) -> None:
        """Rows whose forms are made go to vLLM; those that have none end."""
        is_alone = len(self._waiting) == len(self._open) and not self._ended
        for number in sorted(self._waiting):
            row = self._open[number]
            assert row.wording is not None, "a row that waits for a form"
            if is_alone:
                with suppress(Exception):
                    row.wording.exception(_PATIENCE_S)
            if not row.wording.done():
                continue
            is_alone = False
            self._waiting.discard(number)
            try:
                wording = row.wording.result()
            except Exception as error:
                self._fail(number, error)
            else:
                self._tell(number, row, wording)

    def _tell(self, number: int, row: _Row, wording: Wording | None) -> None:
        try:
            told = parameters(
                row.settings, stops=row.stops, num_tokens=self._num_tokens, room=self._positions - len(row.ids), is_fresh=row.is_fresh,
                wording=wording,
            )  # fmt: skip
        except Exception as error:  # what it checks of settings, it says by exceptions of its own
            self._fail(number, error)
            return
        self._last_request += 1
        row.request = self._last_request
        self._requests[row.request] = number
        self._loop.add(row.request, row.ids, told)

    def _fail(self, number: int, error: Exception) -> None:
        """The row alone has failed."""
        self._open.pop(number, None)
        self._ended.append(self._failure(number, error))

    def _failure(self, number: int, error: Exception) -> Delta:
        return Delta(number, finish="cancelled", error=error if isinstance(error, HanlinError) else step_failed(self._variant, error))

    def _delta(self, request: int, said: Any) -> Delta | None:
        """What was said of a request; None for a row that has been dropped meanwhile."""
        if (number := self._requests.get(request)) is None:
            return None
        row = self._open[number]
        if (is_failed := isinstance(said, Exception)) or said.finished:
            del self._open[number], self._requests[request]
        if is_failed:
            return self._failure(number, said)
        try:
            if row.settings.reads:
                return reading_of(said, number, row.ids, row.settings.likeliest)
            return delta_of(said, number, row.settings, row.stops, self._variant)
        except (KeyError, IndexError, ValueError) as error:  # told otherwise than was heard
            self.drop(number)
            return self._failure(number, error)
