"""What gateways and workers say to each other: length-prefixed msgpack frames over a private unix socket.

A frame is four bytes of length (big-endian) and one msgpack map tagged by `type`. No pickle. Whoever receives a frame that is
too long, does not parse or is out of turn closes the connection: there is no way to find the next frame boundary again.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from hanlin.types import LongText

MAX_FRAME_BYTES = 64 * 2**20  # above the largest body of the gateway; a length beyond it is garbage
MAX_ANSWER_BYTES = MAX_FRAME_BYTES - 2**20  # of an answer's body
_LENGTH = struct.Struct(">I")

Lane = Literal["interactive", "batch"]
CallOperation = Literal["answer", "tokenize", "decode", "count"]


class Frame(msgspec.Struct, frozen=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """Base of all frames."""


class ReplicaInfo(msgspec.Struct, frozen=True):
    """What a loaded replica is, for routes and `GET /models/{endpoint}`."""

    version: str
    variant: str
    task: str
    labels: tuple[str, ...]
    max_length: int
    max_items: int
    max_text_bytes: int
    languages: tuple[str, ...]
    example: str = "{}"  # JSON text of the task's worked example
    schema: str = "{}"  # JSON text: schemas of the task's inputs, parameters and output
    dimensions: int = 0  # of its embeddings; 0 where it gives none
    protections: tuple[str, ...] = ()  # what its worker gave up: see `confinement.PROTECTIONS`
    talks: bool = False  # whether it reads talks, too
    pairs: bool = False  # whether it reads a text beside another


class Hello(Frame, frozen=True):
    """First frame of a connection, gateway to worker."""

    token: str


class Welcome(Frame, frozen=True):
    """Answer to a good `Hello`: what this worker serves."""

    info: ReplicaInfo


class Call(Frame, frozen=True):
    """One request. `content` is the msgpack of `[inputs, parameters]`, checked by the task in the worker.

    Args:
        id: chosen by the sender, unique on its connection.
        timeout_s: time left of the deadline when the frame was sent.
        key: who shares the queue fairly with whom.
        is_suspect: run in a batch of its own, because a worker died while it held this call.
        long_text: what the endpoint does with texts that are too long, where the call itself says nothing.
        operation: asks the model's tokenizer alone instead of the model.
        is_streamed: the answer is wanted in parts as well, as soon as there is one.
    """

    id: int
    content: msgspec.Raw
    timeout_s: float
    key: str = ""
    lane: Lane = "interactive"
    language: str = "en"
    is_suspect: bool = False
    long_text: LongText = "refuse"
    operation: CallOperation = "answer"
    is_streamed: bool = False


class Cancel(Frame, frozen=True):
    """The caller has gone: drop the call if it has not begun."""

    id: int


class Answer(Frame, frozen=True):
    """A finished call. `body` is the JSON text for the caller; times in milliseconds.

    Args:
        truncated: indices of texts that lost their end.
        windows: of each text that was read in more than one window: its index, and how many.
        written: tokens that a network wrote for it.
        cached: tokens of it that were not read again, because an earlier call began alike.
    """

    id: int
    body: bytes
    items: int
    tokens: int
    queue_ms: float
    encode_ms: float
    engine_ms: float
    truncated: tuple[int, ...] = ()
    windows: tuple[tuple[int, int], ...] = ()
    decode_ms: float = 0.0
    write_ms: float = 0.0
    written: int = 0
    cached: int = 0


class Part(Frame, frozen=True):
    """What has been written of a streamed call since the last part. The call ends with an `Answer`, which holds the whole, or a `Refusal`.

    Args:
        row: which of the call's items.
        body: JSON text, as the task has it.
        written: tokens that it holds.
        truncated: of the first of a row: indices of the call's texts that lost something.
    """

    id: int
    row: int
    body: bytes
    written: int
    truncated: tuple[int, ...] = ()


class Refusal(Frame, frozen=True):
    """A call that failed: `error` is the public form of a HanlinError in the call's language."""

    id: int
    error: dict[str, str | int | float | bool | None]


class Ask(Frame, frozen=True):
    """Asks for `Report`."""

    id: int


class Report(Frame, frozen=True):
    """Counters and gauges of a worker by name.

    Args:
        labels: rows answered so far by their best label.
        latency: calls answered so far by the time they spent in the worker, in the buckets of `serving.latency`.
    """

    id: int
    values: dict[str, float]
    labels: dict[str, int] = {}
    latency: tuple[int, ...] = ()


FromGateway = Hello | Call | Cancel | Ask
FromWorker = Welcome | Answer | Part | Refusal | Report

_encoder = msgspec.msgpack.Encoder()
_gateway_decoder: msgspec.msgpack.Decoder[FromGateway] = msgspec.msgpack.Decoder(FromGateway)
_worker_decoder: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


class BadFrame(Exception):
    """The peer broke the protocol; the connection is lost."""


class FrameReader:
    """Cuts a byte stream into frame payloads. Pure.

    Args:
        max_frame_bytes: longest payload taken.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads completed by `data`. Raises BadFrame as soon as a length is beyond the limit."""
        self._buffer += data
        payloads: list[bytes] = []
        start = 0
        while len(self._buffer) - start >= 4:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > self.max_frame_bytes:
                raise BadFrame(f"frame of {length} bytes")
            if len(self._buffer) - start - 4 < length:
                break
            payloads.append(bytes(self._buffer[start + 4 : start + 4 + length]))
            start += 4 + length
        del self._buffer[:start]
        return payloads


def pack(frame: Frame) -> bytes:
    """A frame as bytes, length included."""
    payload = _encoder.encode(frame)
    return _LENGTH.pack(len(payload)) + payload


def unpack_from_gateway(payload: bytes) -> FromGateway:
    """A frame a worker received. Raises BadFrame."""
    try:
        return _gateway_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(str(error)[:200]) from error


def unpack_from_worker(payload: bytes) -> FromWorker:
    """A frame a gateway received. Raises BadFrame."""
    try:
        return _worker_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(str(error)[:200]) from error
