"""What a protocol is to the gateway: its addresses, how a body becomes a call of the dataplane, how an outcome becomes its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from starlette.responses import Response

from hanlin.gateway.dataplane import Dataplane, Outcome
from hanlin.gateway.operation import Told
from hanlin.serving.wire import CallOperation
from hanlin.types import JsonObject, JsonValue, Principal

NAME = "{endpoint}"  # in a path: the one part that is not fixed
Write = Callable[[Outcome], bytes]  # the protocol's answer


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A call as the dataplane takes it.

    Args:
        endpoint: empty: the default one for the task.
        task: what the endpoint must do; empty: whatever it does.
        write: the protocol's answer; None: the task's own JSON as it is.
        operation: what is asked: the model, or its tokenizer alone.
    """

    endpoint: str
    inputs: JsonValue
    parameters: JsonObject
    task: str = ""
    write: Write | None = None
    operation: CallOperation = "answer"


Read = Callable[[bytes, str], Ask]  # of a body and the endpoint in the path; raises InvalidInput
Show = Callable[[Dataplane, Principal, str], Response]  # for who asks and the endpoint in the path; raises HanlinError


@dataclass(frozen=True, slots=True)
class Door:
    """One address of a protocol.

    Args:
        is_default: whether `show` tells of the default endpoint where the address names none.
        path: its address, also its label in metrics and logs; may hold `{endpoint}`.
        read: what POST asks for.
        show: what GET tells.
        post: what the API's description says of the call; due where there is `read`.
        get: what it says of the look; due where there is `show`.

    Attributes:
        is_named: whether the address names the endpoint; else the body does.
    """

    path: str
    read: Read | None = None
    show: Show | None = None
    post: Told | None = None
    get: Told | None = None
    is_default: bool = False
    is_named: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_named", NAME in self.path)

    @property
    def allowed(self) -> str:
        """Its methods, for `Allow`."""
        return ", ".join([*(["GET, HEAD"] if self.show else []), *(["POST"] if self.read else [])])
