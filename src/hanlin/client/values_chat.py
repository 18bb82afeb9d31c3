"""Answers of models that talk, as values."""

from __future__ import annotations

from hanlin.client.value import Value


class ChatAnswer(Value):
    """What a model said.

    Attributes:
        finish_reason: `stop`, or `length` where there was no room for more.
        num_read, num_written: tokens.
    """

    text: str
    finish_reason: str
    num_read: int
    num_written: int


class ChatPiece(Value):
    """Further words of an answer that is being written."""

    text: str
