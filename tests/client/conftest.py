"""The stand-in server and clients that talk to it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hanlin.client import Hanlin


def load_standin() -> ModuleType:
    """The stand-in module, loaded once by path: test folders are no packages."""
    if "hanlin_standin" not in sys.modules:
        spec = importlib.util.spec_from_file_location("hanlin_standin", Path(__file__).parent / "standin" / "__init__.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["hanlin_standin"] = module
        spec.loader.exec_module(module)
    return sys.modules["hanlin_standin"]


@pytest.fixture
def standin() -> ModuleType:
    return load_standin()


@pytest.fixture
def world(standin: ModuleType) -> Iterator[object]:
    with standin.serve(standin.World()) as world:
        yield world


@pytest.fixture
def hanlin(world: object, standin: ModuleType) -> Iterator[Hanlin]:
    with Hanlin(world.url, standin.KEY) as client:  # type: ignore[attr-defined]
        yield client
