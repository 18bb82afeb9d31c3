"""`hanlin batch` on a small real classifier: rows a second beside the server's peak, who spends them, what interactive callers notice.

usage: python bench/batch_rows.py [--home HOME] [--rows 300000] [--seconds 20] [--rate 50]

The peak is what `http_load.py` gets out of the same server with bodies of 64 texts made beforehand, and it reads no answer. Interactive
callers send one text at moments drawn at random, timed from when they were meant to leave: first alone, then while a batch runs.
HOME is that of `sdk_map.py`: an LSTM, made at the first run. Prints a JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from endpoint_load import served
from hanlin.bench.connection import Connection, Target
from hanlin.client import Hanlin
from sdk_map import HOME, key_of, peak, prepare
from texts import short_texts

ENDPOINT = "mood"
PATIENT = {"timeout": 120.0, "max_retries": 20}


def processes() -> dict[str, float]:
    """CPU seconds so far by the title of the process."""
    found: dict[str, float] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            title = " ".join(process.cmdline())
            for name in ("hanlin gateway", "hanlin worker", "hanlin job"):
                if title.startswith(name):
                    times = process.cpu_times()
                    found[name] = found.get(name, 0.0) + times.user + times.system
    return found


async def ask(url: str, key: str, texts: list[str], *, rate: float, seconds: float) -> dict[str, float]:
    """Milliseconds at some percentiles of calls that leave `rate` times a second."""
    target, idle, chosen = Target.of(url, ENDPOINT, key), list[Connection](), random.Random(5)
    took: list[float] = []

    async def call(at_s: float, text: str) -> None:
        await asyncio.sleep(max(0.0, at_s - time.perf_counter()))
        connection = idle.pop() if idle else Connection(target)
        reply = await connection.exchange(target.request(json.dumps({"inputs": text}).encode(), 30.0), 30.0)
        assert reply.status == 200, reply
        took.append(1000 * (reply.done_s - at_s))
        idle.append(connection)

    at_s, end_s, calls = time.perf_counter() + 0.2, time.perf_counter() + seconds, []
    while (at_s := at_s + chosen.expovariate(rate)) < end_s:
        calls.append(asyncio.create_task(call(at_s, texts[len(calls) % len(texts)])))
    await asyncio.gather(*calls)
    took.sort()
    return {f"p{share}": round(took[min(len(took) - 1, len(took) * share // 100)], 2) for share in (50, 95, 99)} | {"calls": len(took)}


def rows_a_second(hanlin: Hanlin, path: Path) -> dict[str, object]:
    """Of one batch over the whole of `path`, and the CPU microseconds of each process for a row."""
    before, began = processes(), time.perf_counter()
    job = hanlin.batches.submit(ENDPOINT, path)
    spent: dict[str, float] = {}
    while not (found := hanlin.jobs.get(job.id)).has_ended:
        spent |= processes()
        time.sleep(0.1)
    seconds = time.perf_counter() - began
    assert found.state == "succeeded", found
    rows = int(found.result["completed"])  # type: ignore[index]
    cpu = {name: round((spent[name] - before.get(name, 0.0)) / rows * 1e6, 1) for name in spent}
    return {"rows": rows, "seconds": round(seconds, 1), "rows_per_s": round(rows / seconds), "cpu_us_a_row": cpu}


def main() -> None:
    """Prepares, measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=50.0, help="interactive calls a second")
    parser.add_argument("--quick", action="store_true", help="30,000 rows, loads of five seconds")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.seconds = 30_000, 5.0
    prepare(options.home)
    texts = short_texts(10_000)
    with served(options.home) as url, tempfile.TemporaryDirectory() as scratch:
        key = key_of(options.home)
        path = Path(scratch) / "rows.jsonl"
        path.write_text("".join(json.dumps(texts[number % len(texts)]) + "\n" for number in range(options.rows)))
        with Hanlin(url, key, **PATIENT) as hanlin:  # type: ignore[arg-type]
            hanlin.classify(ENDPOINT, texts[:32])
            found: dict[str, object] = {"peak": round(peak(url, key, texts, 4.0)[64])}
            found["batch"] = rows_a_second(hanlin, path)
            found["alone"] = asyncio.run(ask(url, key, texts, rate=options.rate, seconds=options.seconds))
            job = hanlin.batches.submit(ENDPOINT, path)
            while not hanlin.jobs.get(job.id).progress.step:  # type: ignore[union-attr]
                time.sleep(0.1)
            began, first = time.perf_counter(), hanlin.jobs.get(job.id).progress.step  # type: ignore[union-attr]
            found["beside a batch"] = asyncio.run(ask(url, key, texts, rate=options.rate, seconds=options.seconds))
            last = hanlin.jobs.get(job.id)
            found["batch beside them"] = round((last.progress.step - first) / (time.perf_counter() - began))  # type: ignore[union-attr]
            found["was it running to the end"] = not last.has_ended
            hanlin.jobs.cancel(job.id)
    print(json.dumps({"bench": "batch_rows", **found}))


if __name__ == "__main__":
    main()
