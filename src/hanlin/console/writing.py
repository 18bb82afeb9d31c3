"""What an endpoint writes for the page of it: calls as the doors read them, answers in parts as the gateway tells them. Knows no page."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import msgspec
from starlette.types import Message

from hanlin.console.views_play import Tell, WritingCall, WritingKind
from hanlin.errors import InvalidInput
from hanlin.gateway.chat_door import read_chat
from hanlin.gateway.completions_door import read_completion
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.door import Read
from hanlin.gateway.streaming import Running, Streams
from hanlin.types import Principal, serves

_READERS: dict[WritingKind, Read] = {"chat": read_chat, "text": read_completion}


async def write(
    dataplane: Dataplane, streams: Streams, principal: Principal, call: WritingCall, *, language: str, tell: Tell
) -> None:  # fmt: skip
    """See `ConsolePort.write`."""
    endpoint = call.endpoint
    ask = msgspec.structs.replace(_READERS[call.kind](call.body, endpoint), endpoint=endpoint)
    if ask.stream is None:
        raise InvalidInput("invalid_parameter", name="stream", expected="true", found="false")
    info = dataplane.find(principal, endpoint).info
    if info is not None and not serves(info.task, ask.task):
        raise InvalidInput("endpoint_has_other_task", task=info.task, needed=ask.task)

    async def send(message: Message) -> None:
        if chunk := message.get("body"):  # the head is the page's
            await tell(chunk)

    request_id = f"console-{uuid4().hex}"
    running = Running(ask.stream, send, list, request_id, language)
    predict = partial(
        dataplane.predict, principal, endpoint, ask.inputs, ask.parameters, timeout_s=dataplane.settings.stream_timeout_s,
        language=language, request_id=request_id,
    )  # fmt: skip
    await streams.run(running, lambda on_part: predict(on_part=on_part))
