"""The machine this process runs on, as far as it decides speed: processor, usable cores, vector units. Reads `/proc`, asks nobody."""

from __future__ import annotations

import functools
import os
import platform
from dataclasses import dataclass
from pathlib import Path

# Instructions that decide which engine and precision is fast, of x86 and (from asimd on) Arm.
VECTOR_UNITS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "sve")


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor; `cores` are those this process may use, `flags` what it has of `VECTOR_UNITS` (known on Linux only)."""

    name: str
    cores: int
    flags: tuple[str, ...]


@functools.cache
def processor() -> Processor:
    """This machine's processor."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    first = text.partition("\n\n")[0]  # one block a core, all alike
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    present = set((fields.get("flags") or fields.get("Features") or "").split())
    name = fields.get("model name") or platform.processor() or platform.machine()
    return Processor(name, cores, tuple(flag for flag in VECTOR_UNITS if flag in present))


def has_bf16() -> bool:
    """Whether the processor may compute in bf16 itself: x86 without AVX-512 cannot, torch goes a long way round. Unknown: yes."""
    found = processor().flags
    return platform.machine().lower() not in ("x86_64", "amd64") or not found or "avx512f" in found
