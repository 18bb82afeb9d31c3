"""Talks with models: whole answers, answers in pieces, and streams that break."""

from __future__ import annotations

import pytest

from hanlin import errors
from hanlin.client import AsyncHanlin, ChatAnswer

WHOLE = ChatAnswer(text="2: hello 世界 🙂", finish_reason="stop", num_read=7, num_written=4)


def heard(stream) -> tuple[list[str], ChatAnswer]:
    pieces = []
    while True:
        try:
            pieces.append(next(stream).text)
        except StopIteration as ended:
            return pieces, ended.value


def test_an_answer_whole_and_in_pieces_is_the_same(hanlin, world) -> None:
    assert hanlin.chat("writer", "hello 世界 🙂", system="be brief", temperature=0.5) == WHOLE
    assert heard(hanlin.chat_stream("writer", "hello 世界 🙂", system="be brief")) == (["2:", " hello", " 世界", " 🙂"], WHOLE)
    first, second = world.talks
    assert first["messages"] == second["messages"] == [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "hello 世界 🙂"},
    ]  # fmt: skip
    assert first["temperature"] == 0.5 and "stream" not in first
    assert second["stream"] is True and second["stream_options"] == {"include_usage": True}


async def test_the_same_async(world, standin) -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c d"}]
    async with AsyncHanlin(world.url, standin.KEY) as client:
        assert (await client.chat("writer", talk, max_tokens=2)).finish_reason == "length"
        assert [piece.text async for piece in client.chat_stream("writer", talk)] == ["3:", " c", " d"]


@pytest.mark.parametrize(
    ("fault", "error", "code"), [("cut", errors.NotReady, "connection_cut"), ("error", errors.EngineFailed, "stream_broken")]
)
def test_a_stream_that_breaks_says_so_and_is_not_begun_again(hanlin, world, fault: str, error: type, code: str) -> None:
    world.talk_fault = fault
    stream = hanlin.chat_stream("writer", "one two three")
    assert [next(stream).text, next(stream).text] == ["2:".replace("2", "1"), " one"]
    with pytest.raises(error) as caught:
        next(stream)
    assert caught.value.code == code
    assert len(world.talks) == 1


def test_a_refusal_is_the_servers_own(hanlin) -> None:
    with pytest.raises(errors.NotFound):
        hanlin.chat("nobody", "hello")
    with pytest.raises(errors.NotFound):
        next(hanlin.chat_stream("nobody", "hello"))


@pytest.mark.parametrize("talk", [None, 3, ["hello"], b"hello", [{"role": "user"}, "x"]])
def test_what_is_no_talk_is_refused_before_it_is_sent(hanlin, world, talk: object) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.chat("writer", talk)
    assert caught.value.code == "invalid_inputs"
    assert world.talks == []


def test_a_stream_that_is_closed_early_leaves_nothing_open(hanlin) -> None:
    stream = hanlin.chat_stream("writer", "one two three")
    assert next(stream).text == "1:"
    stream.close()
    assert hanlin.chat("writer", "again").text == "1: again"
