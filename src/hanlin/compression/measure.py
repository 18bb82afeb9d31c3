"""Interleaved measuring: in every round each variant does the same work in turn, so a machine that drifts slows all of them alike.

A figure is a median over rounds. Knows variants only as `BenchClient`s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from hanlin.compression.batches import spread
from hanlin.compression.bench_client import BenchClient
from hanlin.errors import HanlinError

LATENCY_ROWS = 64
LATENCY_CHUNK = 8  # rows a variant runs before it is the next one's turn
THROUGHPUT_ROWS = 512
MAX_SECONDS = 45.0  # no further round begins after this; the first always ends
OnFailure = Callable[[str, HanlinError], None]


@dataclass(frozen=True, slots=True)
class Timing:
    """One variant's speed."""

    latency_p50_ms: float
    latency_p99_ms: float
    throughput_rows_s: float


def measure(
    clients: Mapping[str, BenchClient],
    lengths: Sequence[int],
    *,
    max_tokens: int,
    rounds: int,
    on_failure: OnFailure,
    tick: Callable[[], None],
) -> dict[str, Timing]:
    """Latency at batch 1 and throughput in serving order over rows that follow the lengths of all rows.

    Args:
        lengths: tokens of every row the clients hold.
        on_failure: told of a variant that failed; it is left out of the result.
        tick: called after each round; may raise to stop everything.
    """
    single, many = spread(lengths, LATENCY_ROWS), spread(lengths, THROUGHPUT_ROWS)
    alive = dict(clients)
    times: dict[str, list[float]] = {name: [] for name in alive}
    seconds: dict[str, list[float]] = {name: [] for name in alive}

    def turn(work: Callable[[str, BenchClient], None]) -> None:
        for name in list(alive):
            try:
                work(name, alive[name])
            except HanlinError as error:
                del alive[name]
                on_failure(name, error)

    def warm_up(_: str, client: BenchClient) -> None:
        client.latency(single)  # every shape once
        client.throughput(many, max_tokens=max_tokens)

    def time_rows(rows: Sequence[int], name: str, client: BenchClient) -> None:
        times[name].extend(client.latency(rows))

    def time_all(name: str, client: BenchClient) -> None:
        seconds[name].append(client.throughput(many, max_tokens=max_tokens))

    turn(warm_up)
    began = time.monotonic()
    for _ in range(max(rounds, 1)):
        for start in range(len(single) // LATENCY_CHUNK + 1):
            chunk = single[start :: len(single) // LATENCY_CHUNK + 1]  # short and long rows in every turn
            turn(partial(time_rows, chunk))
        turn(time_all)
        tick()
        if time.monotonic() - began > MAX_SECONDS:
            break
    return {
        name: Timing(
            float(np.percentile(times[name], 50)), float(np.percentile(times[name], 99)), len(many) / float(np.median(seconds[name]))
        )
        for name in alive
    }
