"""Other projects' own clients of chat models against the doors, in their pinned environments: `clients/chat` and `clients/node`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gateway.test_gateway_clients import CLIENTS, MADE, run

from hanlin.datasets.packages import node_command

pytestmark = pytest.mark.e2e
SUITES = sorted(CLIENTS.glob("chat/chat_*.py"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.stem)
def test_a_python_client_talks(doors, suite: Path, tmp_path: Path) -> None:
    python = MADE / "chat" / "bin" / "python"
    assert python.exists(), "run scripts/clients.py"
    run([str(python), "-I", str(CLIENTS / "suite.py"), str(suite)], doors, tmp_path)


def test_clients_for_node_talk(doors) -> None:
    folder = MADE / "node"
    assert (folder / "node_modules").is_dir(), "run scripts/clients.py"
    beside = folder / "chat.mjs"  # where its imports are found
    beside.write_bytes((CLIENTS / "node" / "chat.mjs").read_bytes())
    run([*node_command(), str(beside)], doors, folder)
