"""What stands beside streams of a model that writes: the latency of an embedder and of a classifier, and a batch in the gaps.

usage: python bench/beside_generation.py FOLDER [--variant openvino-int8] [--streams 8] [--seconds 20] [--rounds 2] [--rate 10] [--home DIR]

FOLDER is an artifact with its variants (`bench/generation_engines.py` makes them). One `hanlin up` with its defaults serves it, and
all-MiniLM-L6-v2 and an LSTM that tells good reviews from bad ones. Read in turn, in each round: the embedder called RATE times a second
with a short text, alone, and the classifier; STREAMS streams alone, one after the other in each place; these beside each; the streams
beside a running job of `/v1/batches` on the same endpoint, which takes the lane of batches; and that job alone. HOME is kept for the next
run; a short one (`--seconds 1`) makes it. Prints Markdown and a JSON line; the medians of rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import numpy as np

from classifier import classifier
from embedder import embedder, usual_variant
from fake_server import Server
from generation_http import stream
from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.app import open_platform
from hanlin.client import Hanlin
from hanlin.engines.base import variant_files
from hanlin.settings import load_settings
from hanlin.storage.manifest import pack_folder
from hanlin.tasks.spec import ModelSpec
from texts import short_texts

TOKENS = 64  # of a stream, and of a row of the batch
BATCH_ROWS = 4000  # more than are done meanwhile
SETTLING_S = 6.0  # until as many of its calls are in flight as will be
WRITER, EMBEDDER, CLASSIFIER = "writer", "vectors", "mood"
_ENDED = ("completed", "failed", "expired", "cancelled")
Figures = dict[str, float]


def publish(home: Path, chosen: dict[str, tuple[Path, str]]) -> None:
    """A home with version 1 of each model: its artifact and one variant."""
    home.mkdir(parents=True)
    platform = open_platform(load_settings({}, home=home))
    try:
        platform.database.migrate()
        platform.accounts.ensure_owner_key(home)
        for name, (folder, variant) in chosen.items():
            spec, files = ModelSpec.load(folder), [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
            own = pack_folder(folder, platform.blobs, only=[file for file in files if not file.startswith("variants/")])
            of_variant = pack_folder(folder, platform.blobs, only=[file for file in variant_files(variant) if file in files])
            made = platform.registry.create_version(
                DEFAULT_TEAM, name, spec.task, manifest=own, lineage={}, metrics={}, labels=tuple(spec.labels)
            )
            platform.registry.add_variant(made, variant, of_variant, {"status": "ok"}, is_chosen=True)
            platform.registry.publish(platform.registry.add_certificate(made, variant, {"rows": 1}, is_passed=True))
    finally:
        platform.close()


class Callers:
    """Who asks the server."""

    def __init__(self, server: Server, asked: argparse.Namespace) -> None:
        self._server, self._asked = server, asked
        self._written = 0  # tokens of streams
        self._texts: Iterator[str] = itertools.cycle(short_texts(20_000))  # none twice, so that nothing is known

    async def embed(self) -> Figures:
        """An embedder's calls."""
        return await self._call("/v1/embeddings", lambda text: {"model": EMBEDDER, "input": text})

    async def classify(self) -> Figures:
        """A classifier's calls."""
        return await self._call(f"/models/{CLASSIFIER}", lambda text: {"inputs": text})

    async def _call(self, path: str, body: Callable[[str], dict[str, str]]) -> Figures:
        """So many calls a second; milliseconds of one, p50 and p99."""
        told: list[float] = []

        async def call(client: httpx.AsyncClient) -> None:
            began_s = time.perf_counter()
            (await client.post(path, json=body(next(self._texts)))).raise_for_status()
            told.append(1000 * (time.perf_counter() - began_s))

        end_s = time.perf_counter() + self._asked.seconds
        async with self._client() as client, asyncio.TaskGroup() as calls:
            while time.perf_counter() < end_s:
                calls.create_task(call(client))
                await asyncio.sleep(1 / self._asked.rate)
        return {"call_p50_ms": float(np.quantile(told, 0.5)), "call_p99_ms": float(np.quantile(told, 0.99))}

    async def write(self) -> Figures:
        """Streams in all places; tokens a second of all, milliseconds between two parts of one, p50 and p99."""
        began_s, before, gaps = time.perf_counter(), self._written, list[float]()

        async def place() -> None:
            while time.perf_counter() < began_s + self._asked.seconds:
                told: list[float] = []
                await stream(self._server.port, self._server.key, next(self._texts), TOKENS, told)
                gaps.extend(1000 * (later - sooner) for sooner, later in itertools.pairwise(told))
                self._written += TOKENS

        await asyncio.gather(*(place() for _ in range(self._asked.streams)))
        rate = (self._written - before) / (time.perf_counter() - began_s)
        return {"tokens_s": rate, "gap_p50_ms": float(np.quantile(gaps, 0.5)), "gap_p99_ms": float(np.quantile(gaps, 0.99))}

    async def both(self, call: Callable[[], Awaitable[Figures]]) -> Figures:
        """Calls beside streams."""
        called, written = await asyncio.gather(call(), self.write())
        return called | written

    async def batch(self) -> Figures:
        """A batch that nobody disturbs; the tokens a second that it writes."""

        async def wait() -> Figures:
            await asyncio.sleep(self._asked.seconds)
            return {}

        return await self._beside_batch(wait)

    async def write_beside_batch(self) -> Figures:
        """Streams beside a batch."""
        return await self._beside_batch(self.write)

    async def _beside_batch(self, ask: Callable[[], Awaitable[Figures]]) -> Figures:
        async with self._client() as client:
            batch = await self._submit(client)
            while (await self._look(client, batch))["status"] == "validating":
                await asyncio.sleep(0.2)
            await asyncio.sleep(SETTLING_S)
            before, began_s = await self._tokens(client), time.perf_counter()
            found = await ask()
            written, took_s = await self._tokens(client) - before, time.perf_counter() - began_s
            (await client.post(f"/v1/batches/{batch}/cancel")).raise_for_status()
            while (await self._look(client, batch))["status"] not in _ENDED:
                await asyncio.sleep(0.2)
        return found | {"batch_tokens_s": written / took_s}

    async def _submit(self, client: httpx.AsyncClient) -> str:
        bodies = [{"model": WRITER, "prompt": next(self._texts), "max_tokens": TOKENS, "temperature": 0} for _ in range(BATCH_ROWS)]
        lines = [{"custom_id": str(row), "method": "POST", "url": "/v1/completions", "body": body} for row, body in enumerate(bodies)]
        content = "\n".join(map(json.dumps, lines)).encode()
        file = await client.post("/v1/files", files={"file": ("lines.jsonl", content)}, data={"purpose": "batch"})
        asked = {"input_file_id": file.raise_for_status().json()["id"], "endpoint": "/v1/completions", "completion_window": "24h"}
        return str((await client.post("/v1/batches", json=asked)).raise_for_status().json()["id"])

    async def _look(self, client: httpx.AsyncClient, batch: str) -> dict[str, object]:
        found: dict[str, object] = (await client.get(f"/v1/batches/{batch}")).raise_for_status().json()
        return found

    async def _tokens(self, client: httpx.AsyncClient) -> float:
        """All that workers wrote but for the streams."""
        lines = (await client.get("/metrics")).raise_for_status().text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("hanlin_worker_written_tokens_total")) - self._written

    def _client(self) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self._server.key}"}
        return httpx.AsyncClient(base_url=self._server.url, headers=headers, timeout=60)


def deploy(server: Server) -> None:
    """The models, until they answer."""
    with Hanlin(server.url, server.key, timeout=60, max_retries=20) as client:
        there = {endpoint.endpoint for endpoint in client.endpoints.list()}
        for name in sorted({WRITER, EMBEDDER, CLASSIFIER} - there):
            client.deployments.wait(client.deployments.create(name, name), timeout=300)
        client.predict(EMBEDDER, "warm")
        client.predict(CLASSIFIER, "warm")
        client.predict(WRITER, "warm", max_new_tokens=4)


async def read(home: Path, asked: argparse.Namespace) -> dict[str, Figures]:
    """Medians of all rounds, by what was asked beside what."""
    server = Server(home)
    found: dict[str, list[Figures]] = {}
    await server.start()
    try:
        await asyncio.to_thread(deploy, server)
        callers = Callers(server, asked)
        ways = {
            "embedder": callers.embed, "classifier": callers.classify, "streams": callers.write,
            "embedder beside streams": partial(callers.both, callers.embed),
            "classifier beside streams": partial(callers.both, callers.classify),
            "streams beside a batch": callers.write_beside_batch, "batch": callers.batch,
        }  # fmt: skip
        for _ in range(asked.rounds):
            for name, way in ways.items():
                found.setdefault(name, []).append(await way())
                print(name, json.dumps(found[name][-1]), file=sys.stderr, flush=True)
    finally:
        await server.stop()
    return {name: {key: round(median(each[key] for each in told), 1) for key in told[0]} for name, told in found.items()}


def main() -> None:
    """Prints a table and a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variant", default="openvino-int8")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--home", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = asked.home or Path(scratch) / "home"
        if not home.exists():
            usual = usual_variant()
            publish(
                home, {WRITER: (asked.folder, asked.variant), EMBEDDER: (embedder(usual), usual), CLASSIFIER: (classifier(usual), usual)}
            )
        found = asyncio.run(read(home, asked))
    columns = ("call_p50_ms", "call_p99_ms", "tokens_s", "gap_p50_ms", "gap_p99_ms", "batch_tokens_s")
    print("| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns), sep="\n")
    for name, values in found.items():
        print(f"| {name} | " + " | ".join(str(values.get(column, "")) for column in columns) + " |")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
