"""Tokens a second over HTTP beside the bare engine, in one run: what gateway, worker, queue and streams leave of an engine's speed.

usage: python bench/generation_http.py FOLDER [--variants openvino-int8,openvino-fp32,torch-fp32] [--rounds 6] [--tokens 64] [--threads 2]
           [--llama DIR --gguf openvino-int8=FILE …]

FOLDER is an artifact with its variants (`bench/generation_engines.py` makes them). At 1, 8 and 16 streams: prompts that nobody has seen,
the same number of tokens for each, no end before that; a rate is of the time in which all of them are written: from when the last has its
first token until the first has its last. Bare: the session in a process of its own, offline, on the same prompts. HTTP: gateway,
reconciler and worker on loopback, `/v1/completions` with `stream`, and a client of one thread on the same cores. llama.cpp: node-llama-cpp
in DIR, offline as well (the better of two readings). Bare and HTTP are read in turn, medians of the rounds count, also of the one's part
of the other; so is the time to the first token of a text of 512 when nobody else asks. Prints Markdown, processor time a token of each
process, and a JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from generation_engines import PEERS, STREAMS, long_text, texts
from hanlin.types import JsonObject
from servers import BENCH, Server, cpu_between, free_ports
from serving_hot_path import wait_for_key

NO_END: JsonObject = {"logit_bias": {"0": -100, "2": -100}}  # SmolLM2's tokens that end an answer
Rates = dict[str, float]


async def stream(port: int, key: str, prompt: str, tokens: int, told: list[float], *, no_end: JsonObject = NO_END) -> None:
    """One streamed completion; the time of every part is added to `told`. Raises RuntimeError when it does not end as it should."""
    body = {
        "model": "writer", "prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True,
        "stream_options": {"include_usage": True}, **no_end,
    }  # fmt: skip
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data)
    written, is_whole = 0, False
    async for line in reader:
        if b'"usage":{' in line:  # of its own with some servers, with the last part of others
            written = json.loads(line[6:])["usage"]["completion_tokens"]
        elif line.startswith(b'data: {"'):
            told.append(time.perf_counter())
        is_whole |= line.startswith(b"data: [DONE]")
    writer.close()
    if not is_whole or written != tokens:
        raise RuntimeError(f"a stream with {written} tokens of {tokens}")


async def rate(port: int, key: str, prompts: Sequence[str], tokens: int, *, no_end: JsonObject = NO_END) -> float:
    """Tokens a second of all streams together while all are written."""
    told: list[list[float]] = [[] for _ in prompts]
    await asyncio.gather(*(stream(port, key, prompt, tokens, each, no_end=no_end) for prompt, each in zip(prompts, told, strict=True)))
    first_s, last_s = max(each[0] for each in told), min(each[-1] for each in told)
    shares = [sum(first_s < at <= last_s for at in each) / len(each) for each in told]  # the last part of a stream may have no token
    return tokens * sum(shares) / (last_s - first_s)


class Served:
    """A server of its own over one variant, and the times of its processes."""

    def __init__(self, folder: Path, variant: str, tokens: int, threads: int, scratch: Path) -> None:
        home, (port,) = scratch / "home", free_ports(1)
        command = [sys.executable, str(BENCH / "our_server.py"), str(home), str(port), json.dumps({"writer": [str(folder), variant]})]
        self.server = Server([*command, f"threads={threads}"], port=port, log=scratch / "server.log")
        self._home, self._port, self._tokens = home, port, tokens
        self.ms: dict[str, list[float]] = {}  # of each kind of process a token, by streams

    def wait(self) -> None:
        """Until it answers."""
        self._key = wait_for_key(self._home)
        warm = json.dumps({"model": "writer", "prompt": "Once", "max_tokens": 4}).encode()
        self.server.wait_ready("/v1/completions", warm, {"Authorization": f"Bearer {self._key}"}, timeout_s=120)

    def rate(self, streams: int, seed: int) -> float:
        """Tokens a second."""
        before, own_s = self.server.cpu_s(), time.process_time()
        found = asyncio.run(rate(self._port, self._key, texts(streams, seed), self._tokens))
        spent = {"client": time.process_time() - own_s, "worker": 0.0, "gateway": 0.0}
        for name, spent_s in cpu_between(before, self.server.cpu_s()).items():
            for kind in ("worker", "gateway"):
                spent[kind] += spent_s if f"hanlin {kind}" in name else 0.0
        for kind, spent_s in spent.items():
            self.ms.setdefault(f"{kind}_ms_{streams}", []).append(1000 * spent_s / streams / self._tokens)
        return found

    def first_ms(self, seed: int) -> float:
        """To the first token of a long text."""
        told: list[float] = []
        began_s = time.perf_counter()
        asyncio.run(stream(self._port, self._key, long_text(seed), 2, told))
        return 1000 * (told[0] - began_s)


class Bare:
    """The same session offline, in a process of its own."""

    def __init__(self, folder: Path, variant: str, tokens: int, threads: int) -> None:
        script = str(BENCH / "generation_engines.py")
        command = [sys.executable, script, str(folder), "--one", variant, "--asked", f"--threads={threads}", f"--tokens={tokens}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._heard() == "ready"

    def rate(self, streams: int, seed: int) -> float:
        """Tokens a second."""
        assert self._process.stdin is not None
        print(streams, seed, file=self._process.stdin, flush=True)
        return float(self._heard())

    def first_ms(self, seed: int) -> float:
        """To the first token of a long text."""
        return self.rate(0, seed)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _heard(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def compared(folder: Path, variant: str, asked: argparse.Namespace) -> tuple[Rates, Rates, Rates]:
    """Medians of all rounds: the bare engine's rates, those over HTTP with processor times, and the second's part of the first's."""
    told: dict[str, dict[str, list[float]]] = {"bare": {}, "HTTP": {}, "part": {}}
    with tempfile.TemporaryDirectory() as scratch:
        served = Served(folder, variant, asked.tokens, asked.threads, Path(scratch))
        with served.server:
            served.wait()
            alone = Bare(folder, variant, asked.tokens, asked.threads)
            try:
                for number in range(asked.rounds):
                    for streams in STREAMS:
                        ways = [("bare", alone.rate), ("HTTP", served.rate)]
                        found = {name: way(streams, number) for name, way in ways[:: 1 - 2 * (number % 2)]}
                        found["part"] = found["HTTP"] / found["bare"]
                        for name, value in found.items():
                            told[name].setdefault(f"tokens_s_{streams}", []).append(value)
                    firsts = [("bare", alone.first_ms), ("HTTP", served.first_ms)]
                    found = {name: first(number) for name, first in firsts[:: 1 - 2 * (number % 2)]}
                    for name, value in (found | {"part": found["HTTP"] / found["bare"]}).items():
                        told[name].setdefault("first_512_ms", []).append(value)
            finally:
                alone.close()
    bare, over, part = ({key: round(median(values), 3) for key, values in told[name].items()} for name in ("bare", "HTTP", "part"))
    return bare, over | {key: round(median(values), 3) for key, values in served.ms.items()}, part


def llama(file: str, asked: argparse.Namespace) -> Rates:
    """The better of two readings of the peer."""
    script = ["node", str(PEERS / "llama_bare.mjs"), file, str(asked.llama), str(asked.threads), str(asked.tokens)]
    told = [subprocess.run(script, check=True, capture_output=True, timeout=300, text=True).stdout for _ in range(2)]
    read = [json.loads(each.splitlines()[-1]) for each in told]
    return {key: max(each[key] for each in read) for key in read[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variants", default="openvino-int8,openvino-fp32,torch-fp32")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--llama", type=Path)
    parser.add_argument("--gguf", action="append", default=[])
    asked = parser.parse_args()
    files = dict(each.split("=", 1) for each in asked.gguf)
    found: dict[str, Rates] = {}
    for variant in asked.variants.split(","):
        names = [f"{variant} bare", f"{variant} HTTP", f"{variant} HTTP / bare"]
        found |= dict(zip(names, compared(asked.folder, variant, asked), strict=True))
        if asked.llama and variant in files:
            found[f"{variant} llama.cpp"] = llama(files[variant], asked)
    columns = {f"tokens_s_{each}": f"{each} streams" for each in STREAMS} | {"first_512_ms": "first token of 512, ms"}
    print("| engine | " + " | ".join(columns.values()) + " |", "|---|" + "---|" * len(columns), sep="\n")
    for name, values in found.items():
        print(f"| {name} | " + " | ".join(f"{values.get(each, float('nan')):.4g}" for each in columns) + " |")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
