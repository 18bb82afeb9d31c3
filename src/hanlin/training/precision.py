"""Which precision trains faster on this machine: measured on the run's own batches, unless the processor has one only (`has_bf16`).

Processors differ: with AMX bf16 wins by 2x and more; with AVX-512 bf16 alone some networks gain and others lose; without either all lose,
by so much (a BiLSTM tagger 1,980 ms a step in fp32 and 8,292 in bf16) that measuring it took as long as half an epoch of a small run.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

WIN = 1.05  # bf16 must be faster than fp32 by this factor
ROUNDS = 3
HOPELESS = 2.0  # a first step of bf16, warmed up, that takes so many times as long as fp32's: no more are measured


def choose_precision(
    module: nn.Module, losses: Sequence[Callable[[nn.Module], Tensor]], clock: Callable[[], float] = time.perf_counter
) -> tuple[str, dict[str, float]]:
    """`fp32` or `bf16`, and the seconds of a step in each. Leaves the module and torch's random state as they were.

    Args:
        module: in fp32.
        losses: of a few batches typical for the run, given the module.
        clock: seconds.
    """
    seconds = {"fp32": float("inf"), "bf16": float("inf")}
    with torch.random.fork_rng(devices=[]):
        copies = {"fp32": copy.deepcopy(module).train(), "bf16": copy.deepcopy(module).to(torch.bfloat16).train()}
        for trial in copies.values():
            _step_seconds(trial, losses[:1], clock)  # warms up
        first = {name: _step_seconds(trial, losses[:1], clock) for name, trial in copies.items()}
        if first["bf16"] > HOPELESS * first["fp32"]:
            return "fp32", first
        for _ in range(ROUNDS - 1):  # interleaved, so that drift hits both
            for name, trial in copies.items():
                seconds[name] = min(seconds[name], _step_seconds(trial, losses, clock))
    return ("bf16" if seconds["bf16"] * WIN < seconds["fp32"] else "fp32"), seconds


def _step_seconds(module: nn.Module, losses: Sequence[Callable[[nn.Module], Tensor]], clock: Callable[[], float]) -> float:
    started = clock()
    for loss in losses:
        loss(module).backward()  # type: ignore[no-untyped-call]
        module.zero_grad(set_to_none=True)
    return (clock() - started) / len(losses)
