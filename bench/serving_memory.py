"""Private memory of a worker with MiniLM, and of each further model in a shared worker, after calls of all lengths.

usage: python bench/serving_memory.py [--variants openvino-int8,openvino-bf16,openvino-fp32,onnxruntime-int8,onnxruntime-fp32,…]

Memory is PSS: private pages, and the share of those that are shared; pages of mapped files, which the kernel takes back when it needs
them, are told apart. A further model's is the growth from one to five in one worker, each a copy under its own name; its own pages stand
beside the bytes of its weights in the precision that is served. Read after the calls and again when each model rests, which gives back
the buffers of its steps. Prints Markdown and a JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from embedder import embedder
from hanlin.engines import TRAINED_FILES, variant_files
from hanlin.observe.machine import processor
from hanlin.serving.resting import REST_S
from hanlin.serving.router import Request
from hanlin.serving.routes import route_key
from hanlin.types import Isolation
from serving_residency import serving, specs_of
from texts import mixed_texts

VARIANTS = "openvino-int8,openvino-bf16,openvino-fp32,onnxruntime-int8,onnxruntime-fp32"
SHARED = 5
CALLS = 200
MB = 2**20


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that workers hold."""

    own: int
    of_files: int

    @classmethod
    def by(cls, pids: Iterable[int]) -> Held:
        """Those of these processes."""
        texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
        own, of_files = (sum(1024 * int(text.split(f"{name}:")[1].split()[0]) for text in texts) for name in ("Pss_Anon", "Pss_File"))
        return cls(own, of_files)


@dataclass(frozen=True, slots=True)
class Reading:
    """What workers hold right after calls and at rest, and what the first call after a rest takes beside one right behind it."""

    called: Held
    rested: Held
    first_ms: float
    next_ms: float


async def held(folder: Path, variant: str, isolation: Isolation, *, count: int) -> Reading:
    """Of the workers that have `count` models, after calls to each."""
    specs = specs_of(count, variant, isolation)
    async with serving(folder, specs, budget_bytes=2**40) as (router, reconciler):
        while not router.has_routes:
            await asyncio.sleep(0.05)

        async def ask(text: str) -> float:
            begun_s = time.perf_counter()
            calls = [router.submit(route_key("default", spec.endpoint), Request(text, {}, 60.0)) for spec in specs]
            await asyncio.gather(*calls)
            return (time.perf_counter() - begun_s) * 1000

        for text in mixed_texts(CALLS, 8, 256):
            await ask(text)
        pids = {pid for group in reconciler._sets.values() for pid in group.pids}
        called = Held.by(pids)
        await asyncio.sleep(REST_S + 1.0)
        rested, (text,) = Held.by(pids), mixed_texts(1, 20, 20)
        first = await ask(text)
        return Reading(called, rested, first, median([await ask(text) for _ in range(20)]))


def served_bytes(artifact: Path, variant: str) -> int:
    """Bytes of the weights in the precision that is served; files of bf16 variants may hold floats."""
    names = variant_files(variant) or TRAINED_FILES
    size = sum((artifact / name).stat().st_size for name in names if (artifact / name).is_file())
    return size // 2 if variant in ("openvino-bf16", "torch-bf16") else size


async def measure(variant: str) -> dict[str, float]:
    """All figures of a variant, in MB."""
    artifact = embedder(variant)
    with tempfile.TemporaryDirectory(prefix="hanlin-bench-") as place:
        for number in range(SHARED):
            shutil.copytree(artifact, Path(place) / f"m{number}")
        own = await held(Path(place), variant, "own", count=1)
        one = await held(Path(place), variant, "shared", count=1)
        many = await held(Path(place), variant, "shared", count=SHARED)
    served = served_bytes(artifact, variant)
    called, rested = (many.called.own - one.called.own) / (SHARED - 1), (many.rested.own - one.rested.own) / (SHARED - 1)
    return {
        "served": served / MB, "own worker": own.called.own / MB, "at rest": own.rested.own / MB, "files": own.called.of_files / MB,
        "further": called / MB, "further at rest": rested / MB,
        "further files": (many.rested.of_files - one.rested.of_files) / (SHARED - 1) / MB,
        "ratio": called / served, "ratio at rest": rested / served, "first ms": own.first_ms, "next ms": own.next_ms,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--variants", default=VARIANTS)
    found = {name: asyncio.run(measure(name)) for name in parser.parse_args().variants.split(",")}
    print(f"### Memory of workers with MiniLM ({processor().name}, {processor().cores} cores)\n")
    print("| variant | weights MB | own worker MB, at rest + files | each further one, at rest + files | of its weights, at rest ", end="")
    print("| first call after a rest, ms |")
    print("|---|---|---|---|---|---|")
    for name, row in found.items():
        served, own, rested, files, further, further_rested, more = (f"{row[key]:.0f}" for key in tuple(row)[:7])
        print(
            f"| {name} | {served} | {own}, {rested} + {files} | {further}, {further_rested} + {more} | "
            f"{row['ratio']:.2f}x, {row['ratio at rest']:.2f}x | {row['first ms']:.1f} (then {row['next ms']:.1f}) |"
        )
    print("\n" + json.dumps({"bench": "serving_memory", "variants": found}))


if __name__ == "__main__":
    main()
