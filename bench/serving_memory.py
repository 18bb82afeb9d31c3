"""Private memory of a worker with MiniLM, and of each further model in a shared worker, after calls of all lengths.

usage: python bench/serving_memory.py [--variants openvino-int8,openvino-bf16,openvino-fp32,onnxruntime-int8,onnxruntime-fp32,…]

Memory is PSS: private pages, and the share of those that are shared. A further model's is the growth from one to five in one worker,
each a copy under its own name; it is given beside the bytes of the files that its variant loads. Prints Markdown and a JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
from pathlib import Path

from embedder import embedder
from hanlin.engines import TRAINED_FILES, variant_files
from hanlin.observe.machine import processor
from hanlin.observe.memory import read_process_bytes
from hanlin.serving.router import Request
from hanlin.serving.routes import route_key
from hanlin.types import Isolation
from serving_residency import serving, specs_of
from texts import mixed_texts

VARIANTS = "openvino-int8,openvino-bf16,openvino-fp32,onnxruntime-int8,onnxruntime-fp32"
SHARED = 5
CALLS = 200
MB = 2**20


async def worker_bytes(folder: Path, variant: str, isolation: Isolation, *, count: int) -> int:
    """Memory of the workers that hold `count` models, after calls to each."""
    specs = specs_of(count, variant, isolation)
    async with serving(folder, specs, budget_bytes=2**40) as (router, reconciler):
        while not router.has_routes:
            await asyncio.sleep(0.05)
        for text in mixed_texts(CALLS, 8, 256):
            calls = [router.submit(route_key("default", spec.endpoint), Request(text, {}, 60.0)) for spec in specs]
            await asyncio.gather(*calls)
        pids = {pid for group in reconciler._sets.values() for pid in group.pids}
        return sum(read_process_bytes(pid) for pid in pids)


def served_bytes(artifact: Path, variant: str) -> int:
    """Bytes of the files that the variant loads."""
    names = variant_files(variant) or TRAINED_FILES
    return sum((artifact / name).stat().st_size for name in names if (artifact / name).is_file())


async def measure(variant: str) -> dict[str, float]:
    """All figures of a variant."""
    artifact = embedder(variant)
    with tempfile.TemporaryDirectory(prefix="hanlin-bench-") as place:
        for number in range(SHARED):
            shutil.copytree(artifact, Path(place) / f"m{number}")
        own = await worker_bytes(Path(place), variant, "own", count=1)
        one = await worker_bytes(Path(place), variant, "shared", count=1)
        many = await worker_bytes(Path(place), variant, "shared", count=SHARED)
    served = served_bytes(artifact, variant)
    further = (many - one) / (SHARED - 1)
    return {
        "served_mb": served / MB, "own_mb": own / MB, "shared_mb": one / MB, "further_mb": further / MB, "further_ratio": further / served,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--variants", default=VARIANTS)
    found = {name: asyncio.run(measure(name)) for name in parser.parse_args().variants.split(",")}
    print(f"### Memory of workers with MiniLM ({processor().name}, {processor().cores} cores)\n")
    print("| variant | its files MB | own worker MB | shared worker MB | each further model MB | of its files |")
    print("|---|---|---|---|---|---|")
    for name, row in found.items():
        cells = (f"{row[key]:.0f}" for key in ("served_mb", "own_mb", "shared_mb", "further_mb"))
        print(f"| {name} | {' | '.join(cells)} | {row['further_ratio']:.1f}x |")
    print("\n" + json.dumps({"bench": "serving_memory", "variants": found}))


if __name__ == "__main__":
    main()
