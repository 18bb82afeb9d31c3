"""What the SDK is from outside: light to import, the same blocking and for asyncio, its examples typed and true."""

from __future__ import annotations

import asyncio
import contextlib
import io
import runpy
import subprocess
import sys
from pathlib import Path

from hanlin.client import AsyncHanlin, Hanlin
from hanlin.datasets import bundled

EXAMPLES = Path(__file__).parents[2] / "examples" / "sdk.py"


def test_importing_the_client_is_light() -> None:
    heavy = "{'numpy', 'torch', 'starlette', 'sqlalchemy', 'typer', 'uvicorn'}"
    code = f"import sys, hanlin.client; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sync_and_async_offer_the_same() -> None:
    def surface(client: object) -> dict[str, set[str]]:
        return {
            part: {name for name in dir(value) if not name.startswith("_")}
            for part, value in {"": client, **vars(client)}.items()
            if not part.startswith("_") and not isinstance(value, str)
        }

    assert surface(Hanlin("http://localhost:1", "k")).keys() == surface(AsyncHanlin("http://localhost:1", "k")).keys()
    sync, other = surface(Hanlin("http://localhost:1", "k")), surface(AsyncHanlin("http://localhost:1", "k"))
    for part, names in sync.items():
        assert names == other[part], part


def test_the_examples_are_typed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(EXAMPLES)], capture_output=True, text=True, cwd=EXAMPLES.parents[1], check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_examples_run(hanlin, world, standin, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANLIN_URL", world.url)
    monkeypatch.setenv("HANLIN_KEY", standin.KEY)
    examples = runpy.run_path(str(EXAMPLES))
    monkeypatch.setattr(bundled, "reviews_en", lambda _: tmp_path)
    (tmp_path / "reviews-en.jsonl").write_text('{"text": "wonderful", "label": "pos"}\n', encoding="utf-8")
    world.known_model = "sentiment"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        examples["road"](examples["reviews"]())
    assert "pos 0.9" in out.getvalue()
    assert [job["kind"] for job in world.jobs.values()] == ["ingest", "train", "compress"]
    assert examples["careful"](hanlin, "") is None
    assert [answer.label for answer in asyncio.run(examples["many"](["好", "坏"]))] == ["pos", "neg"]
