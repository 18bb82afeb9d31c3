"""What a parent and its worker process say to each other: JSON, orders as packets on the worker's stdin, news as lines on its stdout.

Calls never pass here: each loaded model has a socket of its own for them (`wire.py`).
"""

from __future__ import annotations

import msgspec

from hanlin.engines.streams import AUTO, Streams
from hanlin.errors import FAMILIES, EngineFailed, HanlinError, Internal
from hanlin.serving.wire import ReplicaInfo


class Line(msgspec.Struct, frozen=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """Base of all orders and news. `id` names the model within its process; the parent chooses it."""

    id: str


class Load(Line, frozen=True, kw_only=True):
    """Load a variant and answer calls for it at the listening socket that comes with the order, for those who show `token`.

    Args:
        base: of an adapter, what it stands on: those with the same one share it. Empty: the model stands alone.
    """

    token: str
    folder: str
    variant: str
    version: str
    endpoint: str = "-"
    base: str = ""
    threads: int = 1
    streams: Streams = AUTO
    max_batch_tokens: int = 4096
    max_queue_tokens: int = 65_536
    max_queue_wait_s: float = 0.1
    max_items: int = 256
    max_text_bytes: int = 2**20


class Unload(Line, frozen=True, kw_only=True):
    """Drain a model and free it.

    Args:
        if_unused_since: the model's `num_calls` as the parent knows it: when more calls have come since, or one is in flight,
            the model stays and the news is `Busy`. None: whatever is in flight.
    """

    drain_timeout_s: float
    if_unused_since: int | None = None


class Failure(msgspec.Struct, frozen=True):
    """Why a model could not load: words are found where they are read."""

    family: str = "Internal"
    code: str = "internal"
    params: dict[str, str | int | float | bool | None] = {}

    @classmethod
    def of(cls, error: Exception, variant: str) -> Failure:
        """What `error` says that may be shown."""
        known = (
            error if isinstance(error, HanlinError) else EngineFailed("engine_load_failed", variant=variant, reason=type(error).__name__)
        )
        return cls(known.family, known.code, known.params)

    def error(self) -> HanlinError:
        """The error again."""
        return FAMILIES.get(self.family, Internal).of(self.code, self.params)


class Ready(Line, frozen=True, kw_only=True):
    """The model answers."""

    info: ReplicaInfo


class Failed(Line, frozen=True, kw_only=True):
    """The model could not be loaded."""

    error: Failure


class Unloaded(Line, frozen=True):
    """The model is gone and its socket with it."""


class Busy(Line, frozen=True):
    """The model stays: see `Unload.if_unused_since`."""


class ModelFacts(msgspec.Struct, frozen=True):
    """How much a model is used."""

    num_calls: int
    inflight: int
    queued_tokens: int
    engine_s: float
    num_answered: int = 0


class Facts(Line, frozen=True, kw_only=True):
    """How much each model is used, told when it has changed. `id` is empty."""

    models: dict[str, ModelFacts]


Order = Load | Unload
News = Ready | Failed | Unloaded | Busy | Facts

_encoder = msgspec.json.Encoder()
_order_decoder: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
_news_decoder: msgspec.json.Decoder[News] = msgspec.json.Decoder(News)


def dump(line: Line) -> bytes:
    """One line of bytes."""
    return _encoder.encode(line) + b"\n"


def read_order(line: bytes) -> Order:
    """An order as the worker received it. Raises msgspec.MsgspecError."""
    return _order_decoder.decode(line)


def read_news(line: bytes) -> News | None:
    """News as the parent received them; None for what is none, such as a line that a library printed."""
    try:
        return _news_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
