"""Other projects' own clients against the doors, each family in its pinned environment (`scripts/clients.py` makes them)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hanlin.datasets.packages import node_command

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
CLIENTS = Path(__file__).with_name("clients")
MADE = ROOT / "build" / "clients"
# Those of chat models ask an endpoint that talks: test_gateway_chat_clients.py
PYTHON_SUITES = sorted(path for path in CLIENTS.glob("*/*.py") if path.parent.name != "chat")
NODE_SUITES = sorted(path for path in CLIENTS.glob("*/*.mjs") if path.name not in {"chat.mjs", "calls.mjs"})


def environment(doors) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HANLIN_", "HF_", "PYTHON"))}
    return kept | {"HANLIN_URL": doors.url, "HANLIN_GRPC": doors.grpc, "HANLIN_KEY": "hl_app"}


def run(command: list[str], doors, folder: Path) -> None:
    done = subprocess.run(command, env=environment(doors), cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_there_are_suites() -> None:
    assert len(PYTHON_SUITES) >= 4
    assert NODE_SUITES


@pytest.mark.parametrize("suite", PYTHON_SUITES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_python_client_is_served(doors, suite: Path, tmp_path: Path) -> None:
    python = MADE / suite.parent.name / "bin" / "python"
    assert python.exists(), "run scripts/clients.py"
    run([str(python), "-I", str(CLIENTS / "suite.py"), str(suite)], doors, tmp_path)


@pytest.mark.parametrize("suite", NODE_SUITES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_node_client_is_served(doors, suite: Path) -> None:
    folder = MADE / suite.parent.name
    assert (folder / "node_modules").is_dir(), "run scripts/clients.py"
    beside = folder / suite.name  # where its imports are found
    beside.write_bytes(suite.read_bytes())
    run([*node_command(), str(beside)], doors, folder)
