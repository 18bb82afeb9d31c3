"""A talk by the model's own template: its parts, which of them are whose words, and where answers end."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from hanlin.errors import InvalidInput
from hanlin.tasks.alignment import Span
from hanlin.tasks.chat_form import ChatTemplate
from hanlin.tasks.chat_tools import uses_tools
from hanlin.tasks.templates.budget import TemplateProblemError
from hanlin.tasks.templates.sandbox import compiled
from hanlin.tasks.templates.traced import FRAME, Traced, code_of
from hanlin.types import JsonObject, JsonValue, shorten

if TYPE_CHECKING:
    from hanlin.tasks.chat import Message

_RUNS = re.compile(rb"\x01+|[^\x01]+")
_ANSWERS = re.compile(rb"([\x02-\xff])\1*", re.DOTALL)
_HALF = re.compile("[\ud800-\udfff]")
_SHOWN = 120  # characters of what a template says is wrong


def text_by(template: ChatTemplate, messages: Sequence[Message], *, is_asking: bool, now: datetime | None = None) -> Traced:
    """The talk as one text, without what the tokenizer puts before it.

    Raises:
        TemplateProblemError: as `Program.run`; `chat_template_failed` where it writes half a character.
    """
    tools: list[JsonValue] = [json.loads(tool) for message in messages for tool in message.tools]
    source = template.tool_source if template.tool_source and uses_tools(messages) else template.source
    values = {
        "messages": _heard(messages), "tools": tools or None, "documents": None, "add_generation_prompt": is_asking,
        "bos_token": Traced.of(template.bos, FRAME), "eos_token": Traced.of(template.eos, FRAME),
    }  # fmt: skip
    size = sum(len(text) for message in messages for text in message.texts)
    text = compiled(source).run(values, now=now or datetime.now(), messages=len(messages), tools=len(tools), size=size)
    if _HALF.search(text):
        raise TemplateProblemError("chat_template_failed", "half a character")
    begin = template.begin
    return text[len(begin) :] if begin and text.startswith(begin) and set(text.origin[: len(begin)]) == {FRAME} else text


def written(
    template: ChatTemplate, messages: Sequence[Message], *, is_asking: bool, index: int
) -> tuple[list[tuple[str, bool]], list[Span], list[Span]]:  # fmt: skip
    """Texts and whether they are somebody's words; places of the answers, and of what of the template belongs to them.

    Raises:
        InvalidInput: `chat_template_refused`, `chat_template_failed`, `chat_template_too_costly`.
    """
    try:
        text = text_by(template, messages, is_asking=is_asking)
    except TemplateProblemError as error:
        raise _told(error, index) from error
    plain = str.__str__(text)
    parts = [(plain[run.start() : run.end()], run[0][0] != FRAME) for run in _RUNS.finditer(text.origin)]
    if not parts:
        raise InvalidInput("chat_template_failed", index=index, problem="no text")
    answers, marks = _placed(plain, text.origin, template)
    return parts, answers, marks


def check_learnable(template: ChatTemplate, messages: Sequence[Message], *, index: int) -> None:
    """Raises InvalidInput (`chat_template_not_learnable`) where answers do not stand in talks as they are asked for, or have no end."""
    answers = [place for place, message in enumerate(messages) if message.role == "assistant"]
    _, found, marks = written(template, messages, is_asking=False, index=index)
    begun = {start for start, _ in marks}
    ended = [stop in begun for _, stop in found]
    if len(found) != len(answers) or not all(ended):
        place = answers[min(len(answers) - 1, ended.index(False) if False in ended else len(found))]
        raise InvalidInput("chat_template_not_learnable", index=index, place=place)
    for place in {answers[0], answers[-1]}:
        asked, told = ("".join(part for part, _ in written(template, some, is_asking=asks, index=index)[0])
                       for some, asks in ((messages[:place], True), (messages[: place + 1], False)))  # fmt: skip
        if not told.startswith(asked):
            raise InvalidInput("chat_template_not_learnable", index=index, place=place)


def _told(error: TemplateProblemError, index: int) -> InvalidInput:
    if error.code == "chat_template_too_costly":
        return InvalidInput(error.code, index=index)
    return InvalidInput(error.code, index=index, problem=shorten(error.problem, _SHOWN))


def _placed(text: str, origin: bytes, template: ChatTemplate) -> tuple[list[Span], list[Span]]:
    """Each answer up to the mark behind it, and what of the template belongs to answers: that mark, and words that begin them."""
    areas: list[tuple[int, int, int]] = []
    for run in _ANSWERS.finditer(origin):
        code = run[0][0]
        if areas and areas[-1][2] == code:
            areas[-1] = (areas[-1][0], run.end(), code)
        else:
            areas.append((run.start(), run.end(), code))
    answers, marks = [], []
    before, end = 0, template.end
    borders = [start for start, _, _ in areas[1:]] + [len(text)] * bool(areas)
    for (start, stop, _), border in zip(areas, borders, strict=True):
        asked = text.rfind(template.ask, before, start) if template.ask else -1
        begin = asked + len(template.ask) if asked >= 0 else start
        if begin < start and set(origin[begin:start]) == {FRAME}:
            marks.append((begin, start))
        place = text.find(end, stop, border) if end else -1
        if place >= 0 and set(origin[stop : place + len(end)]) == {FRAME}:
            answers.append((start, place))
            marks.append((place, place + len(end)))
        else:
            answers.append((start, stop))
        before = answers[-1][1]
    return answers, marks


def _heard(messages: Sequence[Message]) -> list[JsonObject]:
    """Messages as templates know them: those of OpenAI's chats, arguments of calls as objects."""
    found: list[JsonObject] = []
    waiting: list[str] = []  # ids of calls that no tool has answered yet
    called = answered = 0
    for message in messages:
        if message.role == "system" and not message.content:
            continue  # it only tells of tools
        told: JsonObject = {"role": Traced.of(message.role, FRAME), "content": message.content}
        if message.role == "assistant":
            code = code_of(answered)
            answered += 1
            told["content"] = Traced.of(message.content, code)
            calls = [_call(call, code, called + number) for number, call in enumerate(message.calls)]
            waiting = [str(call["id"]) for call in calls]
            called += len(calls)
            told |= {"tool_calls": [*calls]} if calls else {}
        elif message.role == "tool" and waiting:
            told["tool_call_id"] = waiting.pop(0)
        found.append(told)
    return found


def _call(call: str, code: int, number: int) -> JsonObject:
    return {"type": "function", "id": f"call{number:05d}", "function": _coded(json.loads(call), code)}


def _coded(value: JsonValue, code: int) -> JsonValue:
    if isinstance(value, str):
        return Traced.of(value, code)
    if isinstance(value, dict):
        return {Traced.of(name, code): _coded(each, code) for name, each in value.items()}
    return [_coded(each, code) for each in value] if isinstance(value, list) else value
