"""Bare engines that write, offline, on the same network: tokens a second at 1, 8 and 16 streams, the first token of 512, memory, load time.

usage: python bench/generation_engines.py FOLDER [--engines torch-fp32,openvino-int8,…] [--peer genai=PYTHON] [--peer llama=GGUF:DIR]

FOLDER is an artifact (`bench/smollm_artifact.py`; `bench/random_qwen2.py`); its variants are made beside it on first use. Each
engine runs in a process of its own, two rounds in turn; the better reading counts. `cpu_ms` is processor time a token, prompts included:
steadier than rates on a busy machine. Peers: `genai` is openvino-genai's ContinuousBatchingPipeline in another environment, on the very
files of our variants; `llama` is node-llama-cpp in DIR on a GGUF file. Prints Markdown and a JSON line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

STREAMS = (1, 8, 16)
PROMPT, LONG, TOKENS = 16, 512, 32
ROUNDS = 2
PEERS = Path(__file__).parent / "peers"
Turn = Callable[[Sequence[Sequence[int]], int], "Timed"]
Timed = tuple[float, float]  # seconds to the first token of all, tokens a second from there on while all are written


def prompts(count: int, length: int, *, vocabulary: int, seed: int) -> list[list[int]]:
    """Ids that nobody has seen before, so that no beginning is known."""
    state, rows = seed * 7919 + 13, []
    for _ in range(count):
        row = []
        for _ in range(length):
            state = (state * 1_103_515_245 + 12_345) % 2**31
            row.append(100 + state // 7 % (vocabulary - 200))
        rows.append(row)
    return rows


def texts(count: int, seed: int) -> list[str]:
    """Prompts that are texts, others for each seed."""
    from texts import short_texts  # peers run this file without it

    return short_texts(1000)[seed * 100 + count : seed * 100 + 2 * count]


def long_text(seed: int) -> str:
    """About `LONG` tokens of common words, others for each seed."""
    from texts import mixed_texts  # peers run this file without it

    return mixed_texts(1, LONG + 2, LONG + 2, seed=seed)[0]


def figures(write: Turn, *, vocabulary: int, tokens: int = TOKENS) -> dict[str, float]:
    """What is measured of a loaded engine: `write(rows, tokens)` writes so many tokens for each row."""
    write(prompts(2, PROMPT, vocabulary=vocabulary, seed=1), 4)  # wakes it up
    found: dict[str, float] = {}
    for streams in STREAMS:
        rows = prompts(streams, PROMPT, vocabulary=vocabulary, seed=10 + streams)
        before_s = time.process_time()
        found[f"tokens_s_{streams}"] = round(write(rows, tokens)[1], 1)
        found[f"cpu_ms_{streams}"] = round(1000 * (time.process_time() - before_s) / streams / tokens, 1)
    found["first_512_ms"] = round(1000 * min(write(prompts(1, LONG, vocabulary=vocabulary, seed=s), 1)[0] for s in (50, 51)))
    return found


def resident_mb() -> float:
    """Of this process, now."""
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6)


def ours(folder: Path, variant: str, threads: int, tokens: int, *, is_asked: bool) -> dict[str, float]:
    from hanlin.engines import load_variant
    from hanlin.engines.base import StreamingSession
    from hanlin.generation import GenerationSettings
    from hanlin.tasks.tokenizer import load_tokenizer

    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    began = time.perf_counter()
    session = load_variant(folder, variant, threads=threads)
    load_s = time.perf_counter() - began

    def write(rows: Sequence[Sequence[int]], tokens: int) -> Timed:
        settings = GenerationSettings(max_new_tokens=tokens, stop_ids=())
        start = time.perf_counter()
        if not isinstance(session, StreamingSession):
            session.generate(rows, [GenerationSettings(max_new_tokens=1, stop_ids=())] * len(rows))  # type: ignore[attr-defined]
            first = time.perf_counter()
            session.generate(rows, [settings] * len(rows))  # type: ignore[attr-defined]
            end = time.perf_counter()
            return first - start, len(rows) * (tokens - 1) / max(end - first - (first - start), 1e-9)
        for number, row in enumerate(rows):
            session.admit(number, row, settings)
        written, firsts, last = 0, set(), dict.fromkeys(range(len(rows)), False)
        first_s, at_first = 0.0, 0
        rate = 0.0
        while not all(last.values()):
            for delta in session.turn():
                written += len(delta.ids)
                firsts.add(delta.number)
                last[delta.number] = delta.finish is not None
            if not first_s and len(firsts) == len(rows):
                first_s, at_first = time.perf_counter() - start, written
            if not rate and first_s and any(last.values()):
                rate = (written - at_first) / max(time.perf_counter() - start - first_s, 1e-9)
        return first_s, rate

    if is_asked:
        answer(write, load_tokenizer(folder / "tokenizer.json"), tokens)
        return {}
    return {"load_s": round(load_s, 1), **figures(write, vocabulary=vocabulary, tokens=tokens), "memory_mb": resident_mb()}


def answer(write: Turn, tokenizer: Any, tokens: int) -> None:
    """For each line of standard input, how many streams and which texts: tokens a second, or for no stream the milliseconds to the first
    token of a long text. As far behind others as a worker is."""
    from hanlin.serving.parent import step_behind

    step_behind()
    write([tokenizer.encode("Once").ids], 4)
    print("ready", flush=True)
    for line in sys.stdin:
        streams, seed = map(int, line.split())
        if not streams:
            print(1000 * write([tokenizer.encode(long_text(seed)).ids], 1)[0], flush=True)
            continue
        print(write([tokenizer.encode(text).ids for text in texts(streams, seed)], tokens)[1], flush=True)


def command_of(name: str, folder: Path, threads: int, peers: dict[str, str]) -> list[str]:
    """How one engine is measured in a process of its own."""
    if name.startswith("genai-"):
        variant = "openvino" if name == "genai-fp32" else name.replace("genai", "openvino")
        return [peers["genai"], str(PEERS / "genai_bare.py"), str(folder), variant, str(threads)]
    if name == "llama":
        model, _, place = peers["llama"].partition(":")
        return ["node", str(PEERS / "llama_bare.mjs"), model, place, str(threads)]
    return [sys.executable, __file__, str(folder), "--one", name, f"--threads={threads}"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engines", default="torch-fp32,openvino-fp32,openvino-int8,openvino-int4")
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tokens", type=int, default=TOKENS, help="of each row, with --one")
    parser.add_argument("--one")
    parser.add_argument("--asked", action="store_true", help="with --one: see `answer`")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(ours(asked.folder, asked.one, asked.threads, asked.tokens, is_asked=asked.asked)))
        return
    from hanlin.compression.base import convert  # peers run this file without it

    for name in asked.engines.split(","):
        if name.startswith(("openvino", "torch")):
            convert(asked.folder, name, calibration=[[1, 2, 3]])
    peers = dict(each.split("=", 1) for each in asked.peer)
    found: dict[str, dict[str, float]] = {}
    for _ in range(asked.rounds):
        for name in asked.engines.split(","):
            command = command_of(name, asked.folder, asked.threads, peers)
            done = subprocess.run(command, check=False, capture_output=True, timeout=600, text=True)
            if done.returncode:
                print(name, done.stderr[-400:], file=sys.stderr)
                continue
            new = json.loads(done.stdout.splitlines()[-1])
            old = found.get(name, new)
            found[name] = {key: (max if key.startswith("tokens") else min)(value, old[key]) for key, value in new.items()}
    columns = ["load_s", *(f"tokens_s_{each}" for each in STREAMS), *(f"cpu_ms_{each}" for each in STREAMS), "first_512_ms", "memory_mb"]
    print("| engine | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns), sep="\n")
    for name, values in found.items():
        print(f"| {name} | " + " | ".join(f"{values.get(column, float('nan')):,g}" for column in columns) + " |")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
