"""llama.cpp's own server engine, by xllamacpp, without HTTP: what `generation_engines.py` prints of an engine.

usage: PYTHON llamacpp_bare.py MODEL.gguf fp32|q8_0 THREADS        in an environment with xllamacpp 2026.10

`bench/peers/gguf_of.py` makes the files; `settings.py` has places and precision. Nothing is kept of earlier prompts. Q8_0 rounds
activations too, in blocks of 32. Keys and values are in half precision (fp32 with fp32).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import xllamacpp

from generation_engines import Timed, report
from peers.settings import llamacpp_params

VOCABULARY = 49_152  # SmolLM2's

params = llamacpp_params(xllamacpp, sys.argv[1], sys.argv[2], int(sys.argv[3]))
began = time.perf_counter()
server = xllamacpp.Server(params)
load_s = time.perf_counter() - began


def write(rows: Sequence[Sequence[int]], tokens: int) -> Timed:
    start, firsts, lasts, parts = time.perf_counter(), {}, {}, []

    def stream(number: int) -> None:
        def heard(part: object) -> None:
            if isinstance(part, dict) and not part["choices"][0]["finish_reason"]:
                now = time.perf_counter()
                firsts.setdefault(number, now)
                lasts[number] = now
                parts.append(now)

        asked = {"prompt": list(rows[number]), "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True}
        server.handle_completions({**asked, "cache_prompt": False}, heard)

    with ThreadPoolExecutor(len(rows)) as pool:
        list(pool.map(stream, range(len(rows))))
    first, last = max(firsts.values()), max(lasts.values())
    share = sum(at > first for at in parts) / len(parts)  # a token may have no part of its own
    return first - start, share * len(rows) * tokens / max(last - first, 1e-9), []


report(write, load_s, vocabulary=VOCABULARY)
