"""The gaps of interactive traffic, in which the batch lane has its steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hanlin.serving.wire import Lane

GAP_STEP_S = 0.005  # of the batch lane while interactive calls come: what one of them may have to wait for it
MIN_GAP_TOKENS = 256
_LANES: tuple[Lane, ...] = ("interactive", "batch")


def courses(lane: Lane, budget: int, *, gap: int | None) -> Iterator[tuple[tuple[Lane, ...], int]]:
    """Who may join a head of `lane`, and up to how many tokens: while interactive calls come, the batch lane makes no step long.

    Args:
        budget: tokens of a step.
        gap: most tokens of a step with the batch lane; None: as many as any, for no interactive call comes; 0: nothing waits in it.
    """
    if gap == 0:
        yield _LANES[:1], budget
    elif gap is None:
        yield _LANES, budget
    else:
        if lane == "interactive":
            yield _LANES[:1], budget
        yield _LANES[1:], min(budget, gap)
