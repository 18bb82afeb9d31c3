"""Talks: messages of a system, a user and an assistant in turn, as one row of tokens.

What a message says is never read as a special token, whatever it is made of.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from hanlin.errors import InvalidInput
from hanlin.tasks.alignment import Span
from hanlin.tasks.chat_form import ROLES, ChatForm, ChatTemplate, Form, Role
from hanlin.tasks.chat_tokens import encoded, encoded_so_far
from hanlin.tasks.chat_tools import parts_of, read_calls, uses_tools
from hanlin.tasks.checks import check_text
from hanlin.tasks.text import is_blank
from hanlin.tasks.tokenizer import asking
from hanlin.types import JsonObject, JsonValue, json_type, shorten

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from hanlin.tasks.base import Limits

MAX_MESSAGES = 1000


Speaker = Role | Literal["tool"]
SPEAKERS: tuple[Speaker, ...] = (*ROLES, "tool")


class Message(NamedTuple):
    """What one said.

    Attributes:
        calls: of tools, by the assistant: JSON text of a name and arguments each.
        tools: that the system tells of, JSON text each.
    """

    role: Speaker
    content: str
    calls: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All that it says."""
        return (self.content, *self.calls, *self.tools)

    def to_json(self) -> JsonObject:
        """The wire form."""
        return {"role": self.role, "content": self.content}


class Spoken(NamedTuple):
    """A talk as one row.

    Attributes:
        ids: its tokens.
        is_answer: of each token, whether it is what the assistant says, the mark of its end included.
        is_said: the same without that mark.
        text: the whole, of which `spans` says where each token stands.
        is_cut: something of the talk was left out.
    """

    ids: list[int]
    is_answer: list[bool]
    is_said: list[bool]
    text: str
    spans: list[Span]
    is_cut: bool = False

    @property
    def size_bytes(self) -> int:
        """What the assistant says, in UTF-8: each character once, whatever tokens share it."""
        size = done = 0
        for (start, end), counts in zip(self.spans, self.is_said, strict=True):
            if counts:
                size += len(self.text[max(start, done) : end].encode())
                done = max(done, end)
        return size

    def first(self, count: int) -> Spoken:
        """Its first tokens alone."""
        is_cut = self.is_cut or count < len(self.ids)
        return Spoken(self.ids[:count], self.is_answer[:count], self.is_said[:count], self.text, self.spans[:count], is_cut)


class _Talk(NamedTuple):
    parts: list[tuple[str, bool]]  # text, whether it is words of a message
    answers: list[Span]  # of what the assistant says
    ends: list[Span]  # of the marks of their ends
    is_free: bool = False  # a template's: words may stand beside anything


def read_messages(value: object, limits: Limits, *, index: int = 0) -> tuple[Message, ...]:
    """Checked messages: `{"role", "content"}` each, one at least. Raises InvalidInput (`invalid_messages`, or as `check_text`)."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_MESSAGES:
        found = json_type(cast("JsonValue", value)) if not isinstance(value, list) else str(len(value))
        raise InvalidInput("invalid_messages", index=index, problem=f"not a list of 1 to {MAX_MESSAGES} messages: {found}")
    messages = tuple(_message(item, place, index, limits) for place, item in enumerate(value))
    check_size(messages, index, limits)
    return messages


def check_size(messages: Sequence[Message], index: int, limits: Limits) -> None:
    """Raises InvalidInput (`text_too_long`) where words, tools and calls are together longer than a text may be."""
    size = sum(len(text.encode()) for message in messages for text in message.texts)
    if size > limits.max_text_bytes:
        raise InvalidInput("text_too_long", index=index, length=size, unit="bytes", limit=limits.max_text_bytes)


def _message(item: object, place: int, index: int, limits: Limits) -> Message:
    if not isinstance(item, dict) or not {"role", "content"} <= item.keys() <= _FIELDS:
        raise InvalidInput("invalid_messages", index=index, problem=f"message {place} is not role and content")
    role, content = item["role"], item["content"]
    if role not in SPEAKERS:
        raise InvalidInput("invalid_messages", index=index, problem=f"message {place}: role {shorten(str(role))} of {', '.join(SPEAKERS)}")
    calls = read_calls(item["tool_calls"], f"message {place}", index) if item.get("tool_calls") else ()
    if calls and role != "assistant":
        raise InvalidInput("invalid_messages", index=index, problem=f"message {place}: tool_calls of {role}")
    is_empty = (bool(calls) and content is None) or (isinstance(content, str) and is_blank(content))
    if is_empty and (calls or role == "tool"):  # a call needs no words, and a tool may answer nothing
        return Message(role, "", calls)
    return Message(role, check_text(content, index, limits), calls)


_FIELDS = {"role", "content", "name", "tool_calls", "tool_call_id"}


def render(form: Form, messages: Sequence[Message], *, is_asking: bool, index: int = 0) -> _Talk:
    """The pieces of a talk.

    Args:
        index: the item that it is, for errors.

    Raises:
        InvalidInput: `invalid_messages` for a role that the form does not know; `no_tool_form`; of a template `chat_template_refused`,
            `chat_template_failed`, `chat_template_too_costly`.
    """
    if uses_tools(messages) and not form.tools:
        raise InvalidInput("no_tool_form", index=index)
    if isinstance(form, ChatTemplate):
        from hanlin.tasks.templates.talks import written

        return _Talk(*written(form, messages, is_asking=is_asking, index=index), is_free=True)
    talk = _Talk([(form.begin, False)], [], [])
    at = len(form.begin)
    if form.system and messages[0].role != "system" and "system" in form.marks:
        messages = [Message("system", form.system), *messages]
    for place, message in enumerate(messages):
        before, behind = _marks(form, messages, place, index)
        parts = parts_of(message)
        if message.tools and not message.content and form.system:
            parts[0] = (form.system, True)
        talk.parts.extend([(before, False), *parts, (behind, False)])
        start = at + len(before)
        end = start + sum(len(part) for part, _ in parts)
        at = end + len(behind)
        if message.role == "assistant":
            talk.answers.append((start, end))
            talk.ends.append((end, end + len(behind.rstrip())))
    if is_asking:
        talk.parts.append((form.marks["assistant"][0], False))
    return talk


def _marks(form: ChatForm, messages: Sequence[Message], place: int, index: int) -> tuple[str, str]:
    """What stands before and behind a message: tools that answer one after the other do so in one turn of the user."""
    role = messages[place].role
    name = "user" if role == "tool" else role
    if name not in form.marks:
        raise InvalidInput("invalid_messages", index=index, problem=f"role {role} of {', '.join(form.marks)}")
    before, behind = form.marks[name]
    if role != "tool":
        return before, behind
    is_first = place == 0 or messages[place - 1].role != "tool"
    is_last = place == len(messages) - 1 or messages[place + 1].role != "tool"
    return before if is_first else "\n", behind if is_last else ""


def speak(
    tokenizer: Tokenizer, form: Form, messages: Sequence[Message], *, is_asking: bool, index: int = 0, most: int | None = None
) -> Spoken:  # fmt: skip
    """A talk as token ids.

    Args:
        is_asking: whether the assistant is to go on from here.
        most: of a talk that is longer a beginning will do, which is longer than that too.
        index: the item that it is, for errors.

    Raises:
        InvalidInput: as `render`.
        EngineFailed: `tokenizer_failed`.
    """
    talk = render(form, messages, is_asking=is_asking, index=index)
    if most is None:
        ids, spans = encoded(tokenizer, talk.parts, is_free=talk.is_free)
    else:
        ids, spans = encoded_so_far(tokenizer, talk.parts, most, is_free=talk.is_free)
    said = [_lies_in(span, talk.answers) for span in spans]
    answer = [inside or _lies_in(span, talk.ends) for inside, span in zip(said, spans, strict=True)]
    return Spoken(ids, answer, said, "".join(part for part, _ in talk.parts), spans)


def speak_lately(
    tokenizer: Tokenizer, form: Form, messages: Sequence[Message], *, is_asking: bool, room: int, index: int = 0
) -> Spoken:  # fmt: skip
    """A talk of at most `room` tokens where its last message allows that: the oldest turns behind the system's words are left out.

    Raises:
        InvalidInput, EngineFailed: as `speak`.
    """
    return late_part(tokenizer, form, messages, is_asking=is_asking, room=room, index=index)[0]


def late_part(
    tokenizer: Tokenizer, form: Form, messages: Sequence[Message], *, is_asking: bool, room: int, index: int = 0
) -> tuple[Spoken, int]:  # fmt: skip
    """The same, and how many messages behind the system's words are left out. Raises as `speak`."""
    kept = num_system(messages)

    def late(place: int, most: int | None = room) -> Spoken:
        said = speak(tokenizer, form, [*messages[:kept], *messages[place:]], is_asking=is_asking, index=index, most=most)
        return said._replace(is_cut=place > kept)

    whole = late(kept)
    if len(whole.ids) <= room:
        return whole, 0
    turns = [place for place in range(kept, len(messages)) if messages[place].role == "user"] or [kept]
    low, high = 0, len(turns) - 1  # the later a talk begins, the shorter it is
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(late(turns[middle]).ids) <= room else (middle + 1, high)
    return late(turns[low], room if is_asking else None), turns[low] - kept


def cut_short(tokenizer: Tokenizer, form: Form, messages: Sequence[Message], said: Spoken, room: int) -> Spoken:
    """`said`, which asks the assistant to go on and is too long still, in `room` tokens: words lose their end, the marks behind them stay.

    Without those a model would go on with the words of the user. Where not even they have room, nothing but a beginning is left.
    """
    closing = _closing(form, messages)
    ids, spans = encoded(tokenizer, [(closing, False)])
    if len(ids) >= room:
        return said.first(room)
    short, none = said.first(room - len(ids)), [False] * len(ids)
    end = short.spans[-1][1]
    behind = [(end + start, end + stop) for start, stop in spans]
    text = short.text[:end] + closing
    return Spoken(short.ids + ids, short.is_answer + none, short.is_said + none, text, short.spans + behind, is_cut=True)


def _closing(form: Form, messages: Sequence[Message]) -> str:
    """What stands behind the last words of a talk that asks the assistant to go on."""
    if isinstance(form, ChatForm):
        return _marks(form, messages, len(messages) - 1, 0)[1] + form.marks["assistant"][0]
    parts = render(form, messages, is_asking=True).parts
    return "" if parts[-1][1] else parts[-1][0]


def num_system(messages: Sequence[Message]) -> int:
    """1 where a talk begins with the system's words, else 0."""
    return int(messages[0].role == "system")


def check_learnable(form: Form, messages: Sequence[Message], *, index: int) -> None:
    """Raises InvalidInput (`chat_template_not_learnable`) where a model's own template does not write answers as it asks for them."""
    if isinstance(form, ChatTemplate):
        from hanlin.tasks.templates import talks

        talks.check_learnable(form, messages, index=index)


def stops_of(tokenizer: Tokenizer, form: Form) -> tuple[int, ...]:
    """The token that ends an answer, where a single one does."""
    with asking():
        found = tokenizer.encode(form.end, add_special_tokens=False).ids
    return tuple(found) if len(found) == 1 else ()


def _lies_in(span: Span, areas: Sequence[Span]) -> bool:
    """Whether most of a token lies in one of them, which stand in order."""
    middle = (span[0] + span[1]) / 2
    place = bisect_right(areas, (middle, math.inf)) - 1
    return span[1] > span[0] and place >= 0 and middle < areas[place][1]
