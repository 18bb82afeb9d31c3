"""The playground of an endpoint that writes: what comes of a call leaves as it comes, and ends when the visitor stops it or leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hanlin.console.pages.endpoints import name_in
from hanlin.console.views_play import Tell, WritingCall, WritingKind
from hanlin.console.visits import Visit
from hanlin.errors import Cancelled, HanlinError, InvalidInput
from hanlin.gateway.hang_up import until_gone
from hanlin.gateway.streaming import HEAD

_KINDS: dict[str, WritingKind] = {"chat": "chat", "text": "text"}


async def write(visit: Visit) -> Response:
    """The endpoint's answer to the call in the form, in parts. Raises InvalidInput (`console_form_invalid`) for no kind of call."""
    kind = _KINDS.get(visit.form.get("kind", ""))
    if kind is None:
        raise InvalidInput("console_form_invalid")
    call = WritingCall(name_in(visit), kind, visit.form.get("body", "").encode())
    return Telling(visit, lambda tell: visit.site.port.write(visit.who, call, language=visit.language, tell=tell))


class Telling(Response):
    """An answer that leaves in parts; its head with the first of them, so that what fails before is refused as any call is.

    Args:
        work: tells the parts.
    """

    def __init__(self, visit: Visit, work: Callable[[Tell], Awaitable[None]]) -> None:
        super().__init__()
        self._visit = visit
        self._work = work
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            await until_gone(self._work(partial(self._tell, send)), scope, receive)
        except HanlinError as error:
            if self._has_begun or isinstance(error, Cancelled):
                raise
            await self._visit.refusal(error)(scope, receive, send)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, send: Send, chunk: bytes) -> None:
        if not self._has_begun:
            self._has_begun = True
            await send({"type": "http.response.start", "status": 200, "headers": [*HEAD.items()]})
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
