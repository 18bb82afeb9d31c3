"""Requests to models that talk, built once for sync and async. Sends nothing.

Source of the wire form: OpenAI's reference of `/v1/chat/completions`; the model is the endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from hanlin.client import replies
from hanlin.client.building import JSON, encoded
from hanlin.client.flows import Policy
from hanlin.client.sse import Message
from hanlin.client.steps import Call, Flow, Reply
from hanlin.client.streaming import error_in, stream_once
from hanlin.client.value import JsonObject
from hanlin.client.values_chat import ChatAnswer, ChatPiece, ToolCall
from hanlin.errors import Internal, InvalidInput, NotReady
from hanlin.types import shorten

PATH = "/v1/chat/completions"
ChatMessage = Mapping[str, JsonValue]  # {"role": "system" | "user" | "assistant", "content": …}
Talk = str | Sequence[ChatMessage]


def messages_of(talk: Talk, system: str | None) -> list[JsonValue]:
    """The messages of a call. Raises InvalidInput (`invalid_inputs`) for what is neither a string nor messages."""
    if isinstance(talk, str):
        found: list[JsonValue] = [{"role": "user", "content": talk}]
    else:
        found = [dict(message) for message in talk if isinstance(message, Mapping)] if isinstance(talk, Sequence) else []
    if not found or (not isinstance(talk, str) and len(found) < len(talk)):
        raise InvalidInput("invalid_inputs", found=shorten(type(talk).__name__))
    return found if system is None else [{"role": "system", "content": system}, *found]


def chat(endpoint: str, messages: list[JsonValue], parameters: JsonObject) -> Call[ChatAnswer]:
    """The whole answer. It changes nothing, so it may be asked for again after a cut."""
    body = {**parameters, "model": endpoint, "messages": messages}
    return Call("POST", PATH, _answer, content=encoded(body), headers=JSON, has_deadline_header=True)


def chat_stream(endpoint: str, messages: list[JsonValue], parameters: JsonObject, policy: Policy) -> Flow[ChatAnswer]:
    """Emit each `ChatPiece`; the flow's value is the whole answer. Never begun twice.

    Raises:
        NotReady: `connection_cut` when the stream breaks before its end.
    """
    heard = _Heard()
    body = {**parameters, "model": endpoint, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    headers = {**JSON, "accept": "text/event-stream", "cache-control": "no-store"}
    call = Call("POST", PATH, replies.nothing, content=encoded(body), headers=headers, is_idempotent=False)
    ending = yield from stream_once(call, policy, deadline_s=float("inf"), on_message=heard.take)
    if ending != "end" or not heard.finish_reason:
        raise NotReady("connection_cut")
    return heard.answer()


class _Heard:
    """What a stream has told so far."""

    def __init__(self) -> None:
        self.finish_reason = ""
        self._pieces: list[str] = []
        self._usage: dict[str, Any] = {}
        self._calls: list[ToolCall] = []

    def take(self, message: Message) -> ChatPiece | None:
        """The words of one event. Raises HanlinError that it tells of."""
        try:
            data = json.loads(message.data)
            if "error" in data:
                raise error_in(message)
            self._usage = data.get("usage") or self._usage
            choice = data["choices"][0] if data["choices"] else {}
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            delta = choice.get("delta", {})
            self._calls += _calls(delta)
            text = delta.get("content") or ""
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Internal("unexpected_answer", status=200, details=str(error)[:200]) from error
        if not text:
            return None
        self._pieces.append(text)
        return ChatPiece(text=text)

    def answer(self) -> ChatAnswer:
        """The whole."""
        read, written = (int(self._usage.get(name, 0)) for name in ("prompt_tokens", "completion_tokens"))
        return ChatAnswer(
            text="".join(self._pieces), finish_reason=self.finish_reason, num_read=read, num_written=written, tool_calls=tuple(self._calls)
        )


def _calls(said: dict[str, Any]) -> list[ToolCall]:
    """Calls of a message or of a piece, which come whole."""
    found = said.get("tool_calls") or []
    return [ToolCall(id=call["id"], name=call["function"]["name"], arguments=call["function"]["arguments"]) for call in found]


def _answer(reply: Reply) -> ChatAnswer:
    try:
        data: Any = replies.json_of(reply)
        choice, usage = data["choices"][0], data["usage"]
        return ChatAnswer(
            text=choice["message"]["content"] or "", finish_reason=choice["finish_reason"], num_read=usage["prompt_tokens"],
            num_written=usage["completion_tokens"], tool_calls=tuple(_calls(choice["message"])),
        )  # fmt: skip
    except (ValueError, LookupError, TypeError) as error:
        raise Internal("unexpected_answer", status=reply.status, details=str(error)[:200]) from error
