"""What a gateway remembers of inputs under which workers died."""

from __future__ import annotations

import pytest

from hanlin.errors import InvalidInput
from hanlin.serving import poison
from hanlin.serving.poison import PoisonMemory, mark_of
from hanlin.serving.routes import EndpointRoute

ROUTE = EndpointRoute("mood", "mood:1", "fake-fp32", "ready")


def test_an_input_is_poison_at_its_second_death_and_told_once() -> None:
    memory = PoisonMemory()
    memory.check(b"x")
    assert [memory.blame(b"x"), memory.blame(b"y"), memory.blame(b"x"), memory.blame(b"x")] == [False, False, True, False]
    memory.check(b"y")
    with pytest.raises(InvalidInput) as caught:
        memory.check(b"x")
    assert caught.value.code == "poison_input"


def test_what_another_gateway_found_is_refused_at_once() -> None:
    memory = PoisonMemory()
    assert not memory.has_any
    memory.refuse(b"x")
    assert memory.has_any
    with pytest.raises(InvalidInput):
        memory.check(b"x")


def test_the_oldest_is_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poison, "_MEMORY", 2)
    memory = PoisonMemory()
    for mark in (b"a", b"b", b"c"):
        memory.refuse(mark)
    memory.check(b"a")
    for mark in (b"b", b"c"):
        with pytest.raises(InvalidInput):
            memory.check(mark)


def test_a_mark_is_of_the_content_and_of_who_would_answer_it() -> None:
    marks = {mark_of(ROUTE, b"one"), mark_of(ROUTE, b"two"), mark_of(EndpointRoute("mood", "mood:2", "fake-fp32", "ready"), b"one")}
    assert len(marks) == 3
    assert mark_of(ROUTE, b"one") in marks
