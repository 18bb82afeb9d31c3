"""Where a version comes from: the code, the machine, and one name for a request that says everything its result depends on."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform as host
from pathlib import Path

import hanlin
from hanlin.types import JsonObject, JsonValue

_ROOMS_OF_RESULTS = ("tasks", "networks", "datasets", "models", "engines", "training", "compression")


@functools.cache
def code_digest() -> str:
    """SHA-256 over the source of the rooms that decide a model's numbers; the same in a wheel and in a checkout."""
    digest = hashlib.sha256()
    root = Path(hanlin.__file__).parent
    for room in _ROOMS_OF_RESULTS:
        for path in sorted((root / room).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@functools.cache
def code_version() -> str:
    """Version and the first digits of the code's digest, such as `0.1.0+3f9a2c1b7d04`."""
    return f"{hanlin.__version__}+{code_digest()[:12]}"


def fingerprint(*parts: JsonValue) -> str:
    """One name for a request: equal for requests that must give the same result."""
    return hashlib.sha256(json.dumps([*parts, code_digest()], sort_keys=True, ensure_ascii=True).encode()).hexdigest()


@functools.cache
def machine() -> JsonObject:
    """The processor that measured or computed: name, cores in use, and the instructions that decide speed."""
    text = ""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
    fields = dict(line.partition("\t")[::2] for line in text.splitlines() if ":" in line)
    names = {key.strip(): value.partition(":")[2].strip() for key, value in fields.items()}
    flags = set(names.get("flags", "").split())
    wanted: list[JsonValue] = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8") if flag in flags]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"cpu": names.get("model name", host.processor() or host.machine()), "cores": cores, "flags": wanted, "system": host.system()}
