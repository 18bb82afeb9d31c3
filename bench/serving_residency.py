"""Fifty models deployed, ten of them hot, memory for twenty: throughput against one model's, cold starts, memory.

usage: python bench/serving_residency.py [--artifact FOLDER --variant V] [--seconds 60] [--quick]

FOLDER: an artifact that has the files of V; without it the demo's models are taken, from a home below build/ in which the demo runs
first. Every model is a copy of it under its own name, so that nothing is shared by being the same file.

256 callers ask for one text at a time, through a router in this process (no HTTP: the gateway's cost is the same in both readings).
First all ask one model in a worker of its own; then they ask ten of fifty, while every ten seconds a model that sleeps is called.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from hanlin.engines import variant_files
from hanlin.observe.machine import processor
from hanlin.observe.memory import read_process_bytes
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.demand import DemandSender
from hanlin.serving.process import WorkerOptions
from hanlin.serving.reconciler import Reconciler
from hanlin.serving.router import Request, Router
from hanlin.serving.routes import RoutesWatcher, route_key
from hanlin.types import Isolation

BUILD_HOME = Path(__file__).parents[1] / "build" / "bench-home"
MODELS, HOT, IN_MEMORY, CALLERS = 50, 10, 20, 256
COLD_EVERY_S = 10.0
TEXT = "The room was clean and quiet, the staff were friendly, and we would come again next year."


@dataclass
class Desired:
    """The declared deployments, for the reconciler; states are of no interest here."""

    specs: list[DeploymentSpec] = field(default_factory=list)

    def list_deployments(self) -> list[DeploymentSpec]:
        """All."""
        return self.specs

    def set_state(self, *_: object) -> None:
        """Nothing to keep."""


@dataclass
class Reading:
    """What a run has shown; times in seconds."""

    calls_per_s: float
    latencies_s: list[float]
    cold_s: list[float]
    worker_bytes: list[int]


@contextlib.asynccontextmanager
async def serving(folder: Path, specs: list[DeploymentSpec], *, budget_bytes: int) -> AsyncIterator[tuple[Router, Reconciler]]:
    """A reconciler with its workers, and a router that follows its routes."""
    run_dir = Path(tempfile.mkdtemp(prefix="hanlin-run-"))
    threads = len(os.sched_getaffinity(0))
    reconciler = Reconciler(
        Desired(specs), materialize=lambda spec: folder / spec.model, options=WorkerOptions(run_dir=run_dir, threads=threads),
        has_spare=True, memory_budget_bytes=budget_bytes,
    )  # fmt: skip
    sender = DemandSender(run_dir)
    router = Router(demand=sender)
    tasks = [asyncio.create_task(reconciler.run()), asyncio.create_task(_follow(router, run_dir))]
    try:
        yield router, reconciler
    finally:
        reconciler.stop()
        await tasks[0]
        tasks[1].cancel()
        await router.close()
        sender.close()
        shutil.rmtree(run_dir, ignore_errors=True)


async def _follow(router: Router, run_dir: Path) -> None:
    with contextlib.closing(RoutesWatcher(run_dir)) as watcher:
        while True:
            if (routes := watcher.changed()) is not None:
                router.update(routes)
            await watcher.wait()


async def read(folder: Path, specs: list[DeploymentSpec], *, hot: int, seconds: float, budget_bytes: int) -> Reading:
    """`CALLERS` callers over the first `hot` models for some seconds, and cold calls to the others."""
    async with serving(folder, specs, budget_bytes=budget_bytes) as (router, reconciler):
        while not router.has_routes:
            await asyncio.sleep(0.05)

        async def call(number: int, key: str = "") -> float:
            begun_s = time.perf_counter()
            await router.submit(route_key("default", specs[number].endpoint), Request(TEXT, {}, 60.0, key))
            return time.perf_counter() - begun_s

        await asyncio.gather(*(call(number) for number in range(hot)))
        latencies: list[float] = []
        cold: list[float] = []
        is_over = False

        async def caller(number: int) -> None:
            while not is_over:
                latencies.append(await call(number % hot, str(number)))  # 256 callers are as many keys

        async def cold_caller() -> None:
            for number in range(hot, len(specs)):
                await asyncio.sleep(COLD_EVERY_S)
                cold.append(await call(number))

        callers = [asyncio.create_task(caller(number)) for number in range(CALLERS)]
        await asyncio.sleep(3.0)  # warm
        latencies.clear()
        colds = asyncio.create_task(cold_caller())
        begun_s = time.perf_counter()
        await asyncio.sleep(seconds)
        took_s = time.perf_counter() - begun_s
        counted = list(latencies)
        is_over = True
        await asyncio.gather(*callers)
        colds.cancel()
        pids = {pid for group in reconciler._sets.values() for pid in group.pids}
        return Reading(len(counted) / took_s, counted, cold, [read_process_bytes(pid) for pid in pids])


def specs_of(count: int, variant: str, isolation: Isolation) -> list[DeploymentSpec]:
    """So many models that may sleep and have served before."""
    return [
        DeploymentSpec(
            f"d{n}", "default", f"e{n}", f"m{n}", f"m{n}:1", variant, isolation=isolation, min_replicas=0, was_ready=True
        )
        for n in range(count)
    ]  # fmt: skip


def find_artifact(variant: str) -> Path:
    """A model of the demo that has the variant."""
    if not (BUILD_HOME / "owner.key").is_file():
        subprocess.run([sys.executable, "-m", "hanlin", "demo", "--home", str(BUILD_HOME), "--no-serve"], check=True)
    found = next(BUILD_HOME.glob(f"cache/artifacts/*/{variant_files(variant)[0]}"), None)
    if found is None:
        sys.exit(f"no artifact of the demo has {variant}: name one with --artifact and --variant")
    return found.parents[2]


def copies(artifact: Path, variant: str, target: Path) -> int:
    """`MODELS` copies of an artifact with this variant alone; the variant's size."""
    names = variant_files(variant) or ("model.safetensors",)
    for number in range(MODELS):
        for name in ("config.json", "hanlin.json", "tokenizer.json", *names):
            place = target / f"m{number}" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(artifact / name, place)
    return sum((artifact / name).stat().st_size for name in names)


def main() -> None:
    """Prints a Markdown section and a JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--artifact", type=Path)
    parser.add_argument("--variant", default="onnxruntime-int8")
    parser.add_argument("--isolation", choices=("own", "shared"), default="shared")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true", help="20 seconds")
    options = parser.parse_args()
    seconds = 20.0 if options.quick else options.seconds
    with tempfile.TemporaryDirectory(prefix="hanlin-models-") as place:
        folder = Path(place)
        size_bytes = copies(options.artifact or find_artifact(options.variant), options.variant, folder)
        one = asyncio.run(read(folder, specs_of(1, options.variant, "own"), hot=1, seconds=seconds / 3, budget_bytes=2**40))
        budget_bytes = IN_MEMORY * one.worker_bytes[0]
        many = asyncio.run(
            read(folder, specs_of(MODELS, options.variant, options.isolation), hot=HOT, seconds=seconds, budget_bytes=budget_bytes)
        )
    report(one, many, variant=options.variant, isolation=options.isolation, size_bytes=size_bytes)


def report(one: Reading, many: Reading, *, variant: str, isolation: str, size_bytes: int) -> None:
    """Markdown and JSON."""
    machine = processor()
    share = many.calls_per_s / one.calls_per_s
    p99_ms = [1000 * statistics.quantiles(reading.latencies_s, n=100)[98] for reading in (one, many)]
    print(f"### {MODELS} models, {HOT} hot, {CALLERS} callers\n")
    print(f"{machine.name}, {machine.cores} cores; {variant}, {size_bytes / 1e6:.1f} MB, isolation {isolation}.\n")
    print("| what | one model, its own worker | ten hot of fifty |\n|---|---|---|")
    print(f"| calls/s | {one.calls_per_s:.0f} | {many.calls_per_s:.0f} ({share:.0%}) |")
    print(f"| p99 | {p99_ms[0]:.0f} ms | {p99_ms[1]:.0f} ms |")
    cold = f"{statistics.median(many.cold_s):.2f} s, slowest {max(many.cold_s):.2f} s, of {len(many.cold_s)}" if many.cold_s else "none"
    print(f"| cold call | | {cold} |")
    workers = [f"{sum(reading.worker_bytes) / 1e6:.0f} MB in {len(reading.worker_bytes)}" for reading in (one, many)]
    print(f"| worker processes' memory | {workers[0]} | {workers[1]} |\n")
    print(
        json.dumps(
            {
                "bench": "serving_residency", "variant": variant, "isolation": isolation, "size_bytes": size_bytes,
                "calls_per_s": [one.calls_per_s, many.calls_per_s], "share": share, "p99_ms": p99_ms, "cold_s": many.cold_s,
                "worker_bytes": [one.worker_bytes, many.worker_bytes], "machine": machine.name, "cores": machine.cores,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
