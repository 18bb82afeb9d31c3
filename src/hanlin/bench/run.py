"""A whole bench: closed loops to find the capacity, then open loops at shares of it, which give the saturation curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hanlin.bench.load import Limits, Load, Window, reasons_of
from hanlin.errors import EngineFailed

SHARES = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2)
OnLoad = Callable[[str, float, int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The loads to try.

    Args:
        clients: closed loops, by rising number.
        rates: open loops in requests a second; None takes `SHARES` of the capacity that the closed loops found.
    """

    clients: tuple[int, ...] = (1, 8, 64)
    rates: tuple[float, ...] | None = None

    @property
    def num_loads(self) -> int:
        """How many loads it tries."""
        return len(self.clients) + len(self.rates if self.rates is not None else SHARES)

    def seconds(self, limits: Limits) -> float:
        """How long it takes, about."""
        return self.num_loads * (limits.seconds + limits.warm_up_s)


async def run_plan(load: Load, plan: Plan, *, on_load: OnLoad = lambda *_: None) -> tuple[tuple[Window, ...], tuple[Window, ...]]:
    """The closed and the open loops of a plan, in order.

    Args:
        on_load: called before each: `closed` or `open`, its clients or rate, its number from 1, how many there are.

    Raises:
        EngineFailed: `bench_no_answer` when not a single good answer came.
    """
    closed: list[Window] = []
    number = 0
    for clients in plan.clients:
        number += 1
        on_load("closed", clients, number, plan.num_loads)
        closed.append(await load.closed(clients))
    rates = plan.rates if plan.rates is not None else _rates(closed)
    opened: list[Window] = []
    for rate in rates:
        number += 1
        on_load("open", rate, number, plan.num_loads)
        opened.append(await load.open(rate))
    if not any(window.good for window in (*closed, *opened)):
        reasons = reasons_of((*closed, *opened))
        raise EngineFailed("bench_no_answer", reason=next((code for code, _ in reasons.most_common(1) if code), "-"))
    return tuple(closed), tuple(opened)


def _rates(closed: Sequence[Window]) -> list[float]:
    capacity = max((window.goodput_rps for window in closed), default=0.0)
    return [share * capacity for share in SHARES] if capacity > 0 else []
