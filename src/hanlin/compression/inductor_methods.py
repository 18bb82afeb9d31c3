"""Variants of torch's own compiler: the network exported once with free batch and length, and compiled ahead of time into one library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import cast

import msgspec

from hanlin.compression.base import METHODS, Material
from hanlin.compression.export import is_recurrent, model_config
from hanlin.engines.inductor_engine import Compiled
from hanlin.errors import InvalidInput
from hanlin.tasks.spec import ModelSpec

COMPILERS = ("g++", "c++", "clang++")


@METHODS.register("inductor")
class Inductor:
    """One library a precision. Recurrent networks are refused: their loops over time would be unrolled or run as they are."""

    variants = ("inductor-fp32", "inductor-bf16")

    def make(self, variant: str, material: Material, target: Path) -> None:
        """See `Method.make`."""
        if is_recurrent(material):
            raise InvalidInput("recurrence_not_compiled", variant=variant)
        if not any(map(shutil.which, COMPILERS)):
            raise InvalidInput("no_compiler", variant=variant, choices=", ".join(COMPILERS))
        import torch

        package = material.workdir / f"{variant}.pt2"
        _compile(material.source, variant.rpartition("-")[2], package, caches=material.workdir / "inductor")
        _take_library(package, target / "model.so")
        package.unlink()
        vocab_size = cast("int", model_config(material.source)["vocab_size"])
        compiled = Compiled.here(
            target / "model.so", torch_version=str(torch.__version__), max_length=ModelSpec.load(material.source).max_length,
            vocab_size=vocab_size,
        )  # fmt: skip
        (target / "compiled.json").write_bytes(msgspec.json.encode(compiled))


def _compile(folder: Path, precision: str, package: Path, *, caches: Path) -> None:
    """Have a process of its own compile: what this one has imported and set, the compiler's machinery would trip over.

    Raises:
        InvalidInput: `cannot_compile`, with the last line that the process wrote.
    """
    command = [sys.executable, "-m", "hanlin.compression.inductor_child", str(folder), precision, str(package)]
    environment = {"TORCHINDUCTOR_CACHE_DIR": str(caches), **os.environ}  # not in the system's folder for temporary files
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    assert child.stdin is not None
    with child, child.stdin:  # an open stdin is this process's sign of life
        assert child.stdout is not None
        said = child.stdout.read().decode(errors="replace").strip().splitlines()
    if child.returncode:
        problem = said[-1] if said else f"exit code {child.returncode}"
        raise InvalidInput("cannot_compile", problem=problem[:200], details="\n".join(said[-40:]))


def _take_library(package: Path, target: Path) -> None:
    """The one library of a package, which is a zip archive."""
    with zipfile.ZipFile(package) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        with archive.open(name) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
