"""The load generator: histograms keep their word, loads are bounded, a stall is charged for everyone it keeps waiting."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin.bench.connection import Reply, Target
from hanlin.bench.histogram import Histogram
from hanlin.bench.load import Limits, Load
from hanlin.bench.parts import NAMES, Parts
from hanlin.bench.run import Plan, run_plan
from hanlin.errors import EngineFailed

BODY = b'{"inputs": "good"}'


def load_of(server, *, seconds: float = 0.5, warm_up_s: float = 0.1, requests: int = 100_000, timeout_s: float = 5.0, **more) -> Load:
    target = Target.of(f"http://127.0.0.1:{server.port}", "e", "hl_key")
    return Load(target, [BODY], limits=Limits(seconds, warm_up_s, requests, timeout_s, **more))


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 100.0), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_quantile_is_within_one_per_cent(values: list[float], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    exact = sorted(values)[max(1, round(share * len(values))) - 1]
    assert histogram.quantile_s(share) == pytest.approx(exact, rel=0.01, abs=1e-6)
    assert (histogram.count, histogram.max_s) == (len(values), max(values))


def test_a_histogram_of_nothing() -> None:
    assert (Histogram().quantile_s(0.5), Histogram().mean_s) == (0.0, 0.0)


async def test_the_closed_loop_keeps_its_clients_busy(server) -> None:
    server.delay_s = lambda number: 0.01
    window = await load_of(server).closed(4)
    assert server.connections == window.clients == 4
    assert window.good > 0 and window.failed == window.refused == 0
    assert window.latency.quantile_s(0.5) > 0.009
    assert window.goodput_rps <= 4 / 0.01, "no more than four at once"
    head = server.requests[0].lower()
    assert head.startswith(b"post /models/e http/1.1\r\n") and b"authorization: bearer hl_key" in head and head.endswith(BODY)


async def test_the_open_loop_counts_from_the_moment_a_request_was_meant_to_leave(server) -> None:
    """One stall of 0.4 s on the only connection: whoever was meant to leave meanwhile waited too."""
    server.delay_s = lambda number: 0.4 if number == 5 else 0.0
    window = await load_of(server, seconds=1.0, warm_up_s=0.0, max_clients=1).open(200.0)
    stalled = [share for share in (0.9, 0.8, 0.7) if window.latency.quantile_s(share) > 0.05]
    assert 0.9 in stalled, "one slow answer in two hundred must show far below the p99.5"
    assert window.parts.means_ms()["wait"] > 10


async def test_arrivals_are_as_many_as_offered(server) -> None:
    window = await load_of(server, seconds=1.5, warm_up_s=0.2).open(200.0)
    assert 200 < window.good + window.unsent < 400
    assert window.offered_rps == 200.0


async def test_what_was_never_sent_is_counted_with_its_wait(server) -> None:
    server.delay_s = lambda number: 0.2
    window = await load_of(server, seconds=0.5, warm_up_s=0.0, max_clients=1).open(100.0)
    assert window.unsent > 20
    assert window.latency.count == window.good + window.unsent
    assert window.latency.quantile_s(0.5) > 0.1


async def test_answers_are_told_apart(server) -> None:
    server.status = lambda number: (200, 429, 503, 500, 0)[number % 5]
    window = await load_of(server, seconds=0.4, warm_up_s=0.0).closed(2)
    assert window.good and window.refused and window.failed
    assert abs(window.good * 2 - window.refused) <= 4 and abs(window.refused - window.failed) <= 4
    assert sum(window.reasons.values()) == window.refused + window.failed
    assert {"429", "503", "500", ""} <= window.reasons.keys()
    assert server.connections > 2, "a lost connection is opened anew"


async def test_a_silent_server_ends_in_time(server) -> None:
    server.delay_s = lambda number: 30.0
    async with asyncio.timeout(10):
        window = await load_of(server, seconds=0.2, warm_up_s=0.0, timeout_s=0.3).closed(2)
    assert (window.good, window.failed) == (0, 2)


@pytest.mark.parametrize("kind", ["closed", "open"])
async def test_requests_are_bounded(server, kind: str) -> None:
    load = load_of(server, seconds=5.0, warm_up_s=0.0, requests=20)
    async with asyncio.timeout(4):
        window = await (load.closed(2) if kind == "closed" else load.open(500.0))
    assert window.is_capped and 20 <= window.answered <= 21


async def test_where_the_time_goes_adds_up(server) -> None:
    window = await load_of(server).closed(1)
    ms = window.parts.means_ms()
    assert list(ms) == list(NAMES)
    assert [ms[name] for name in ("parse", "queue", "encode", "engine", "decode", "write")] == [0.1, 0.2, 0.3, 2.0, 0.05, 0.05]
    assert ms["hop"] == pytest.approx(0.3)
    assert ms["wait"] == 0.0


def test_what_is_left_of_an_exchange_is_network() -> None:
    parts = Parts()
    parts.add(b"engine;dur=4, total;dur=5", waited_s=0.001, exchange_s=0.007)
    parts.add(b"nonsense, engine;dur=x", waited_s=0.001, exchange_s=0.007)
    ms = parts.means_ms()
    assert (ms["engine"], ms["hop"], ms["network"], ms["wait"]) == (2.0, 0.5, 4.5, 1.0)


async def test_a_plan_goes_up_to_the_capacity_and_beyond(server) -> None:
    server.delay_s = lambda number: 0.005
    said: list[tuple[str, int, int]] = []
    load = load_of(server, seconds=0.2, warm_up_s=0.0)
    closed, opened = await run_plan(
        load, Plan(clients=(1, 2)), on_load=lambda kind, size, number, total: said.append((kind, number, total))
    )
    assert [window.clients for window in closed] == [1, 2]
    rates = [window.offered_rps for window in opened]
    assert rates == sorted(rates) and rates[-1] > closed[-1].goodput_rps
    assert said[0] == ("closed", 1, 9) and said[-1] == ("open", 9, 9)


async def test_a_server_that_answers_nothing_is_said(server) -> None:
    server.status = lambda number: 500
    with pytest.raises(EngineFailed) as caught:
        await run_plan(load_of(server, seconds=0.1, warm_up_s=0.0), Plan(clients=(1,)))
    assert caught.value.code == "bench_no_answer"


def test_a_refusal_gives_its_code() -> None:
    assert Reply(422, b"", 0.0, b'{"error": {"code": "text_too_long"}}').code == "text_too_long"
    assert (Reply(502, b"", 0.0, b"<html>").code, Reply(0, b"", 0.0).code) == ("502", "")
