"""kill -9 under load: workers, gateways, the supervisor; and switches of the live version.

usage: python bench/serving_kills.py [--quick] [--workers 200] [--switches 200] [--gateways 50] [--supervisors 10]

A real `hanlin up` in a home of its own, serving two versions of the fake engine (2 ms a step), so that what is measured is the machinery
and not the maths. Callers ask without pause, without retrying, each time another text under another id, and know what each version
answers to it: an answer that belongs to another text, version or request, or comes twice, is counted as wrong (`kill_calls.py`). A call on
a gateway that is killed may break (it is counted as broken); nothing else may.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from fake_server import ENDPOINT, Server, make_versions, until
from kill_calls import KINDS, Caller, Ledger, kind_of, text_of

NUMBERS = itertools.count()  # of requests


def main() -> None:
    """Prints a Markdown section and a JSON line; status 1 when a call failed that may not."""
    parser = argparse.ArgumentParser()
    for name, count in (("workers", 200), ("switches", 200), ("gateways", 50), ("supervisors", 10), ("callers", 8), ("replicas", 2)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a tenth of each")
    options = parser.parse_args()
    share = 10 if options.quick else 1
    with tempfile.TemporaryDirectory(prefix="hanlin-kills-") as folder:
        found = asyncio.run(campaign(Path(folder), options, share))
    print("### kill -9 and switches under load\n")
    print("| what | times | calls answered | failed | broken | wrong | back: median | slowest | orphans | lost writes |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in found:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    print()
    print(json.dumps({"bench": "serving_kills", "callers": options.callers, "replicas": options.replicas, "rows": found}))
    sys.exit(any(row["failed"] or row["wrong"] or row["orphans"] or row["lost_writes"] for row in found))


async def campaign(folder: Path, options: argparse.Namespace, share: int) -> list[dict[str, object]]:
    """One row for each kind of fault."""
    server = Server(folder / "home")
    make_versions(server.home)
    chosen = random.Random(options.seed)
    await server.start()
    try:
        await server.deploy("m:1", replicas=options.replicas)
        truth = await learn(server, options.replicas)
        rows: list[dict[str, object]] = []
        for name, fault in (("workers", kill_worker), ("switches", switch), ("gateways", kill_gateway), ("supervisors", kill_supervisor)):
            times = -(-getattr(options, name) // share)
            rows.append(
                await run(name, fault, server, times, truth=truth, callers=options.callers, replicas=options.replicas, chosen=chosen)
            )
            sys.stderr.write(f"{rows[-1]}\n")
        return rows
    finally:
        await server.stop()


@dataclass
class Tally:
    """What callers saw, and how long it took until all was well again."""

    seen: Counter[str] = field(default_factory=Counter)
    back_s: list[float] = field(default_factory=list)
    orphans: int = 0
    lost_writes: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    may_break_until_s: float = 0.0


async def run(
    name: str, fault: Callable[..., object], server: Server, times: int, *, truth: dict[str, dict[int, bytes]], callers: int, replicas: int,
    chosen: random.Random,
) -> dict[str, object]:  # fmt: skip
    """One kind of fault, `times` times under load."""
    tally = Tally()
    async with load(server, tally, truth, callers):
        for _ in range(times):
            answered = tally.seen["answered"]
            await until(lambda answered=answered: tally.seen["answered"] >= answered + 5 * callers)  # type: ignore[misc]
            await asyncio.sleep(chosen.uniform(0.0, 0.2))
            await fault(server, tally, chosen, replicas)  # type: ignore[misc]
        answered = tally.seen["answered"]
        await until(lambda: tally.seen["answered"] >= answered + 5 * callers)
    back = sorted(tally.back_s)
    if tally.problems:
        sys.stderr.write(f"{name}: {dict(tally.problems)}\n")
    return {
        "what": name, "times": times, "answered": tally.seen["answered"], "failed": tally.seen["failed"], "broken": tally.seen["broken"],
        "wrong": tally.seen["wrong"], "back_median_s": round(back[len(back) // 2], 2), "back_slowest_s": round(back[-1], 2),
        "orphans": tally.orphans, "lost_writes": tally.lost_writes,
    }  # fmt: skip


def has_ended(process: psutil.Process) -> bool:
    """Also one that nobody has waited for yet."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


async def kill_worker(server: Server, tally: Tally, chosen: random.Random, replicas: int) -> None:
    """Back: as many workers as before answer."""
    victim = chosen.choice(await workers(server, replicas))
    began = time.perf_counter()
    victim.kill()
    await until(lambda: has_ended(victim))
    await workers(server, replicas)
    tally.back_s.append(time.perf_counter() - began)


async def switch(server: Server, tally: Tally, _chosen: random.Random, replicas: int) -> None:
    """Back: the other version is live."""
    began = time.perf_counter()
    await server.deploy("m:2" if server.live == "m:1" else "m:1", replicas=replicas)
    tally.back_s.append(time.perf_counter() - began)


async def kill_gateway(server: Server, tally: Tally, chosen: random.Random, _replicas: int) -> None:
    """Back: a call made after the kill, on a connection of its own, is answered."""
    await server.write()
    victim = chosen.choice(server.find("hanlin gateway"))
    tally.may_break_until_s = time.perf_counter() + 1e9
    began = time.perf_counter()
    victim.kill()
    await first_answer(server)
    tally.back_s.append(time.perf_counter() - began)
    tally.may_break_until_s = time.perf_counter() + 0.2
    tally.lost_writes += await server.num_lost()


async def kill_supervisor(server: Server, tally: Tally, _chosen: random.Random, replicas: int) -> None:
    """Started again as a service manager would. Back: a call is answered."""
    assert server.process is not None
    await server.write()
    below = psutil.Process(server.process.pid).children(recursive=True)
    tally.may_break_until_s = time.perf_counter() + 1e9
    began = time.perf_counter()
    server.process.kill()
    await asyncio.to_thread(server.process.wait)
    await server.start()
    await first_answer(server)
    tally.back_s.append(time.perf_counter() - began)
    tally.may_break_until_s = time.perf_counter() + 0.2
    _gone, alive = await asyncio.to_thread(psutil.wait_procs, below, max(0.0, 10 - tally.back_s[-1]))
    tally.orphans += len(alive)
    await workers(server, replicas)
    tally.lost_writes += await server.num_lost()


async def workers(server: Server, replicas: int) -> list[psutil.Process]:
    """The workers of the endpoint, once all are there."""
    await until(lambda: len(server.find(f"hanlin worker {ENDPOINT}")) >= replicas)
    return server.find(f"hanlin worker {ENDPOINT}")


async def first_answer(server: Server) -> None:
    """A call until it is answered, over new connections."""
    for _ in range(2000):
        with contextlib.suppress(httpx.HTTPError):
            async with client_of(server) as client:
                if (await client.post(f"/models/{ENDPOINT}", json={"inputs": text_of(0)})).status_code == 200:
                    return
        await asyncio.sleep(0.02)
    raise RuntimeError("it never came back")


@contextlib.asynccontextmanager
async def load(server: Server, tally: Tally, truth: dict[str, dict[int, bytes]], callers: int) -> AsyncIterator[None]:
    """Callers without pause while the block runs; what came without being asked for is looked for to the end."""
    is_over = False
    ledger = Ledger(truth, tally.seen, tally.problems)

    async def call() -> None:
        path = f"/models/{ENDPOINT}"
        caller = Caller(ledger, server.port, path, server.key, may_break=lambda began_s: began_s < tally.may_break_until_s)
        while not is_over:
            number = next(NUMBERS)
            if not await caller.ask(f"kill-{number}", text_of(number)):
                await asyncio.sleep(0.05)
        await caller.close()

    calling = [asyncio.create_task(call()) for _ in range(callers)]
    try:
        yield
    finally:
        is_over = True
        await asyncio.gather(*calling)


async def learn(server: Server, replicas: int) -> dict[str, dict[int, bytes]]:
    """What each version answers to each kind of text."""
    truth: dict[str, dict[int, bytes]] = {}
    texts = [text_of(number) for number in range(KINDS)]
    for version in ("m:2", "m:1"):
        await server.deploy(version, replicas=replicas)
        async with client_of(server) as client:
            answers = [await client.post(f"/models/{ENDPOINT}", json={"inputs": text}) for text in texts]
        assert {answer.headers["x-hanlin-model"].split()[0] for answer in answers} == {version}
        truth[version] = {kind_of(text): answer.content for text, answer in zip(texts, answers, strict=True)}
        assert len(truth[version]) == KINDS
    assert all(truth["m:1"][kind] != truth["m:2"][kind] for kind in range(KINDS)), "the versions must be told apart"
    return truth


def client_of(server: Server) -> httpx.AsyncClient:
    """With the owner's key, retrying nothing."""
    return httpx.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {server.key}"}, timeout=60, trust_env=False)


if __name__ == "__main__":
    main()
