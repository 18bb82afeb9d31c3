"""Nothing of ours reads or writes a format that can run code: not between processes, not from files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "hanlin"
# multiprocessing: its queues, pipes and managers pickle what they carry.
BANNED = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dbm", "dill", "cloudpickle", "joblib", "jsonpickle", "multiprocessing"}
SAFE_ONLY_WITH = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False)}
WORTH_A_LOOK = re.compile("|".join([*BANNED, r"(torch|np|numpy)\.load", r"from (torch|numpy) import"]))  # parsing all takes seconds
DEFAULTS = {"allow_pickle": False}  # numpy's own; torch's has changed between versions, so it must be said


def dangers(source: str) -> list[str]:
    """What in a module could unpickle something."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in BANNED]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {node.module.partition(".")[0], *(alias.name for alias in node.names)}
            found += sorted(names & BANNED)
            found += [name for name in SAFE_ONLY_WITH if name in {f"{node.module}.{alias.name}" for alias in node.names}]
        elif isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in SAFE_ONLY_WITH:
            word, safe = SAFE_ONLY_WITH[name]
            said = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if said.get(word, str(DEFAULTS.get(word))) != str(safe) or None in said:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Call) and name in ("__import__", "importlib.import_module") and node.args:
            found += [word for word in BANNED if ast.unparse(node.args[0]) == repr(word)]
    return found


def test_nothing_that_could_unpickle() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert {"serving", "engines", "tasks", "gateway"} <= {path.relative_to(SOURCE).parts[0] for path in files}
    texts = {str(path.relative_to(SOURCE)): path.read_text(encoding="utf-8") for path in files}
    assert {name: found for name, text in texts.items() if WORTH_A_LOOK.search(text) and (found := dangers(text))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "import pickle as p", "import dill, json", "from pickle import loads",
        "from multiprocessing.connection import Client",
        "torch.load(path)", "torch.load(path, weights_only=False)", "torch.load(path, **options)", "from torch import load",
        "np.load(path, allow_pickle=True)", "numpy.load(path, allow_pickle=flag)", "importlib.import_module('shelve')",
    ],
)  # fmt: skip
def test_what_could_is_seen(line: str) -> None:
    assert WORTH_A_LOOK.search(line)
    assert len(dangers(line)) == 1


def test_what_could_not_is_let_be() -> None:
    assert dangers("torch.load(path, weights_only=True)\nnp.load(path)\nnp.load(path, allow_pickle=False)\njson.loads(text)") == []
