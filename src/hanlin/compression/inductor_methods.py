"""Variants of torch's own compiler: the network exported once with free batch and length, and compiled ahead of time into one library."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

import msgspec

from hanlin.compression.base import METHODS, Material
from hanlin.compression.export import is_recurrent, model_config
from hanlin.engines.inductor_engine import Compiled
from hanlin.errors import InvalidInput
from hanlin.networks.head import Head
from hanlin.tasks.spec import ModelSpec

EXAMPLE_SHAPE = (4, 20)  # neither 1 nor alike, or sizes would be taken for constants
COMPILERS = ("g++", "c++", "clang++")
_CACHE_DIR = "TORCHINDUCTOR_CACHE_DIR"
_DISTUTILS = "SETUPTOOLS_USE_DISTUTILS"
_OPTIONS: dict[str, object] = {
    "cpp.dynamic_threads": True,  # as many as the worker is given, not as many as there were here
    "cpp.march": "",  # the vector units that `Compiled` names, and nothing else that this processor happens to have
}


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
        try:
            with _surroundings(material.workdir / "inductor"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _compile(material.source, cast("Literal['fp32', 'bf16']", variant.rpartition("-")[2]), package)
        except Exception as error:  # exporter, code generator and compiler have errors of their own
            raise InvalidInput("cannot_compile", details=f"{type(error).__name__}: {error}") from error
        _take_library(package, target / "model.so")
        package.unlink()
        vocab_size = cast("int", model_config(material.source)["vocab_size"])
        compiled = Compiled.here(
            target / "model.so", torch_version=str(torch.__version__), max_length=ModelSpec.load(material.source).max_length,
            vocab_size=vocab_size,
        )  # fmt: skip
        (target / "compiled.json").write_bytes(msgspec.json.encode(compiled))


def _compile(folder: Path, precision: Literal["fp32", "bf16"], package: Path) -> None:
    import torch
    from torch.export import Dim

    from hanlin.networks.loading import load_model

    module = load_model(folder, dtype=precision, attention="sdpa").eval().requires_grad_(requires_grad=False)
    mask = torch.ones(EXAMPLE_SHAPE, dtype=torch.int64)
    mask[1, 5:] = 0
    inputs = (mask.clone(), mask, torch.zeros_like(mask))[: len(Head.load(folder).inputs)]
    with torch.inference_mode(mode=False), torch.no_grad():
        shapes = tuple((Dim.AUTO, Dim.AUTO) for _ in inputs)
        exported = torch.export.export(module, inputs, dynamic_shapes=shapes)
        torch._inductor.aoti_compile_and_package(exported, package_path=str(package), inductor_configs=_OPTIONS)


def _take_library(package: Path, target: Path) -> None:
    """The one library of a package, which is a zip archive."""
    with zipfile.ZipFile(package) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        with archive.open(name) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)


@contextlib.contextmanager
def _surroundings(caches: Path) -> Iterator[None]:
    """Variables for the compiler, where the environment does not have them.

    Its intermediate files lie below `caches`, not in the system's folder for temporary ones. `setuptools`, which it imports, refuses to be
    imported after the standard library's `distutils`, unless it is told to go with that one.
    """
    wanted = {_CACHE_DIR: str(caches)}
    if "distutils" in sys.modules:
        wanted[_DISTUTILS] = "stdlib"
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
