"""Frames: whole and in pieces, too long, garbage."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanlin.serving import wire
from hanlin.serving.wire import Answer, BadFrame, Call, Cancel, FrameReader, Hello, pack


@given(st.lists(st.integers(1, 40), min_size=1))
def test_frames_survive_any_cutting(cuts: list[int]) -> None:
    call = Call(7, msgspec.Raw(msgspec.msgpack.encode(["早上好", {"top_k": 2}])), 3.5, "key", "batch", "zh", True)
    stream = pack(Hello("t")) + pack(call) + pack(Cancel(7))
    reader, payloads, at = FrameReader(), [], 0
    for cut in [*cuts, len(stream)]:
        payloads += reader.feed(stream[at : at + cut])
        at += cut
    frames = [wire.unpack_from_gateway(payload) for payload in payloads]
    assert [type(frame) for frame in frames] == [Hello, Call, Cancel]
    assert isinstance(frames[1], Call)
    assert msgspec.msgpack.decode(frames[1].content) == ["早上好", {"top_k": 2}]
    assert frames[1].is_suspect


def test_length_beyond_the_limit_is_refused_before_the_bytes_come() -> None:
    with pytest.raises(BadFrame):
        FrameReader().feed((2 * 2**30).to_bytes(4, "big"))


@given(st.binary(max_size=200))
def test_garbage_is_a_bad_frame_and_nothing_else(payload: bytes) -> None:
    for unpack in (wire.unpack_from_gateway, wire.unpack_from_worker):
        try:
            unpack(payload)
        except BadFrame:
            continue


def test_worker_frames_are_no_gateway_frames() -> None:
    answer = pack(Answer(1, b"[]", 1, 1, 0.0, 0.0, 0.0))[4:]
    assert wire.unpack_from_worker(answer) == Answer(1, b"[]", 1, 1, 0.0, 0.0, 0.0)
    with pytest.raises(BadFrame):
        wire.unpack_from_gateway(answer)
