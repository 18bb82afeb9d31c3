"""Answers of models that talk, as values."""

from __future__ import annotations

from hanlin.client.value import Value


class ToolCall(Value):
    """A tool that a model calls.

    Attributes:
        arguments: JSON text of an object.
    """

    id: str
    name: str
    arguments: str


class ChatAnswer(Value):
    """What a model said.

    Attributes:
        finish_reason: `stop`, `tool_calls`, or `length` where there was no room for more.
        num_read, num_written: tokens.
        tool_calls: of `tools` that were sent as one of the parameters.
    """

    text: str
    finish_reason: str
    num_read: int
    num_written: int
    tool_calls: tuple[ToolCall, ...] = ()


class ChatPiece(Value):
    """Further words of an answer that is being written."""

    text: str
