"""Reads server-sent events from bytes cut anywhere. Knows nothing of jobs.

Source: HTML Living Standard, section 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

from dataclasses import dataclass

from hanlin.errors import Internal

MAX_EVENT_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Message:
    """One event: its name, its data lines joined by newlines, and the last id seen."""

    event: str
    data: str
    id: str


class EventParser:
    """Feed bytes, receive whole events. Lines end with CR LF, LF or CR.

    Raises:
        Internal: `unexpected_answer` when one event is larger than 4 MiB.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._event = ""
        self._data: list[str] = []
        self._id = ""
        self._is_first = True

    def feed(self, chunk: bytes) -> list[Message]:
        """The events completed by `chunk`."""
        text = self._rest + chunk
        held = b"\r" if text.endswith(b"\r") else b""  # a CR at the end may be half of a CR LF
        text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = rest + held
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT_BYTES:
            raise Internal("unexpected_answer", status=200)
        found = []
        for line in lines:
            if message := self._line(line.decode("utf-8", "replace")):
                found.append(message)
        return found

    def _line(self, line: str) -> Message | None:
        if self._is_first:
            line, self._is_first = line.removeprefix("\ufeff"), False
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> Message | None:
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return Message(event, "\n".join(data), self._id) if data else None
