"""Error families: one tree for server, SDK and CLI.

    HanlinError
    ├── InvalidInput        the caller's request, text, file or option is wrong
    ├── Unauthenticated     no key, or a key that is unknown, expired or revoked
    ├── PermissionDenied    a good key without the scope
    ├── NotFound            no such thing for this team
    ├── Conflict            exists already, in use, or in the wrong state
    ├── NotReady            still starting, loading or recovering
    ├── QuotaExceeded       the plan's limit is used up
    ├── Overloaded          a queue or a concurrency limit is full
    ├── DeadlineExceeded    the time allowed has passed
    ├── Cancelled           the caller, or an operator, gave up
    ├── DataCorrupt         stored bytes do not match their digest
    ├── EngineFailed        a model crashed or answered nonsense
    └── Internal            our own fault

An error is a stable `code` with parameters; its words, in English and Chinese, live in
`hanlin/messages/*.toml` (see `hanlin.messages`). `details` never leave the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from hanlin import messages

Param = str | int | float | bool | None


class HanlinError(Exception):
    """Base of every error that Hanlin raises on purpose.

    Args:
        code: key of the message catalogue, such as `text_too_long`.
        retry_after_s: seconds after which a retry may succeed, or None.
        details: private words for the log; never sent to a client.
        params: values the message names. They must be safe to show.
    """

    family: ClassVar[str] = "Internal"
    is_retryable: ClassVar[bool] = False

    def __init__(self, code: str, /, *, retry_after_s: float | None = None, details: str = "", **params: Param) -> None:
        self.code = code
        self.params = params
        self.retry_after_s = retry_after_s
        self.details = details
        self._received: tuple[str, str] | None = None
        super().__init__(code)

    @classmethod
    def of(cls, code: str, params: Mapping[str, Param]) -> Self:
        """The error of which code and parameters were written down, or sent by a process of ours."""
        error = cls(code)
        error.params = dict(params)
        return error

    @property
    def message(self) -> str:
        """What was wrong and what would be right, in English."""
        return self.text("en")

    @property
    def next_step(self) -> str:
        """What to do now, in English; empty when the message says it all."""
        return self.advice("en")

    def text(self, language: str) -> str:
        """The message in `language` (`en` or `zh`)."""
        if self._received is not None:
            return self._received[0]
        return messages.render(self.code, "message", language, self.params)

    def advice(self, language: str) -> str:
        """The next step in `language` (`en` or `zh`)."""
        if self._received is not None:
            return self._received[1]
        return messages.render(self.code, "next", language, self.params)

    def to_wire(self, language: str = "en") -> dict[str, Param]:
        """The public form: family, code, message, next step, retry time. Bounded, free of details."""
        wire: dict[str, Param] = {"code": self.code, "family": self.family, "message": self.text(language)[:2000]}
        if advice := self.advice(language)[:1000]:
            wire["next"] = advice
        if self.retry_after_s is not None:
            wire["retry_after_s"] = self.retry_after_s
        if isinstance(self.params.get("index"), int):
            wire["index"] = self.params["index"]
        return wire

    def __str__(self) -> str:
        return " → ".join(filter(None, (self.message, self.next_step)))

    def __reduce__(self) -> tuple[object, ...]:
        return (from_wire, (self.to_wire(),))


class InvalidInput(HanlinError):
    """The caller's request, text, file or option is wrong."""

    family = "InvalidInput"


class Unauthenticated(HanlinError):
    """No key, or a key that is unknown, expired or revoked."""

    family = "Unauthenticated"


class PermissionDenied(HanlinError):
    """A good key without the scope."""

    family = "PermissionDenied"


class NotFound(HanlinError):
    """No such thing for this team."""

    family = "NotFound"


class Conflict(HanlinError):
    """Exists already, in use, or in the wrong state."""

    family = "Conflict"


class NotReady(HanlinError):
    """Still starting, loading or recovering."""

    family = "NotReady"
    is_retryable = True


class QuotaExceeded(HanlinError):
    """The plan's limit is used up."""

    family = "QuotaExceeded"


class Overloaded(HanlinError):
    """A queue or a concurrency limit is full."""

    family = "Overloaded"
    is_retryable = True


class DeadlineExceeded(HanlinError):
    """The time allowed has passed."""

    family = "DeadlineExceeded"


class Cancelled(HanlinError):
    """The caller, or an operator, gave up."""

    family = "Cancelled"


class DataCorrupt(HanlinError):
    """Stored bytes do not match their digest."""

    family = "DataCorrupt"


class EngineFailed(HanlinError):
    """A model crashed or answered nonsense."""

    family = "EngineFailed"


class Internal(HanlinError):
    """Our own fault."""

    family = "Internal"


FAMILIES: dict[str, type[HanlinError]] = {
    cls.family: cls
    for cls in (
        InvalidInput, Unauthenticated, PermissionDenied, NotFound, Conflict, NotReady, QuotaExceeded,
        Overloaded, DeadlineExceeded, Cancelled, DataCorrupt, EngineFailed, Internal,
    )
}  # fmt: skip


def from_wire(wire: dict[str, Param]) -> HanlinError:
    """Rebuild the error that `to_wire` described, with the words as received."""
    cls = FAMILIES.get(str(wire.get("family")), Internal)
    retry = wire.get("retry_after_s")
    error = cls(str(wire.get("code", "internal")), retry_after_s=float(retry) if isinstance(retry, int | float) else None)
    if isinstance(index := wire.get("index"), int):
        error.params["index"] = index
    error._received = (str(wire.get("message", "")), str(wire.get("next", "")))
    return error


def as_exception(error: BaseException) -> Exception:
    """An error told as an `Exception`: a panic of a library in Rust is none, and whoever waits for an answer would never hear of it."""
    if isinstance(error, Exception):
        return error
    told = RuntimeError(f"{type(error).__name__}: {error}")
    told.__cause__ = error
    return told
