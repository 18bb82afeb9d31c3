"""How much of a server's peak the SDK's `map` reaches: a small real classifier, 100,000 short texts, in one run.

usage: python bench/sdk_map.py [--home HOME] [--texts 100000] [--rounds 8] [--group-size 128] [--concurrency 8]

The peak is what `http_load.py` gets out of the same server with bodies made beforehand, in requests of 64, 128 and 256 texts, by as many
clients as the server takes without a refusal; it reads no answer. The SDK writes every request and reads every answer, on the same cores.
The texts are shared out to rounds of peak, `Hanlin.map` and `AsyncHanlin.map`; each slice is held against the better peak beside it.
Only rounds count whose peaks both reach 90 % of the best one: in the others a neighbour had the machine, which says nothing of the client.
HOME holds an LSTM, trained for an epoch and compressed, made at the first run. Prints a Markdown table and a JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

from endpoint_load import served
from hanlin.client import AsyncHanlin, Hanlin, MapOptions
from hanlin.datasets import bundled
from servers import BUILD, drive
from texts import short_texts, write_bodies

CLIENTS = ("Hanlin", "AsyncHanlin")
HOME = BUILD / "bench-map-home"
SIZES = {64: 8, 128: 4, 256: 2}  # texts a request, clients


def key_of(home: Path) -> str:
    """The owner's key."""
    return (home / "owner.key").read_text().strip()


def prepare(home: Path) -> None:
    """Trains, compresses and deploys `mood`, unless that is done."""
    with served(home) as url:
        deadline = time.monotonic() + 60
        while not (home / "owner.key").is_file() and time.monotonic() < deadline:
            time.sleep(0.2)
        with Hanlin(url, key_of(home), timeout=120, max_retries=20) as hanlin:
            if any(endpoint.endpoint == "mood" for endpoint in hanlin.endpoints.list()):
                return
            reviews = bundled.reviews_en(BUILD / "packages") / "reviews-en.jsonl"
            hanlin.jobs.wait(hanlin.datasets.add("reviews", reviews, task="text-classification").id)
            hanlin.jobs.wait(
                hanlin.jobs.submit("train", {"dataset": "reviews", "model": "lstm", "name": "mood", "options": {"epochs": 1}}).id
            )
            hanlin.jobs.wait(hanlin.jobs.submit("compress", {"model": "mood", "budget": 5.0, "target": "latency"}).id)
            version = hanlin.models.get("mood").versions[0]
            hanlin.deployments.wait(hanlin.deployments.create(f"mood:{version.number}", "mood"))


def peak(url: str, key: str, texts: list[str], seconds: float) -> dict[int, float]:
    """Texts a second by the size of requests."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for size, clients in SIZES.items():
            bodies = [{"inputs": texts[start : start + size]} for start in range(0, len(texts) - size + 1, size)][:4000]
            file = write_bodies(Path(scratch) / f"{size}.jsonl", bodies)
            told = drive(int(url.rpartition(":")[2]), "/models/mood", file, headers=[f"authorization: Bearer {key}"],
                         clients=clients, seconds=seconds)  # fmt: skip
            found[size] = float(str(told["rate"])) * size
    return found


def blocking(url: str, key: str, texts: list[str], options: MapOptions) -> int:
    """Rows answered."""
    with Hanlin(url, key) as hanlin:
        return sum(1 for _ in hanlin.map("mood", texts, **options))


async def awaited(url: str, key: str, texts: list[str], options: MapOptions) -> int:
    """Rows answered."""
    count = 0
    async with AsyncHanlin(url, key) as hanlin:
        async for _ in hanlin.map("mood", texts, **options):
            count += 1
    return count


def timed(name: str, url: str, key: str, texts: list[str], options: MapOptions) -> dict[str, float]:
    """Texts a second of one run, and the CPU seconds of this process in it."""
    began, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    rows = blocking(url, key, texts, options) if name == "Hanlin" else asyncio.run(awaited(url, key, texts, options))
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    assert rows == len(texts), rows
    cpu = after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime
    return {"texts_per_s": round(rows / seconds), "client_cpu_us_per_text": round(cpu / rows * 1e6, 1)}


def main() -> None:
    """Prepares, measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--group-size", type=int, default=128)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load for the peak")
    parser.add_argument("--prepare", action="store_true", help="only make the home")
    parser.add_argument("--quick", action="store_true", help="20,000 texts, loads of a second")
    options = parser.parse_args()
    if options.quick:
        options.texts, options.seconds = 20_000, 1.0
    prepare(options.home)
    if options.prepare:
        return
    plan: MapOptions = {"group_size": options.group_size, "concurrency": options.concurrency}
    texts, slice_ = short_texts(options.texts), options.texts // options.rounds
    with served(options.home) as url:
        key = key_of(options.home)
        with Hanlin(url, key, timeout=120, max_retries=20) as hanlin:
            hanlin.endpoints.update("mood", cache_ttl_s=0)
            model = hanlin.ask("mood", "good").model
        peaks, runs = [peak(url, key, texts, options.seconds)], []
        for start in range(0, slice_ * options.rounds, slice_):
            runs.append([timed(name, url, key, texts[start : start + slice_], plan) for name in CLIENTS])
            peaks.append(peak(url, key, texts, options.seconds))
    show(model, peaks, runs, texts=len(texts))


def show(model: str, peaks: list[dict[int, float]], runs: list[list[dict[str, float]]], *, texts: int) -> None:
    """Prints the medians, and all figures as JSON."""
    tops = [max(found.values()) for found in peaks]
    quiet = [number for number, pair in enumerate(pairwise(tops)) if min(pair) >= 0.9 * max(tops)]
    print(f"### `map` over {texts:,} texts: {model}, {sys.platform}; {len(quiet)} of {len(runs)} rounds were quiet\n")
    print("| client | `map`, texts/s | of the peak | least, most | client CPU µs a text |\n|---|---|---|---|---|")
    for which, name in enumerate(CLIENTS if quiet else ()):
        rates = [runs[number][which]["texts_per_s"] for number in quiet]
        shares = [rate / max(tops[number : number + 2]) for rate, number in zip(rates, quiet, strict=True)]
        cpu = median(runs[number][which]["client_cpu_us_per_text"] for number in quiet)
        print(f"| {name} | {median(rates):,.0f} | {median(shares):.0%} | {min(shares):.0%}, {max(shares):.0%} | {cpu:.1f} |")
    print("\n" + json.dumps({"bench": "sdk_map", "model": model, "peaks": peaks, "runs": runs}))


if __name__ == "__main__":
    main()
