"""What a chat template is like, told by short talks that it is given: whether it may be kept, what it asks and ends answers with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import cast

from tokenizers import Tokenizer

from hanlin.tasks.chat import Message, render
from hanlin.tasks.chat_form import MAX_MARK, ChatForm, ChatTemplate, ToldTools
from hanlin.tasks.templates.budget import TemplateProblemError
from hanlin.tasks.templates.talks import text_by
from hanlin.tasks.templates.traced import FRAME, WORDS, Traced
from hanlin.tool_forms import FORMS, Call, CallForm, calls_at

_NOW = datetime(2000, 1, 1)
_NAME = "look_around"
_LOOK = {"name": _NAME, "description": "Look.", "parameters": {"type": "object", "properties": {}}}
_TOOL = json.dumps({"type": "function", "function": _LOOK})
_CALLED = json.dumps({"name": _NAME, "arguments": {"at": 5}})
_SYSTEM, _USER, _ANSWER = Message("system", "Be short."), Message("user", "Where?"), Message("assistant", "Here.")
_TALK = (_USER, _ANSWER, Message("user", "And?"))
_CALL = Message("assistant", "", (_CALLED,))
_TOOL_TALK = (Message("system", "Be short.", tools=(_TOOL,)), _USER, _CALL, Message("tool", "near"), Message("user", "And?"))
_TOLD = (Message("system", "", tools=(_TOOL,)), _USER)
_CALL_TALKS = ((*_TOLD, _CALL), (*_TOLD, _CALL, Message("tool", "near"), _ANSWER), _TOOL_TALK)  # some take a call only amid a talk


def probed(source: str, tokenizer: Tokenizer, *, tool_source: str, begin: str, bos: str, eos: str) -> ChatTemplate:
    """The template as a version keeps it.

    Raises:
        TemplateProblemError: where it cannot be run, or does not write a question.
    """
    begin, bos, eos = (mark if len(mark) <= MAX_MARK else "" for mark in (begin, bos, eos))
    found = ChatTemplate(source, tool_source, begin, bos, eos)
    asked = text_by(found, (_USER,), is_asking=True, now=_NOW)
    place = str.find(asked, _USER.content)
    if place < 0 or set(asked.origin[place : place + len(_USER.content)]) != {WORDS}:
        raise TemplateProblemError("chat_template_failed", "it does not write what the user says")
    told = _tried(found, (_USER,), is_asking=False)
    ask = str.__str__(asked[len(told) :]) if told is not None and str.startswith(asked, told) else ""
    answered = _tried(found, (_USER, _ANSWER), is_asking=False)
    end = _end_of(answered, tokenizer) if answered is not None else ""
    hears = _tried(found, (_SYSTEM, _USER), is_asking=True)
    return ChatTemplate(
        source, tool_source, begin, bos, eos, ask=ask if len(ask) <= MAX_MARK else "", end=end,
        tools=_tools_of(found, ask.strip()), hears_system=hears is not None and _SYSTEM.content in hears,
    )  # fmt: skip


def is_same(form: ChatForm, template: ChatTemplate) -> bool:
    """Whether both write the same."""
    if bool(form.tools) != bool(template.tools) or form.hears_system != template.hears_system:
        return False
    talks = [((_USER,), True), (_TALK, True), (_TALK[:2], False), ((*_TALK, _ANSWER), False)]
    talks += [((_SYSTEM, *_TALK), True)] if form.hears_system else []
    talks += [(_TOOL_TALK, True)] if form.tools else []
    for talk, asks in talks:
        own = _tried(template, talk, is_asking=asks)
        if own is None or "".join(part for part, _ in render(form, talk, is_asking=asks).parts) != own:
            return False
    return True


def _tried(template: ChatTemplate, talk: Sequence[Message], *, is_asking: bool) -> Traced | None:
    try:
        return text_by(template, talk, is_asking=is_asking, now=_NOW)
    except TemplateProblemError:
        return None


def _end_of(answered: Traced, tokenizer: Tokenizer) -> str:
    """What stands behind an answer up to the first mark of the tokenizer's, or all of it."""
    last = max((place for place, code in enumerate(answered.origin) if code > FRAME), default=len(answered))
    behind = str.__str__(answered[last + 1 :])
    names = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    place, mark = min(((place, name) for name in names if (place := behind.find(name)) >= 0), default=(0, ""))
    found = (mark or behind).strip() if not behind[:place].strip() else behind[: place + len(mark)].strip()
    return found if len(found) <= MAX_MARK else ""


def _tools_of(template: ChatTemplate, ask: str) -> ToldTools:
    """By talks in which a tool is told of and called; empty where the template has no words for that."""
    told = _tried(template, _TOLD, is_asking=True)
    if told is None or _NAME not in told:
        return ""
    found = (_tried(template, talk, is_asking=False) for talk in _CALL_TALKS)
    return next((form for called in found if called is not None and (form := _form_of(called, ask)) != "own"), "own")


def _form_of(called: Traced, ask: str) -> ToldTools:
    """The form in which a template wrote the call: the one by which it is read as that call. `ask`: behind which an answer begins."""
    names = (place for place in _places(called, _NAME) if called.origin[place] > WORDS)
    if (name := next(names, -1)) < 0:
        return "own"
    text = str.__str__(called)
    for known, form in FORMS.items():
        start = text.rfind(form.mark, 0, name)
        if form.opening and start < 0:
            start = text.rfind(form.opening, 0, name)
            start = start if ask and text[:start].rstrip().endswith(ask) else -1
        if start >= 0 and _reads(text, start, form):
            return cast("ToldTools", known)
    return "own"


def _places(text: str, word: str) -> Iterator[int]:
    place = str.find(text, word)
    while place >= 0:
        yield place
        place = str.find(text, word, place + 1)


def _reads(text: str, start: int, form: CallForm) -> bool:
    try:
        return calls_at(text, start, form)[0] == [Call(_NAME, json.dumps({"at": 5}))]
    except (ValueError, RecursionError):
        return False
