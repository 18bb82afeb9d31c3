"""What the engine alone can do, offline: the bar that a server is measured against.

usage: python bench/bare_engine.py FOLDER VARIANT [--threads 2] [--seconds 3]

Rows are encoded before the clock starts. Texts of about 20 tokens in batches of 16, 32, 64 and 128, the best rate counts; one such text
at a time, median; texts of 8 to 256 tokens, sorted by length, in batches of at most 1,024, 2,048 or 4,096 tokens, the best rate counts.
Batches come in an order drawn by lot and are counted by their tokens: where time is up before all have run, those that ran stand for all.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from hanlin.engines import Session, load_variant
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.padding import pad
from texts import mixed_texts, short_texts


def rate(session: Session, batches: Sequence[Sequence[list[int]]], *, pad_id: int, seconds: float) -> float:
    """Rows a second over `batches`, in turn, for `seconds`; padding counts, as it is the engine's work too."""
    per_row = sum(len(row) for batch in batches for row in batch) / sum(map(len, batches))
    tokens, began_s = 0, time.perf_counter()
    while time.perf_counter() - began_s < seconds:
        for batch in batches:
            session.run(*pad(batch, pad_id).values())
            tokens += sum(map(len, batch))
            if time.perf_counter() - began_s >= 2 * seconds:
                break
    return tokens / per_row / (time.perf_counter() - began_s)


def one_by_one(session: Session, rows: Sequence[list[int]], *, pad_id: int, seconds: float) -> float:
    """Median milliseconds of a step of one row."""
    taken, end_s = [], time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        for row in rows[:50]:
            began_s = time.perf_counter()
            session.run(*pad([row], pad_id).values())
            taken.append(time.perf_counter() - began_s)
    return 1000 * statistics.median(taken)


def packed(rows: Sequence[list[int]], *, budget: int) -> list[Sequence[list[int]]]:
    """Rows, in order of length, in batches of at most `budget` tokens, padding included; the batches in any order."""
    batches: list[list[list[int]]] = [[]]
    for row in rows:
        if batches[-1] and (len(batches[-1]) + 1) * len(row) > budget:
            batches.append([])
        batches[-1].append(row)
    return random.Random(0).sample(batches, len(batches))


def measure(folder: Path, variant: str, *, threads: int, seconds: float) -> dict[str, float]:
    """The printed figures."""
    encoder, session = TextEncoder.load(folder), load_variant(folder, variant, threads=threads)
    short = encoder.encode(short_texts(1024))
    mixed = sorted(encoder.encode(mixed_texts(1024, 8, 256), truncate=True), key=len)
    rate(session, [short[:32]], pad_id=encoder.pad_id, seconds=0.5)  # warm
    short_rates = [
        rate(session, [short[at : at + size] for at in range(0, 1024, size)], pad_id=encoder.pad_id, seconds=seconds / 4)
        for size in (16, 32, 64, 128)
    ]
    mixed_rates = [rate(session, packed(mixed, budget=budget), pad_id=encoder.pad_id, seconds=seconds) for budget in (1024, 2048, 4096)]
    one_ms = one_by_one(session, short, pad_id=encoder.pad_id, seconds=seconds / 3)
    return {"short_rate": round(max(short_rates), 1), "one_ms": round(one_ms, 3), "mixed_rate": round(max(mixed_rates), 1)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("variant")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    print(json.dumps(measure(options.folder, options.variant, threads=options.threads, seconds=options.seconds)))


if __name__ == "__main__":
    main()
