"""Other projects' own clients make calls of tools and go on from what was answered; a random network is made to write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gateway.test_gateway_clients import CLIENTS, MADE, run

from hanlin.datasets.packages import node_command

pytestmark = pytest.mark.e2e
SUITES = sorted(CLIENTS.glob("chat/calls_*.py"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.stem)
def test_a_python_client_calls_tools(writers, suite: Path, tmp_path: Path) -> None:
    python = MADE / "chat" / "bin" / "python"
    assert python.exists(), "run scripts/clients.py"
    run([str(python), "-I", str(CLIENTS / "suite.py"), str(suite)], writers, tmp_path)


def test_clients_for_node_call_tools(writers) -> None:
    folder = MADE / "node"
    assert (folder / "node_modules").is_dir(), "run scripts/clients.py"
    beside = folder / "calls.mjs"  # where its imports are found
    beside.write_bytes((CLIENTS / "node" / "calls.mjs").read_bytes())
    run([*node_command(), str(beside)], writers, folder)
