"""Bare engines that write, offline, on one network: tokens a second at 1, 8 and 16 streams, the first token of 512, memory, load time.

usage: python bench/generation_engines.py FOLDER [--engines torch-fp32,openvino-int8,genai-int8,…] [--peer ENGINE=PROGRAM:FILES …]

FOLDER is an artifact (`bench/smollm_artifact.py`; `bench/random_qwen2.py`); its variants are made beside it on first use. Each
engine runs in a process of its own, two rounds in turn; the better reading counts. Rates are of a whole call, prompts of 64 tokens
included; `after`, from when all rows have their first token until the first ends (not a number where there is no such time).
`cpu_ms` is processor time a token, prompts included: steadier than rates on a busy machine. `same`: how many tokens behind one
prompt are those of the first engine, until one differs.
Peers run in environments of their own, one `--peer` for each in `--engines`:
  genai-fp32=PYTHON               openvino-genai's ContinuousBatchingPipeline on the very files of our variants (genai-int8, genai-int4)
  llama-q8=GGUF:DIR               node-llama-cpp in DIR on a GGUF file (`peers/gguf_of.py` makes them)
  llamacpp-q8_0=PYTHON:GGUF       llama.cpp's own batching, by xllamacpp
  ct2-int8=PYTHON:FOLDER, ort-int8=PYTHON:FOLDER, vllm-fp32=PYTHON:FOLDER        the scripts in `peers/` say how their folders are made
Prints Markdown and a JSON line.
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
PROMPT, LONG, TOKENS = 64, 512, 48
ROUNDS = 2
PEERS = Path(__file__).parent / "peers"
Turn = Callable[[Sequence[Sequence[int]], int], "Timed"]
Timed = tuple[float, float, list[int]]  # seconds to the first token of all, tokens a second from there on, the first row's ids if known
Figures = dict[str, Any]
SCRIPTS = {"genai": "genai_bare.py", "ct2": "ct2_bare.py", "ort": "ort_bare.py", "vllm": "vllm_bare.py", "llamacpp": "llamacpp_bare.py"}


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


def figures(write: Turn, *, vocabulary: int, tokens: int = TOKENS) -> Figures:
    """What is measured of a loaded engine: `write(rows, tokens)` writes so many tokens for each row."""
    write(prompts(2, PROMPT, vocabulary=vocabulary, seed=1), 4)  # wakes it up
    found: Figures = {}
    for streams in STREAMS:
        rows = prompts(streams, PROMPT, vocabulary=vocabulary, seed=10 + streams)
        before_s, began_s = time.process_time(), time.perf_counter()
        _, rate, ids = write(rows, tokens)
        found[f"tokens_s_{streams}"] = round(streams * tokens / (time.perf_counter() - began_s), 1)
        found[f"tokens_s_after_{streams}"] = round(rate, 1)
        found.setdefault("ids", ids)
        found[f"cpu_ms_{streams}"] = round(1000 * (time.process_time() - before_s) / streams / tokens, 1)
    found["first_512_ms"] = round(1000 * min(write(prompts(1, LONG, vocabulary=vocabulary, seed=s), 1)[0] for s in (50, 51)))
    return found


def report(write: Turn, load_s: float, *, vocabulary: int, tokens: int = TOKENS) -> None:
    """Print all of an engine's figures."""
    found = figures(write, vocabulary=vocabulary, tokens=tokens)
    print(json.dumps({"load_s": round(load_s, 1), **found, "memory_mb": resident_mb()}))


def resident_mb() -> float:
    """Of this process, now."""
    return round(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6)


def ours(folder: Path, variant: str, threads: int, tokens: int, *, is_asked: bool) -> None:
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
            return first - start, len(rows) * (tokens - 1) / max(end - first - (first - start), 1e-9), []
        for number, row in enumerate(rows):
            session.admit(number, row, settings)
        written, firsts, last = 0, set(), dict.fromkeys(range(len(rows)), False)
        first_s, at_first, rate = 0.0, 0, 0.0
        ids: list[int] = []
        while not all(last.values()):
            for delta in session.turn():
                written += len(delta.ids)
                ids += delta.ids if not delta.number else ()
                firsts.add(delta.number)
                last[delta.number] = delta.finish is not None
            if not first_s and len(firsts) == len(rows):
                first_s, at_first = time.perf_counter() - start, written
                rate = float("nan") if any(last.values()) else 0.0  # some ended before the last began
            if not rate and first_s and any(last.values()):
                rate = (written - at_first) / max(time.perf_counter() - start - first_s, 1e-9)
        return first_s, rate, ids

    if is_asked:
        answer(write, load_tokenizer(folder / "tokenizer.json"), tokens)
    else:
        report(write, load_s, vocabulary=vocabulary, tokens=tokens)


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
    kind, _, precision = name.partition("-")
    program, _, files = peers.get(name, "").partition(":")
    if kind == "genai":
        variant = "openvino" if precision == "fp32" else f"openvino-{precision}"
        return [program, str(PEERS / SCRIPTS[kind]), str(folder), variant, str(threads)]
    if kind == "llama":
        return ["node", str(PEERS / "llama_bare.mjs"), program, files, str(threads), str(TOKENS), str(PROMPT)]
    if kind in SCRIPTS:
        return [program, str(PEERS / SCRIPTS[kind]), files, precision, str(threads)]
    return [sys.executable, __file__, str(folder), "--one", name, f"--threads={threads}"]


def better(new: Figures, old: Figures) -> Figures:
    """Of two readings of one engine."""
    return {key: value if key == "ids" else (max if key.startswith("tokens") else min)(value, old[key]) for key, value in new.items()}


def same(ids: Sequence[int], others: Sequence[int]) -> float:
    """How many tokens are alike until one differs; not a number where they are not known."""
    differ = [place for place, (one, other) in enumerate(zip(ids, others, strict=False)) if one != other]
    return min(differ, default=min(len(ids), len(others))) if ids and others else float("nan")


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
        ours(asked.folder, asked.one, asked.threads, asked.tokens, is_asked=asked.asked)
        return
    from hanlin.compression.base import convert  # peers run this file without it

    for name in asked.engines.split(","):
        if name.startswith(("openvino", "torch")):
            convert(asked.folder, name, calibration=[[1, 2, 3]])
    peers = dict(each.split("=", 1) for each in asked.peer)
    found: dict[str, Figures] = {}
    for _ in range(asked.rounds):
        for name in asked.engines.split(","):
            command = command_of(name, asked.folder, asked.threads, peers)
            done = subprocess.run(command, check=False, capture_output=True, timeout=600, text=True)
            if done.returncode:
                print(name, done.stderr[-400:], file=sys.stderr)
                continue
            new = json.loads(done.stdout.splitlines()[-1])
            print(name, new, file=sys.stderr, flush=True)
            found[name] = better(new, found.get(name, new))
    first = next(iter(found.values()), {}).get("ids", [])
    for values in found.values():
        values["same"] = same(values.pop("ids", []), first)
    columns = [
        "load_s",
        *(f"tokens_s_{each}" for each in STREAMS),
        *(f"tokens_s_after_{each}" for each in STREAMS),
        *(f"cpu_ms_{each}" for each in STREAMS),
        "first_512_ms",
        "memory_mb",
        "same",
    ]
    print("| engine | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns), sep="\n")
    for name, values in found.items():
        print(f"| {name} | " + " | ".join(f"{values.get(column, float('nan')):,g}" for column in columns) + " |")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
