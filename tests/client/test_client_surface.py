"""What the SDK is from outside: light to import, the same blocking and for asyncio, its examples typed and true."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path

import polars as pl

from hanlin.client import AsyncHanlin, Hanlin
from hanlin.datasets import bundled

EXAMPLES = Path(__file__).parents[2] / "examples"


# What httpx and pydantic bring with them; httpx has a command line of its own, which brings click and rich where they are installed.
LIGHT = {
    "httpx", "httpcore", "h11", "anyio", "sniffio", "certifi", "idna", "click", "rich", "markdown_it", "mdurl", "pygments", "pydantic",
    "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection", "hanlin",
}  # fmt: skip
MOST_MODULES = 560  # 434 of them take 0.18 s on the machine of docs/benchmarks.md


def test_importing_the_client_brings_httpx_and_pydantic_only() -> None:
    code = "import sys; before = set(sys.modules); import hanlin.client; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    modules = done.stdout.split()
    others = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - LIGHT
    assert {name for name in others if not name.startswith("_")} == set()
    assert len(modules) <= MOST_MODULES


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
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, sorted(EXAMPLES.glob("*.py")))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=EXAMPLES.parent, check=False)
    assert done.returncode == 0, done.stdout


def test_the_examples_run(hanlin, world, standin, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANLIN_URL", world.url)
    monkeypatch.setenv("HANLIN_KEY", standin.KEY)
    examples = runpy.run_path(str(EXAMPLES / "sdk.py"))
    monkeypatch.setattr(bundled, "reviews_en", lambda _: tmp_path)
    (tmp_path / "reviews-en.jsonl").write_text('{"text": "wonderful", "label": "pos"}\n', encoding="utf-8")
    world.known_model = "mood"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        examples["road"](examples["reviews"]())
    assert "pos 0.9" in out.getvalue()
    assert [job["kind"] for job in world.jobs.values()] == ["ingest", "train", "compress"]
    assert examples["careful"](hanlin, "") is None
    assert [answer.label for answer in asyncio.run(examples["many"](["好", "坏"]))] == ["pos", "neg"]


def test_the_examples_of_map_run(hanlin, capsys, tmp_path: Path) -> None:
    examples = runpy.run_path(str(EXAMPLES / "sdk_map.py"))
    (tmp_path / "reviews.txt").write_text("好 1\n\n坏 2\n", encoding="utf-8")
    for _ in range(2):  # the second time from the checkpoint
        assert examples["label_file"](hanlin, "mood", tmp_path / "reviews.txt") == 1
    assert capsys.readouterr().out.splitlines() == ["pos\t0.900\t好 1", "neg\t0.800\t坏 2"] * 2
    assert examples["label_table"](hanlin, "mood", pl.DataFrame({"text": ["好"]}))["label"].to_list() == ["pos"]
    assert examples["embed_all"](hanlin, "vectors", ["ab"]) == [[2.0, -1.0, 0.5, 0.25]]
