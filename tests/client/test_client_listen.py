"""Streams of events: a job's, across cuts; and the rules for any other."""

from __future__ import annotations

import json

import pytest

from hanlin import errors
from hanlin.client import AsyncHanlin, Message
from hanlin.client.flows import Policy
from hanlin.client.steps import Broken, Emit, Read, Reply, Send, Sleep
from hanlin.client.streaming import listen


def submitted(client) -> str:
    return client.jobs.submit("train", {"dataset": "reviews-zh"}).id


@pytest.mark.parametrize("stops_cleanly", [False, True])
def test_the_events_of_a_job_are_heard_once_each_across_cuts(hanlin, world, stops_cleanly: bool) -> None:
    job, world.stream_cuts, world.stops_cleanly = submitted(hanlin), 2, stops_cleanly
    heard = list(hanlin.listen(f"/api/v1/jobs/{job}/events"))
    assert [(message.id, message.event) for message in heard] == [("1", "message"), *((str(seq), "progress") for seq in range(2, 7))]
    assert json.loads(heard[1].data)["step"] == 1
    assert [headers.get("last-event-id") for _, path, headers in world.requests if path.endswith("events")] == [None, "2", "4"]


async def test_they_are_heard_async_from_any_place_on(hanlin, world, standin) -> None:
    job = submitted(hanlin)
    async with AsyncHanlin(world.url, standin.KEY) as client:
        assert [message.id async for message in client.listen(f"/api/v1/jobs/{job}/events", after="4")] == ["5", "6"]


def test_what_is_not_there_is_told(hanlin) -> None:
    with pytest.raises(errors.NotFound):
        list(hanlin.listen("/api/v1/jobs/none/events"))
    for path in ("http://elsewhere/x", "//elsewhere", "", "/a b", "/a\nb"):
        with pytest.raises(errors.InvalidInput) as caught:
            list(hanlin.listen(path))
        assert caught.value.code == "invalid_stream_path"


def heard(outcomes, **more) -> tuple[list[Message], list[Send], errors.HanlinError | None]:
    """The messages and requests when these are the outcomes of sending and reading, and the error at the end."""
    now_s = [0.0]
    flow = listen("/v1/x", Policy("http://x", patience_s=100, jitter=lambda: 0.5, clock=lambda: now_s[0]), **more)
    remaining, messages, sends = list(outcomes), [], []
    try:
        step = next(flow)
        while True:
            if isinstance(step, Emit):
                assert isinstance(step.event, Message)
                messages.append(step.event)
            now_s[0] += step.seconds if isinstance(step, Sleep) else 0.0
            sends += [step] if isinstance(step, Send) else []
            step = flow.send(remaining.pop(0) if isinstance(step, Send | Read) else None)
    except StopIteration:
        return messages, sends, None
    except errors.HanlinError as error:
        return messages, sends, error


OPEN = Reply(200, {})


def test_a_stream_of_tokens_is_read_piece_by_piece() -> None:
    pieces = [OPEN, b'data: {"token": "\xe5', b"\xa5", b'\xbd"}\n\nda', b"ta: [DONE]\n\n"]
    messages, sends, error = heard(pieces, body={"inputs": "x"})
    assert ([message.data for message in messages], error) == (['{"token": "好"}'], None)
    assert (sends[0].method, sends[0].content) == ("POST", b'{"inputs": "x"}')


def test_what_a_post_began_is_not_begun_again() -> None:
    for outcomes in ([Broken("cut")], [OPEN, b"data: a\n\n", Broken("cut")]):
        _, sends, error = heard(outcomes, body={})
        assert (len(sends), error and error.code) == (1, "connection_cut")


def test_an_error_inside_a_stream_is_raised_or_mended() -> None:
    busy = b'event: error\ndata: {"code": "server_stopping", "family": "NotReady", "message": "m"}\n\n'
    bad = b'event: error\ndata: {"error": {"code": "text_too_long", "family": "InvalidInput", "message": "m"}}\n\n'
    _, sends, error = heard([OPEN, b"id: 7\ndata: a\n\n", busy, OPEN, bad])
    assert isinstance(error, errors.InvalidInput)
    assert [step.headers.get("last-event-id") for step in sends] == [None, "7"]
    for nonsense in (b"event: error\ndata: <html>\n\n", b"event: error\ndata: []\n\n", b'event: error\ndata: {"error": 1}\n\n'):
        assert isinstance(heard([OPEN, nonsense])[2], errors.Internal)


def test_patience_has_an_end() -> None:
    _, sends, error = heard([Broken("connect")] * 200)
    assert error is not None and error.code == "connection_cut"
    assert 10 < len(sends) < 100


def test_an_orderly_end_is_the_end() -> None:
    messages, sends, error = heard([OPEN, b"data: a\n\n", b""])
    assert (len(messages), len(sends), error) == (1, 1, None)
