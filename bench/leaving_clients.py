"""Callers of streams that leave at random moments, a thousand at a time: when their places are free, whether tokens add up, what stays.

usage: python bench/leaving_clients.py [--clients 1000] [--rounds 5] [--artifact FOLDER [--variant openvino-int8]]

Each caller asks for a streamed answer and hangs up (by a reset) after a random time, or hears it to its end. Prints one line of JSON: the
longest time after the last of a round had gone until no row was open, tokens of whole streams by the caller's count and by what the server
told, and memory and descriptors of gateway and worker after each round. The fake engine writes, unless a folder with its variants is named
(`bench/generation_engines.py` makes them). `leave` is used by the tests, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

_END = b"\r\n0\r\n\r\n"  # of a chunked body, which no end of a head looks like


@dataclass
class Left:
    """What a caller heard before it left, or all of it."""

    number: int
    said: bytes
    is_whole: bool
    has_begun: bool


async def leave(port: int, request: Callable[[int], bytes], count: int, draw: random.Random, *, longest_s: float) -> list[Left]:
    """`count` callers at once.

    Args:
        request: the bytes that caller `number` sends.
        longest_s: none stays longer.
    """

    async def caller(number: int, stay_s: float) -> Left:
        said = b""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(stay_s):
                writer.write(request(number))
                while not said.endswith(_END):
                    part = await reader.read(65536)
                    said += part
                    if not part:
                        break
        except TimeoutError:
            pass
        finally:
            writer.transport.abort()
        return Left(number, said, said.endswith(_END), b"200 OK" in said)

    return await asyncio.gather(*(caller(number, draw.random() * longest_s) for number in range(count)))


def post(path: str, key: str, body: object, *headers: str) -> bytes:
    """A request as bytes."""
    text = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: a", f"authorization: Bearer {key}", "content-type: application/json", *headers]
    return "\r\n".join([*lines, f"content-length: {len(text)}", "", ""]).encode() + text


def free_after_s(is_free: Callable[[], bool], *, patience_s: float = 30.0) -> float:
    """Seconds until it is; looks every 10 ms. Raises AssertionError after `patience_s`."""
    began_s = time.monotonic()
    while not is_free():
        assert time.monotonic() - began_s < patience_s, "places stayed taken"
        time.sleep(0.01)
    return time.monotonic() - began_s


def _told(said: bytes) -> tuple[int, int]:
    """Tokens of a whole stream of completions: those that came, and those that its end tells of."""
    events = [json.loads(line[6:]) for line in said.decode().replace("\r\n", "\n").split("\n") if line.startswith("data: {")]
    came = sum(len(choice["logprobs"]["tokens"]) for event in events for choice in event["choices"] if choice["logprobs"])
    return came, events[-1]["usage"]["completion_tokens"]


async def main() -> None:
    """Rounds against `hanlin up` with its default limits."""
    import fake_server  # here: they lie beside this file, which tests import from elsewhere
    from beside_generation import publish

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--artifact", type=Path, help="of a model that writes")
    parser.add_argument("--variant", default="openvino-int8")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.artifact:
            publish(Path(folder) / "home", {"m": (asked.artifact, asked.variant)})
        else:
            fake_server.make_writer(Path(folder) / "home")
        server = fake_server.Server(Path(folder) / "home")
        await server.start()
        try:
            await server.deploy("m:1", replicas=1)
            print(json.dumps(await measure(server.port, server.key, asked.clients, asked.rounds, server.find)))
        finally:
            await server.stop()


async def measure(
    port: int, key: str, clients: int, rounds: int, find: Callable[[str], list[psutil.Process]]
) -> dict[str, object]:  # fmt: skip
    """All rounds."""
    draw = random.Random(5)
    processes = [*find("hanlin gateway"), *find("hanlin worker")]
    free_s: list[float] = []
    whole = came = told = refused = 0
    rounds_held: list[list[tuple[int, int]]] = []

    def request(number: int) -> bytes:
        body = {"model": "steady", "prompt": f"w{number % 90} w5", "max_tokens": draw.choice([3, 30, 300]), "stream": True, "logprobs": 0}
        return post("/v1/completions", key, body | {"stream_options": {"include_usage": True}})

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {key}"}, timeout=30) as client:

        def is_free() -> bool:
            lines = client.get("/metrics").text.splitlines()
            return (
                sum(float(line.split()[-1]) for line in lines if line.startswith(("hanlin_worker_open_rows", "hanlin_worker_inflight")))
                == 0
            )

        for _ in range(rounds):
            left = await leave(port, request, clients, draw, longest_s=4.0)
            free_s.append(await asyncio.to_thread(free_after_s, is_free))
            refused += sum(bool(each.said) and not each.has_begun for each in left)
            for each in left:
                if each.is_whole and each.has_begun:
                    counts = _told(each.said)
                    whole, came, told = whole + 1, came + counts[0], told + counts[1]
            rounds_held.append(held(processes))
    return {
        "clients": clients * rounds, "whole": whole, "refused": refused, "free_after_s": round(max(free_s), 3), "tokens_heard": came,
        "tokens_told": told, "mb": [[size >> 20 for size, _ in each] for each in zip(*rounds_held, strict=True)],
        "descriptors": [[count for _, count in each] for each in zip(*rounds_held, strict=True)],
    }  # fmt: skip


def held(processes: list[psutil.Process]) -> list[tuple[int, int]]:
    """Bytes of its own and descriptors of each."""
    return [(process.memory_full_info().uss, process.num_fds()) for process in processes]


if __name__ == "__main__":
    asyncio.run(main())
