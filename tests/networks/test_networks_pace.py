"""Pieces of prompts by time: a machine of plain numbers, whose turns take what a formula says."""

from __future__ import annotations

from dataclasses import dataclass

from hanlin.networks.generation.pace import FIRST_LIMIT, LIMIT, SIZES, Pace


@dataclass
class Machine:
    """Turns of `begin_s` and so much a row, a piece and a token of it; every `odd`-th takes ten times as long."""

    row_s: float = 0.003
    token_s: float = 0.003
    piece_s: float = 0.0
    begin_s: float = 0.05
    odd: int = 0
    turns: int = 0

    def turn_s(self, rows: int, tokens: int) -> float:
        self.turns += 1
        slow = 10.0 if self.odd and self.turns % self.odd == 0 else 1.0
        return slow * (self.begin_s + rows * self.row_s + tokens * self.token_s + bool(tokens) * self.piece_s)


def run(pace: Pace, machine: Machine, rows: int, turns: int) -> list[int]:
    sizes = []
    for _ in range(turns):
        sizes.append(pace.size(rows))
        pace.note(rows, sizes[-1], machine.turn_s(rows, sizes[-1]))
    return sizes


def test_the_largest_piece_that_keeps_a_turn_short() -> None:
    for machine, rows, expected in ((Machine(), 8, 16), (Machine(token_s=0.0005), 8, 96), (Machine(token_s=1.0), 8, SIZES[0])):
        pace = Pace(512)
        assert pace.size(0) == 512, "nobody waits"
        sizes = run(pace, machine, rows, 12)
        assert sizes[0] == 0, "a turn without a piece is timed first"
        assert set(sizes[3:]) == {expected}
        plain_s, larger = machine.turn_s(rows, 0), SIZES[SIZES.index(expected) + 1]
        assert expected == SIZES[0] or machine.turn_s(rows, expected) <= LIMIT * plain_s < machine.turn_s(rows, larger)
    assert max(run(Pace(20), Machine(token_s=0.0), 1, 9)) == 20, "never more than alone"


def test_more_rows_are_timed_anew_and_a_turn_now_and_then_is_enough() -> None:
    pace, machine = Pace(512), Machine()
    for _ in range(20):
        pace.note(1, 0, machine.turn_s(1, 0))
    assert run(pace, machine, 1, 10)[-1] == 8
    sizes = run(pace, machine, 32, 400)  # a prompt always waits
    assert sizes[-1] == 24, "not what one row beside it would bear"
    assert 1 <= sizes.count(0) <= 400 // 50
    assert set(run(pace, machine, 30, 5)) == {24}, "nearly as many are as good"


def test_a_machine_that_changes_is_followed_and_one_that_stumbles_is_not() -> None:
    pace, machine = Pace(512), Machine(odd=5)
    assert set(run(pace, machine, 8, 80)[20:]) <= {0, 16}
    machine.odd, machine.token_s = 0, 0.001
    assert run(pace, machine, 8, 90)[-1] == 48


def test_a_prompt_is_not_read_ever_so_slowly() -> None:
    pace, machine, rows = Pace(256), Machine(piece_s=0.1, token_s=0.002), 8  # no piece is cheap, as where it is a step of its own
    for _ in range(4):
        pace.note(0, 256, machine.turn_s(0, 256))
    chosen = run(pace, machine, rows, 40)[-1]
    alone_s = machine.turn_s(0, 256) / 256
    times = {size: machine.turn_s(rows, size) / size / alone_s for size in SIZES}
    assert times[chosen] <= FIRST_LIMIT < times[SIZES[SIZES.index(chosen) - 1]]
