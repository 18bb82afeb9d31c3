"""What `hanlin doctor` looks at. Each check is one function that returns findings and never raises."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hanlin.cli.check_database import database
from hanlin.cli.finding import Finding
from hanlin.cli.words import say
from hanlin.observe.machine import processor

MIN_FREE_BYTES = 2 * 10**9
MIN_MEMORY_BYTES = 2 * 10**9
FAST_INT8 = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
ENGINES = (("torch", "torch", "train"), ("onnxruntime", "onnxruntime", "server"), ("openvino", "openvino", "server"))
EXTRAS = (("server", "starlette"), ("train", "transformers"), ("s3", "s3fs"))


def all_findings(home: Path) -> Iterator[Finding]:
    """Every check, quick ones first."""
    yield from machine()
    yield confinement()
    yield from storage(home)
    yield from engines()
    yield from extras()
    yield server()


def machine() -> Iterator[Finding]:
    """Python, cores, processor flags, memory."""
    version = platform.python_version()
    is_new = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if is_new else "problem", version, "" if is_new else say("doctor.python"))
    found = processor()
    yield Finding("cores", "ok", str(found.cores))
    has_fast = bool(FAST_INT8 & set(found.flags))
    shown = f"{found.name} ({', '.join(found.flags) or '-'})"
    yield Finding("processor", "ok" if has_fast else "note", shown, "" if has_fast else say("doctor.flags"))
    total, free = _memory()
    is_enough = total is None or total >= MIN_MEMORY_BYTES
    value = f"{(total or 0) / 1e9:.1f} GB, {(free or 0) / 1e9:.1f} GB {say('doctor.free')}"
    yield Finding("memory", "ok" if is_enough else "problem", value, "" if is_enough else say("doctor.memory"))


def confinement() -> Finding:
    """What this system can take from workers."""
    from hanlin.serving.confinement import PROTECTIONS, offered

    found = offered()
    missing = [name for name in PROTECTIONS if name not in found]
    value = ", ".join(found) or "-"
    return Finding("workers", "note" if missing else "ok", value, say("doctor.confinement", missing=", ".join(missing)) if missing else "")


def storage(home: Path) -> Iterator[Finding]:
    """The home folder, its disk, its database."""
    place = home
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
        yield Finding("home", "ok", str(home))
    except OSError as error:
        yield Finding("home", "problem", f"{home}: {error.strerror}", say("doctor.home"))
    free = shutil.disk_usage(place).free
    is_enough = free >= MIN_FREE_BYTES
    yield Finding(
        "disk", "ok" if is_enough else "problem", f"{free / 1e9:.1f} GB {say('doctor.free')}", "" if is_enough else say("doctor.disk")
    )
    yield database(home)


def engines() -> Iterator[Finding]:
    """Whether each engine's library really imports, in a process of its own."""
    running = [
        (
            name,
            module,
            extra,
            subprocess.Popen([sys.executable, "-c", f"import {module}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE),
        )
        for name, module, extra in ENGINES
        if _version(module) is not None
    ]
    for name, module, extra in ENGINES:
        if _version(module) is None:
            yield Finding(f"engine {name}", "note", say("doctor.absent"), f'pip install "hanlin[{extra}]"')
    for name, module, extra, process in running:
        try:
            _, errors = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            errors = b"timeout"
        if process.returncode == 0:
            yield Finding(f"engine {name}", "ok", _version(module) or "")
        else:
            last = (errors.decode("utf-8", "replace").strip().splitlines() or ["?"])[-1]
            yield Finding(f"engine {name}", "problem", last[:120], f'pip install --force-reinstall "hanlin[{extra}]"')


def extras() -> Iterator[Finding]:
    """Which extras are installed."""
    for extra, package in EXTRAS:
        has = _version(package) is not None
        yield Finding(
            f"extra {extra}",
            "ok" if has else "note",
            say("doctor.present" if has else "doctor.absent"),
            "" if has else f'pip install "hanlin[{extra}]"',
        )


def server() -> Finding:
    """Whether a server answers, and which one."""
    import httpx

    from hanlin.client.connection import find_url, is_loopback
    from hanlin.errors import HanlinError

    try:
        url = find_url()
        reply = httpx.get(f"{url}/healthz", timeout=3.0, trust_env=not is_loopback(url))
    except HanlinError as error:
        return Finding("server", "problem", str(error))
    except httpx.HTTPError:
        return Finding("server", "note", say("doctor.no_server", url=url), "hanlin up")
    is_well = reply.status_code == 200
    return Finding("server", "ok" if is_well else "problem", f"{url} ({reply.status_code})", "" if is_well else say("doctor.server"))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory() -> tuple[int | None, int | None]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        fields = {name: int(value.split()[0]) * 1024 for name, _, value in (line.partition(":") for line in lines)}
        return fields.get("MemTotal"), fields.get("MemAvailable")
    except (OSError, ValueError, IndexError):
        return None, None
