"""The choice between fp32 and bf16: what it measures, when it stops, when it does not measure at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hanlin.training.precision import ROUNDS, choose_precision


class Clock:
    """Goes on only when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Slow(nn.Module):
    """Takes so many seconds of `clock` a step in each precision, and counts."""

    def __init__(self, clock: Clock, **times: float) -> None:
        super().__init__()
        self.clock = clock
        self.weight = nn.Parameter(torch.ones(4))
        self.times = {"float32": times["fp32"], "bfloat16": times["bf16"]}
        self.steps: Counter[str] = Counter()

    def __deepcopy__(self, memo: object) -> Slow:
        copied = Slow(self.clock, fp32=self.times["float32"], bf16=self.times["bfloat16"])
        copied.steps = self.steps
        return copied

    def forward(self) -> Tensor:
        name = str(self.weight.dtype).removeprefix("torch.")
        self.steps[name] += 1
        self.clock.now_s += self.times[name]
        return self.weight.sum()


def losses_of(count: int) -> list[Callable[[nn.Module], Tensor]]:
    return [lambda module: module()] * count


@pytest.mark.parametrize(("bf16", "chosen"), [(0.2, "bf16"), (1.6, "fp32")])
def test_the_faster_one_is_taken_and_both_are_measured_alike(bf16: float, chosen: str) -> None:
    clock = Clock()
    module = Slow(clock, fp32=1.0, bf16=bf16)
    found, seconds = choose_precision(module, losses_of(2), clock)
    assert found == chosen
    assert seconds == {"fp32": 1.0, "bf16": pytest.approx(bf16)}
    assert module.steps["float32"] == module.steps["bfloat16"] == 2 + 2 * (ROUNDS - 1)


def test_a_hopeless_bf16_is_not_measured_to_the_end() -> None:
    clock = Clock()
    module = Slow(clock, fp32=1.0, bf16=10.0)
    assert choose_precision(module, losses_of(5), clock) == ("fp32", {"fp32": 1.0, "bf16": 10.0})
    assert module.steps == {"float32": 2, "bfloat16": 2}
