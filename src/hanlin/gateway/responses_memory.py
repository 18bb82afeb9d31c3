"""What a call of `/v1/responses` goes on from, and what is stored of it: its own items and its answer, masked as a model sees them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import cast

import msgspec

from hanlin.errors import HanlinError
from hanlin.gateway.dataplane import Dataplane, Outcome
from hanlin.gateway.door import Ask
from hanlin.gateway.responses_items import talk_of, text_of, with_text
from hanlin.gateway.responses_wire import Answer
from hanlin.types import JsonObject, JsonValue, Principal

_log = logging.getLogger("hanlin.gateway")


class TalkMemory:
    """See `door.Memory`.

    Args:
        items: that the call sent.
        told: the whole answer, of which later calls of it give the same object.
        previous: the response that is gone on from; empty: none.
        instructions: of this turn alone.
    """

    def __init__(
        self, answer: Answer, items: Sequence[JsonObject], told: Callable[[Outcome], JsonObject], *, previous: str, instructions: str
    ) -> None:  # fmt: skip
        self._answer = answer
        self._items = items
        self._told = told
        self._previous = previous
        self._instructions = instructions
        self._turns: list[str] = []

    def begun(self) -> list[JsonValue]:
        """The talk, as far as nothing is to be recalled."""
        return [] if self._previous else _messages(self._instructions, self._items)

    async def recall(self, dataplane: Dataplane, principal: Principal, ask: Ask) -> Ask:
        """See `door.Memory.recall`."""
        if self._answer.is_stored:
            self._answer.is_stored = dataplane.responses.check(self._items, self._instructions)
        if not self._previous:
            return ask
        turns = await asyncio.to_thread(dataplane.responses.talk, principal, self._previous)
        self._turns = [turn.id for turn in turns]
        before = [item for turn in turns for item in (*turn.items, *cast("list[JsonObject]", turn.answer["output"]))]
        inputs = cast("JsonObject", ask.inputs)
        return msgspec.structs.replace(ask, inputs=inputs | {"messages": _messages(self._instructions, [*before, *self._items])})

    async def keep(self, dataplane: Dataplane, principal: Principal, outcome: Outcome) -> None:
        """See `door.Memory.keep`. An answer that cannot be stored now is given all the same, and says that it is not."""
        if not self._answer.is_stored:
            return
        told = self._told(outcome)
        try:
            items, answer = self._seen(dataplane, principal, told)
            await asyncio.to_thread(dataplane.responses.keep, principal, answer, items, self._turns)
        except HanlinError as error:
            _log.warning("a response was not stored", extra={"details": error.code})
            told["store"] = self._answer.is_stored = False

    def _seen(self, dataplane: Dataplane, principal: Principal, told: JsonObject) -> tuple[list[JsonObject], JsonObject]:
        """Items and answer with each text as a model would see it."""
        output, names = cast("list[JsonObject]", told["output"]), cast("dict[str, str]", told["metadata"] or {})
        every = [*self._items, *output]
        texts = [*map(text_of, every), self._instructions, *names.values()]
        hidden = dataplane.hidden(principal, self._answer.model, texts)
        seen = [with_text(item, text) for item, text in zip(every, hidden, strict=False)]
        mine, rest = len(self._items), hidden[len(every) :]
        masked: JsonObject = {"output": cast("list[JsonValue]", seen[mine:])}
        if told["metadata"] is not None:
            masked["metadata"] = dict(zip(names, rest[1:], strict=True))
        if self._instructions:
            masked["instructions"] = rest[0]
        return seen[:mine], told | masked


def _messages(instructions: str, items: Sequence[JsonObject]) -> list[JsonValue]:
    """The talk of a call. Raises as `talk_of`."""
    said = talk_of(items)
    return [{"role": "system", "content": instructions}, *said] if instructions else said
