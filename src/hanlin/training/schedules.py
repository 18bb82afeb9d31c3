"""How the learning rate moves over a run: pure functions of the step."""

from __future__ import annotations

import math

FLOOR = 0.02  # share of the full rate that is left at the end of a falling schedule


def rate_factor(schedule: str, step: int, total: int, warmup: float) -> float:
    """The share of the full rate at `step` (0 is the first) of `total`; rises from near 0 over the first `warmup` share of the steps.

    Source of `onecycle`: Smith, Super-Convergence (2018): half the run up and down by cosines, ending near zero.
    """
    rising = max(1, round(total * (0.3 if schedule == "onecycle" and not warmup else warmup)))
    if warmup > 0 or schedule == "onecycle":
        if step < rising:
            share = (step + 1) / rising
            return (1 - math.cos(math.pi * share)) / 2 if schedule == "onecycle" else share
    else:
        rising = 0
    rest = (step - rising) / max(1, total - rising)
    if schedule == "constant":
        return 1.0
    falling = 1 - rest if schedule == "linear" else (1 + math.cos(math.pi * rest)) / 2
    return FLOOR + (1 - FLOOR) * falling
