"""Every engine and precision with MiniLM, alone on the machine: one short text at a time, short texts in batches, texts of all lengths.

usage: python bench/engines.py [--variants torch-fp32,inductor-bf16,…] [--threads 2] [--seconds 3]

Each is measured by `bare_engine.py` in a process of its own, all of them twice, in turns; the better reading counts. Prints Markdown and a
JSON line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from embedder import embedder
from hanlin.engines import variant_names
from hanlin.observe.machine import processor

ROUNDS = 2


def measure(variant: str, *, threads: int, seconds: float) -> dict[str, float]:
    """What `bare_engine.py` says of it."""
    command = [sys.executable, str(Path(__file__).parent / "bare_engine.py"), str(embedder(variant)), variant]
    done = subprocess.run([*command, f"--threads={threads}", f"--seconds={seconds}"], check=True, capture_output=True, timeout=600)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def better(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The higher rates and the shorter step of two readings."""
    return {name: (min if name == "one_ms" else max)(value, other[name]) for name, value in one.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--variants", default=",".join(name for name in variant_names() if not name.startswith("vllm-")))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for _ in range(ROUNDS):
        for name in options.variants.split(","):
            reading = measure(name, threads=options.threads, seconds=options.seconds)
            found[name] = better(reading, found.get(name, reading))
    machine = processor()
    print(f"### Engines with MiniLM ({machine.name}, {machine.cores} cores, {options.threads} threads)\n")
    print("| variant | one text of 20 tokens, ms | such texts in batches, texts/s | texts of 8 to 256 tokens, sorted, texts/s |")
    print("|---|---|---|---|")
    for name, row in found.items():
        print(f"| {name} | {row['one_ms']:.2f} | {row['short_rate']:,.0f} | {row['mixed_rate']:,.0f} |")
    print("\n" + json.dumps({"bench": "engines", "variants": found}))


if __name__ == "__main__":
    main()
