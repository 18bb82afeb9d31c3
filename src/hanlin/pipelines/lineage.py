"""Where a version comes from: the code, the machine, and one name for a request that says everything its result depends on."""

from __future__ import annotations

import functools
import hashlib
import json
import platform as host
from pathlib import Path

import hanlin
from hanlin.control.job_kinds import Train
from hanlin.observe.machine import processor
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


def starts_of(asked: Train) -> JsonObject:
    """Digests of the files from which the embeddings of a training start, None where there is no such file."""
    files = {"vectors_digest": asked.vectors, "raw_text_digest": asked.raw_text}
    return {name: file.sha256 if file else None for name, file in files.items()}


def machine() -> JsonObject:
    """The processor that measured or computed: name, cores in use, and the instructions that decide speed."""
    found = processor()
    return {"cpu": found.name, "cores": found.cores, "flags": list(found.flags), "system": host.system()}
