"""Runs the command line in this process against the stand-in server."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hanlin.cli import main
from hanlin.cli.screen import SCREEN


def load_standin() -> ModuleType:
    """The stand-in of tests/client, loaded by path: test folders are no packages."""
    if "hanlin_standin" not in sys.modules:
        path = Path(__file__).parents[1] / "client" / "standin" / "__init__.py"
        spec = importlib.util.spec_from_file_location("hanlin_standin", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["hanlin_standin"] = module
        spec.loader.exec_module(module)
    return sys.modules["hanlin_standin"]


@dataclass
class Done:
    """What one run of the command line did."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output, which must be exactly one JSON document."""
        return json.loads(self.out)


@pytest.fixture
def standin() -> ModuleType:
    return load_standin()


@pytest.fixture
def world(standin: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    with standin.serve(standin.World()) as world:
        monkeypatch.setenv("HANLIN_URL", world.url)
        monkeypatch.setenv("HANLIN_KEY", standin.KEY)
        monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))
        yield world


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    monkeypatch.setenv("HANLIN_LANG", "en")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Done:
        SCREEN.is_json = False
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        status = ended.value.code
        out, err = capsys.readouterr()
        return Done(status if isinstance(status, int) else 0 if status is None else 1, out, err)

    return run


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\n好,pos\n坏,neg\n", encoding="utf-8")
    return path
