"""Every name that a bench script imports from the package or from another script is there: nobody runs them all at each change."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "bench").glob("*.py"))


def file_of(module: str) -> Path | None:
    """Of a module of ours; None for others."""
    place = Path(*module.split("."))
    for start in (ROOT / "src", ROOT / "bench"):
        for path in (start / place.with_suffix(".py"), start / place / "__init__.py"):
            if path.is_file():
                return path
    return None


def names_in(path: Path) -> set[str]:
    """What can be imported from a file: what it defines, assigns or imports, and the modules beside it."""
    beside = {other.stem for other in path.parent.iterdir()} if path.name == "__init__.py" else set()
    return beside | {name for node in ast.walk(ast.parse(path.read_text())) for name in defined(node)}


def defined(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)


def missing(path: Path) -> list[str]:
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom) and node.module]
    ours = [(node, file_of(str(node.module))) for node in imports]
    lost = [str(node.module) for node, file in ours if file is None and str(node.module).startswith("hanlin")]
    return lost + [
        f"{node.module}.{alias.name}" for node, file in ours if file is not None for alias in node.names if alias.name not in names_in(file)
    ]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_import_of_a_bench_script_is_there(script: Path) -> None:
    assert missing(script) == []


def test_every_bench_that_trains_on_a_corpus_is_run_with_the_others() -> None:
    values = {
        node.target.id: ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "bench" / "run_all.py").read_text()).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value
    }
    training = {path.name for path in SCRIPTS if "from corpus_training import" in path.read_text()}
    run = {line[0] for part in values.values() for line in part}
    assert training and training <= run
    assert run <= {path.name for path in SCRIPTS}


def test_an_import_that_is_not_there_is_seen(tmp_path: Path) -> None:
    script = tmp_path / "lost.py"
    script.write_text("from hanlin.compression.batches import plan, spread\nfrom hanlin.nothing import x\nfrom json import nothing\n")
    assert missing(script) == ["hanlin.nothing", "hanlin.compression.batches.plan"]
