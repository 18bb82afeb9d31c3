"""Clients that generators make of the API's description compile, and are served: openapi-typescript and openapi-python-client."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hanlin.datasets.packages import node_command

pytestmark = pytest.mark.e2e
MADE = Path(__file__).parents[2] / "build" / "clients"
PROGRAMS = Path(__file__).with_name("generated")


def run(command: list[str], whole, folder: Path) -> str:
    """What the program says, with the server's address and key around it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HANLIN_", "HF_", "PYTHON"))}
    environment = kept | {"HANLIN_URL": whole.url, "HANLIN_KEY": whole.client.headers["authorization"].removeprefix("Bearer ")}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def test_types_of_typescript_compile_and_tell_mistakes(whole, tmp_path: Path) -> None:
    packages = MADE / "generated-typescript" / "node_modules"
    assert packages.is_dir(), "run scripts/clients.py"
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(PROGRAMS / "types.mjs", tmp_path)
    assert run([*node_command(), "types.mjs"], whole, tmp_path).endswith("used\n")


def test_a_client_of_python_is_made_whole_and_served(whole, tmp_path: Path) -> None:
    python = MADE / "generated-python" / "bin" / "python"
    assert python.exists(), "run scripts/clients.py"
    assert "files" in run([str(python), "-I", str(PROGRAMS / "client.py"), str(tmp_path)], whole, tmp_path)
