"""Texts and talks as rows that are read, not continued: which of their tokens count, and for how many bytes.

A text that is longer than the model takes is read in pieces, each as if it began there: what it says before is not seen, so that
figures are a little worse than the model and never better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hanlin.errors import InvalidInput
from hanlin.tasks.chat import Message, Spoken, cut_short, speak, speak_lately
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import asking


class ReadRow(NamedTuple):
    """A text as one or more rows.

    Attributes:
        pieces: ids of each row, with what stands before a text.
        counted: of each row, which of its tokens from the second on count.
        size_bytes: of what they say, in UTF-8.
        is_cut: something was left out.
    """

    pieces: list[list[int]]
    counted: list[list[bool]]
    size_bytes: int
    is_cut: bool = False


def start_of(encoder: TextEncoder, spec: ModelSpec) -> tuple[int, ...]:
    """What stands before a text, so that its first token has a chance: the tokenizer's own mark, or the one that ends a text."""
    stops = spec.generation.stop_ids if spec.generation is not None else None
    return encoder.head or tuple((stops or ())[-1:])


def pieces_of(ids: list[int], size: int) -> list[list[int]]:
    """Cut behind every `size` tokens."""
    return [ids[at : at + size] for at in range(0, len(ids), size)]


def read_text(text: str, encoder: TextEncoder, spec: ModelSpec) -> ReadRow:
    """All of a raw text counts. Raises EngineFailed (`tokenizer_failed`)."""
    start = start_of(encoder, spec)
    prepared = encoder.text.prepare(text)
    with asking():
        ids = encoder.tokenizer.encode(prepared, add_special_tokens=False).ids
    pieces = [[*start, *piece] for piece in pieces_of(ids, encoder.max_length - len(start))]
    return ReadRow(pieces, [[place >= len(start) for place in range(1, len(piece))] for piece in pieces], len(prepared.encode()))


def read_talk(messages: Sequence[Message], encoder: TextEncoder, spec: ModelSpec, *, index: int, is_cut: bool) -> ReadRow:
    """What the assistant says counts; of a talk that is too long the late turns. Raises as `talk_row`."""
    said = talk_row(messages, encoder, spec, index=index, is_cut=is_cut, is_asking=False)
    counted = [False] * len(encoder.head) + said.is_said
    return ReadRow([[*encoder.head, *said.ids]], [counted[1:]], said.size_bytes, said.is_cut)


def talk_row(
    messages: Sequence[Message], encoder: TextEncoder, spec: ModelSpec, *, index: int, is_cut: bool, is_asking: bool, answer: int = 0
) -> Spoken:  # fmt: skip
    """A talk as the model takes it, without what stands before every text.

    Args:
        is_cut: whether the oldest turns of one that is too long are left out, and the end of its last words where that is not enough.
        answer: tokens of room that are left behind one that is cut.

    Raises:
        InvalidInput: `no_chat_form`, `text_too_long`, `invalid_messages`.
    """
    if spec.chat is None:
        raise InvalidInput("no_chat_form", index=index)
    room = encoder.max_length - len(encoder.head)
    said = speak(encoder.tokenizer, spec.chat, messages, is_asking=is_asking, index=index, most=room)
    if len(said.ids) <= room:
        return said
    if not is_cut:
        raise InvalidInput("text_too_long", index=index, length=len(said.ids), unit="tokens", limit=room)
    room = max(1, room - answer)
    late = speak_lately(encoder.tokenizer, spec.chat, messages, is_asking=is_asking, room=room, index=index)
    if is_asking and len(late.ids) > room:
        return cut_short(encoder.tokenizer, spec.chat, messages, late, room)
    return late.first(room)
