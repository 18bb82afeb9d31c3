"""Whose turn it is: no clock, no thread."""

from __future__ import annotations

from collections.abc import Callable

from hanlin.serving.turns import Turns


class Model:
    """Wants a number of turns, one after the other."""

    def __init__(self, name: str, turns: Turns, log: list[str], wanted: int) -> None:
        self.name, self.turns, self.log, self.wanted = name, turns, log, wanted
        self.is_running = False
        self.pump: Callable[[], None] = self._pump

    def _pump(self) -> None:
        if not self.is_running and self.wanted and self.turns.take(self.pump):
            self.wanted -= 1
            self.is_running = True
            self.log.append(self.name)

    def done(self) -> None:
        self.is_running = False
        self.turns.give_back()
        self.pump()


def test_turns_go_round_in_the_order_of_asking() -> None:
    log: list[str] = []
    turns = Turns(1)
    a, b, c = (Model(name, turns, log, 2) for name in "abc")
    for model in (a, b, c):
        model.pump()
        model.pump()  # asking twice does not stand in line twice
    while running := next((model for model in (a, b, c) if model.is_running), None):
        running.done()
    assert "".join(log) == "abcabc"


def test_as_many_as_there_are_turns_run_at_once() -> None:
    log: list[str] = []
    turns = Turns(2)
    models = [Model(name, turns, log, 1) for name in "abc"]
    for model in models:
        model.pump()
    assert [model.is_running for model in models] == [True, True, False]
    models[0].done()
    assert [model.is_running for model in models] == [False, True, True]


def test_one_that_has_nothing_left_passes_its_turn_on() -> None:
    log: list[str] = []
    turns = Turns(1)
    a, b, c = (Model(name, turns, log, 1) for name in "abc")
    for model in (a, b, c):
        model.pump()
    b.wanted = 0  # its calls have gone
    a.done()
    assert (log, c.is_running) == (["a", "c"], True)


def test_without_a_limit_nobody_waits() -> None:
    turns = Turns()
    assert all(turns.take(lambda: None) for _ in range(100))
    turns.give_back()
