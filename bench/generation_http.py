"""Tokens a second over HTTP beside the bare engine, in one run: what gateway, worker, queue and streams leave of an engine's speed.

usage: python bench/generation_http.py FOLDER [--variants openvino-int8,openvino-fp32,torch-fp32] [--rounds 2] [--tokens 64] [--threads 2]
           [--llama DIR --gguf openvino-int8=FILE …]

FOLDER is an artifact with its variants (`bench/generation_engines.py` makes them). At 1, 8 and 16 streams: prompts that nobody has seen,
the same number of tokens for each, no end before that; a rate counts from when all have their first token until the last has its last.
Bare: the session in a process of its own, offline. HTTP: gateway, reconciler and worker on loopback, `/v1/completions` with `stream`, and
a client of one thread on the same cores. llama.cpp: node-llama-cpp in DIR, offline as well. In turn, the better of the rounds counts.
Prints Markdown, processor time a token of each process, and a JSON line; at most ten minutes, what is not done by then is left out.
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

from generation_engines import PEERS, STREAMS
from servers import BENCH, Server, cpu_between, free_ports
from serving_hot_path import wait_for_key
from texts import short_texts

LIMIT_S = 600.0
_NO_END = {"0": -100, "2": -100}  # SmolLM2's tokens that end an answer
Rates = dict[str, float]


async def stream(port: int, key: str, prompt: str, tokens: int, told: list[float]) -> None:
    """One streamed completion; the time of every part is added to `told`. Raises RuntimeError when it does not end as it should."""
    body = {
        "model": "writer", "prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True, "logit_bias": _NO_END,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data)
    written, is_whole = 0, False
    async for line in reader:
        if line.startswith(b'data: {"') and b'"choices":[]' not in line:
            told.append(time.perf_counter())
        elif line.startswith(b"data: {"):
            written = json.loads(line[6:])["usage"]["completion_tokens"]
        is_whole |= line.startswith(b"data: [DONE]")
    writer.close()
    if not is_whole or written != tokens:
        raise RuntimeError(f"a stream with {written} tokens of {tokens}")


async def rate(port: int, key: str, prompts: Sequence[str], tokens: int) -> float:
    """Tokens a second of all streams together, behind the last one's first token."""
    told: list[list[float]] = [[] for _ in prompts]
    await asyncio.gather(*(stream(port, key, prompt, tokens, each) for prompt, each in zip(prompts, told, strict=True)))
    first_s, last_s = max(each[0] for each in told), max(each[-1] for each in told)
    shares = [sum(at > first_s for at in each) / len(each) for each in told]  # the last part of a stream may have no token
    return tokens * sum(shares) / (last_s - first_s)


def over_http(folder: Path, variant: str, tokens: int, threads: int, *, seed: int) -> Rates:
    """A server of its own, asked at each number of streams."""
    with tempfile.TemporaryDirectory() as scratch:
        home, (port,) = Path(scratch) / "home", free_ports(1)
        command = [sys.executable, str(BENCH / "our_server.py"), str(home), str(port), json.dumps({"writer": [str(folder), variant]})]
        with Server([*command, f"threads={threads}"], port=port, log=Path(scratch) / "server.log") as server:
            key = wait_for_key(home)
            warm = json.dumps({"model": "writer", "prompt": "Once", "max_tokens": 4}).encode()
            server.wait_ready("/v1/completions", warm, {"Authorization": f"Bearer {key}"}, timeout_s=120)
            found: Rates = {}
            for streams in STREAMS:
                prompts = short_texts(1000)[seed * 100 + streams : seed * 100 + 2 * streams]
                before, own_s = server.cpu_s(), time.process_time()
                found[f"tokens_s_{streams}"] = round(asyncio.run(rate(port, key, prompts, tokens)), 1)
                found[f"client_ms_{streams}"] = round(1000 * (time.process_time() - own_s) / streams / tokens, 2)
                for name, spent_s in cpu_between(before, server.cpu_s()).items():
                    if (kind := next((each for each in ("worker", "gateway") if f"hanlin {each}" in name), None)) is not None:
                        label = f"{kind}_ms_{streams}"
                        found[label] = round(found.get(label, 0.0) + 1000 * spent_s / streams / tokens, 2)
            return found


def printed(command: Sequence[str]) -> Rates:
    """What a bench of one bare engine prints last."""
    done = subprocess.run(command, check=True, capture_output=True, timeout=300, text=True)
    found: Rates = json.loads(done.stdout.splitlines()[-1])
    return found


def bare(folder: Path, variant: str, tokens: int, threads: int) -> Rates:
    """The same session offline, in a process of its own."""
    script = str(BENCH / "generation_engines.py")
    return printed([sys.executable, script, str(folder), "--one", variant, f"--threads={threads}", f"--tokens={tokens}"])


def better(old: Rates, new: Rates) -> Rates:
    """Of two readings: the higher rates, the lower times."""
    return {name: (max if name.startswith("tokens") else min)(value, old.get(name, value)) for name, value in new.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variants", default="openvino-int8,openvino-fp32,torch-fp32")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--llama", type=Path)
    parser.add_argument("--gguf", action="append", default=[])
    asked = parser.parse_args()
    files = dict(each.split("=", 1) for each in asked.gguf)
    found: dict[str, Rates] = {}
    began_s = time.monotonic()
    for number in range(asked.rounds):
        for variant in asked.variants.split(","):
            ways = {
                f"{variant} bare": lambda v=variant: bare(asked.folder, v, asked.tokens, asked.threads),
                f"{variant} HTTP": lambda v=variant, n=number: over_http(asked.folder, v, asked.tokens, asked.threads, seed=n),
            }
            if asked.llama and variant in files:
                script = [str(PEERS / "llama_bare.mjs"), files[variant], str(asked.llama), str(asked.threads), str(asked.tokens)]
                ways[f"{variant} llama.cpp"] = lambda s=script: printed(["node", *s])
            for name, measure in ways.items():
                if time.monotonic() - began_s > LIMIT_S:
                    print("no time left for", name, file=sys.stderr)
                    continue
                found[name] = better(found.get(name, {}), measure())
    print("| engine | " + " | ".join(f"{each} streams" for each in STREAMS) + " |", "|---|" + "---|" * len(STREAMS), sep="\n")
    for name, values in found.items():
        print(f"| {name} | " + " | ".join(f"{values[f'tokens_s_{each}']:.1f}" for each in STREAMS) + " |")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
