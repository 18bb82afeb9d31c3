"""`hanlin chat`: one answer, a talk line by line, and what cannot be said."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.usefixtures("world")


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """A terminal at which these lines are typed."""
    remaining = list(lines)

    def answer(_prompt: str) -> str:
        if not remaining:
            raise EOFError
        return remaining.pop(0)

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_one_answer_as_it_is_written(run, world) -> None:
    done = run("chat", "writer", "hello there", "--system", "be brief", "--max-tokens", "9", "--seed", "3", "-p", "top_p=0.9")
    assert (done.status, done.out) == (0, "2: hello there\n")
    (body,) = world.talks
    assert {name: body[name] for name in ("max_tokens", "seed", "top_p", "stream")} == {
        "max_tokens": 9, "seed": 3, "top_p": 0.9, "stream": True,
    }  # fmt: skip


def test_standard_input_is_what_is_said(run, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, "你好\n世界\n")
    assert run("chat", "writer").out == "1: 你好 世界\n"


def test_one_json_document(run) -> None:
    found = run("chat", "writer", "hello", "--json").json()
    assert found == {"text": "1: hello", "finish_reason": "stop", "num_read": 7, "num_written": 2, "tool_calls": []}


def test_an_answer_that_lacked_room_says_how_to_get_more(run) -> None:
    done = run("chat", "writer", "one two three", "--max-tokens", "2")
    assert done.out == "1: one\n" and "--max-tokens" in done.err


def test_a_talk_goes_on_begins_again_and_ends(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "hello", "  ", "more", "/new", "afresh", "/exit", "never said")
    done = run("chat", "writer")
    assert done.status == 0
    assert done.out == "1: hello\n3: more\n1: afresh\n"
    assert [len(body["messages"]) for body in world.talks] == [1, 3, 1]
    assert world.talks[1]["messages"][1] == {"role": "assistant", "content": "1: hello"}


def test_a_turn_that_fails_is_told_and_has_not_been_said(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    world.talk_fault = "error"
    typed(monkeypatch, "one two three", "short")
    done = run("chat", "writer")
    assert done.status == 0 and "the stream has broken" in done.err
    assert [len(body["messages"]) for body in world.talks] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("writer", " "), "nothing to say"), (("nobody", "hello"), "no such endpoint"), (("writer", "x", "-p", "odd"), "NAME=VALUE")],
)
def test_refusals_say_what_to_do(run, arguments: tuple[str, ...], words: str) -> None:
    done = run("chat", *arguments)
    assert done.status != 0 and words in done.err and not done.out.strip()


def test_a_talk_has_no_json_document(run, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "hello")
    done = run("chat", "writer", "--json")
    assert done.status != 0 and "json_needs_text" in done.out + done.err


def test_words_cannot_steer_the_terminal(run) -> None:
    assert "\x1b" not in run("chat", "writer", "a \x1b[31mred\x1b[0m").out
