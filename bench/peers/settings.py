"""How vLLM and llama.cpp are set up in every bench, bare or as servers. Plain Python: peers import it in their own environments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLACES = 16  # rows at once, the most streams of a bench
PLACE_TOKENS = 1024  # of a row, prompt and answer
VLLM_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}
VLLM_OPTIONS = {  # eager, because compiling takes minutes
    "enforce_eager": True,
    "enable_prefix_caching": False,
    "max_model_len": PLACE_TOKENS,
    "max_num_seqs": PLACES,
    "max_num_batched_tokens": PLACE_TOKENS,
}
KV_TYPES = {"fp32": "GGML_TYPE_F32", "q8_0": "GGML_TYPE_F16"}  # of llama.cpp's keys and values
OPENMP = "libiomp5.so"  # Intel's, which vLLM advises


def chosen(peer: str, precision: str, choices: Mapping[str, str]) -> str:
    """What a peer calls a precision. Raises ValueError for one that it does not take."""
    if precision not in choices:
        raise ValueError(f"{peer} takes {' or '.join(choices)}, not {precision!r}")
    return choices[precision]


def vllm_environ(prefix: Path, threads: int, *, log: str) -> dict[str, str]:
    """What vLLM's libraries read as they load.

    Args:
        prefix: of vLLM's environment; Intel's OpenMP library is loaded first where it has it.
    """
    environ = {
        "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": log,
        "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    openmp = prefix / "lib" / OPENMP
    return environ | ({"LD_PRELOAD": str(openmp)} if openmp.exists() else {})


def vllm_flags() -> list[str]:
    """`VLLM_OPTIONS` as its server takes them."""
    flags: list[str] = []
    for name, value in VLLM_OPTIONS.items():
        flag = name.replace("_", "-")
        flags += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return flags


def llamacpp_params(xllamacpp: Any, file: str, precision: str, threads: int) -> Any:
    """On the processor; nothing is kept of earlier prompts. Raises ValueError for a precision that it does not take."""
    kept = getattr(xllamacpp.ggml_type, chosen("llamacpp", precision, KV_TYPES))
    params = xllamacpp.CommonParams()
    params.model.path, params.n_gpu_layers, params.n_parallel, params.n_ctx = file, 0, PLACES, PLACE_TOKENS * PLACES
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_prompt, params.cache_ram_mib, params.verbosity, params.ui = False, 0, 0, False
    params.cache_type_k = params.cache_type_v = kept
    return params
