"""Tokens a second of whole servers that write, over HTTP, in one run: ours and those of vLLM and llama.cpp, by one client.

usage: python bench/generation_servers.py FOLDER --variant openvino-int8 [--rounds 3] [--tokens 64] [--threads 2]
           --peer llamacpp-q8_0=PYTHON:MODEL.gguf --peer vllm-fp32=PYTHON:FOLDER

FOLDER is an artifact with its variants (`bench/generation_engines.py` makes them); `bench/peers/llamacpp_server.py` and
`bench/peers/vllm_bare.py` say what a peer's environment and files are, `bench/peers/settings.py` how both are set up. All servers are up;
one is asked at a time, in turn, at 1, 8 and 16 streams of `/v1/completions` and once for the first token of 512, by the client of
`bench/generation_http.py`: prompts that nobody has seen, the same number of tokens each, rates of the time in which all are written.
Medians of the rounds. Prints Markdown, which tells whether vLLM had Intel's OpenMP library, and a JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from generation_engines import PEERS, STREAMS, long_text, texts
from generation_http import Served, rate, stream
from hanlin.types import JsonObject
from peers.settings import KV_TYPES, OPENMP, VLLM_DTYPES, chosen, vllm_environ, vllm_flags
from servers import Server, free_ports

IGNORE_END: JsonObject = {"ignore_eos": True}  # as both peers are told it
BOOT_S = 300  # vLLM loads for a minute


def command_of(told: str, threads: int, port: int) -> list[str]:
    """How a peer's server begins. Raises ValueError for a peer that is not known or without its places, and for a precision that it does
    not take."""
    name, _, where = told.partition("=")
    kind, _, precision = name.partition("-")
    program, _, files = where.partition(":")
    if kind not in ("llamacpp", "vllm"):
        raise ValueError(f"peers are llamacpp and vllm, not {kind}")
    kept = chosen(kind, precision, KV_TYPES if kind == "llamacpp" else VLLM_DTYPES)
    if not program or not files:
        raise ValueError(f"a peer is told as {name}=PYTHON:FILES, not {told}")
    if kind == "llamacpp":
        return [program, str(PEERS / "llamacpp_server.py"), files, precision, str(threads), str(port)]
    served = [program, "-m", "vllm.entrypoints.openai.api_server", "--model", files, "--host", "127.0.0.1", "--port", str(port)]
    return [*served, "--served-model-name", "writer", "--dtype", kept, *vllm_flags()]


class Peer:
    """Another project's server, asked as ours is."""

    def __init__(self, told: str, asked: argparse.Namespace, scratch: Path) -> None:
        self.name = told.partition("=")[0]
        self.is_vllm = self.name.startswith("vllm-")
        (self._port,), self._tokens = free_ports(1), asked.tokens
        command = command_of(told, asked.threads, self._port)
        environ = {"OMP_NUM_THREADS": str(asked.threads)}
        if self.is_vllm:
            environ = vllm_environ(Path(command[0]).parent.parent, asked.threads, log="INFO")
        self.server = Server(command, port=self._port, log=scratch / f"{self.name}.log", environ=environ)

    def wait(self) -> None:
        """Until it answers."""
        warm = json.dumps({"model": "writer", "prompt": "Once", "max_tokens": 4}).encode()
        self.server.wait_ready("/v1/completions", warm, {}, timeout_s=BOOT_S)

    def rate(self, streams: int, seed: int) -> float:
        """Tokens a second."""
        return asyncio.run(rate(self._port, "none", texts(streams, seed), self._tokens, no_end=IGNORE_END))

    def first_ms(self, seed: int) -> float:
        """To the first token of a long text."""
        told: list[float] = []
        began_s = time.perf_counter()
        asyncio.run(stream(self._port, "none", long_text(seed), 2, told, no_end=IGNORE_END))
        return 1000 * (told[0] - began_s)

    def title(self) -> str:
        """Its name in the table, of vLLM with the OpenMP library that its processes hold. Ask while they live."""
        if not self.is_vllm:
            return self.name
        has_openmp = any(OPENMP in Path(f"/proc/{process.pid}/maps").read_text() for process in self.server.processes())
        return f"{self.name}, {'with' if has_openmp else '**without**'} Intel's OpenMP"


def read(servers: Mapping[str, Served | Peer], rounds: int) -> dict[str, dict[str, float]]:
    """Medians of all rounds; the order turns round each time."""
    told: dict[str, dict[str, list[float]]] = {name: {} for name in servers}
    order: Sequence[tuple[str, Served | Peer]] = list(servers.items())
    for number in range(rounds):
        for streams in STREAMS:
            for name, server in order[:: 1 - 2 * (number % 2)]:
                told[name].setdefault(f"tokens_s_{streams}", []).append(server.rate(streams, number))
        for name, server in order[:: 1 - 2 * (number % 2)]:
            told[name].setdefault("first_512_ms", []).append(server.first_ms(number))
    return {name: {key: round(median(values), 1) for key, values in figures.items()} for name, figures in told.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variant", default="openvino-int8")
    parser.add_argument("--peer", action="append", default=[], required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        servers: dict[str, Served | Peer] = {}
        for told in asked.peer:
            peer = Peer(told, asked, Path(scratch))
            stack.enter_context(peer.server)
            servers[peer.name] = peer
        ours = Served(asked.folder, asked.variant, asked.tokens, asked.threads, Path(scratch))
        stack.enter_context(ours.server)
        servers = {asked.variant: ours, **servers}
        for server in servers.values():
            server.wait()
        found = read(servers, asked.rounds)
        for name, server in servers.items():
            found[name]["memory_mb"] = round(server.server.memory_mb())
        titles = {name: server.title() if isinstance(server, Peer) else name for name, server in servers.items()}
    columns = [*(f"tokens_s_{each}" for each in STREAMS), "first_512_ms", "memory_mb"]
    print("| server | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns), sep="\n")
    for name, figures in found.items():
        print(f"| {titles[name]} | " + " | ".join(f"{figures[each]:,g}" for each in columns) + " |")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
