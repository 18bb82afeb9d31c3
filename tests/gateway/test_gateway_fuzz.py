"""schemathesis over the whole description, with a key and without: no 5xx, and every answer as the description says.

Left out of its checks is only that data valid by its schema is taken: schemas cannot say that `1.0` is no whole number here, that labels,
variants and files must exist, or which options go together.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
CONFIG = Path(__file__).with_name("schemathesis.toml")
STREAM = "/api/v1/jobs/{job_id}/events"  # of a job that nobody runs it has no end; tests/control reads it
OWN = ("--exclude-checks", "positive_data_acceptance", "--exclude-path", STREAM, "--workers", "2", "--continue-on-failure",
       "--generation-database", "none", "--request-timeout", "10", "--no-color", "--warnings", "off")  # fmt: skip


def fuzz(stack, folder: Path, *options: str) -> None:
    """Runs it; on a failure shows what it says, with the calls that repeat it."""
    command = [Path(sys.executable).with_name("st"), "--config-file", CONFIG, "run", f"{stack.url}/openapi.json", *OWN, *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    selected, total = map(int, re.findall(r"Operations: +([0-9]+) selected / ([0-9]+) total", done.stdout)[0])
    assert selected == total - 1 >= 50
    assert stack.gateway_log.read_text() == ""


def with_key(stack) -> tuple[str, str]:
    return "--header", f"Authorization: {stack.client.headers['authorization']}"


@pytest.mark.parametrize("is_known", [True, False], ids=["with a key", "without"])
def test_twenty_examples_of_each_operation(whole, tmp_path: Path, is_known: bool) -> None:
    fuzz(whole, tmp_path, "--max-examples", "20", "--phases", "examples,coverage,fuzzing", *(with_key(whole) if is_known else ()))


@pytest.mark.soak
@pytest.mark.parametrize("is_known", [True, False], ids=["with a key", "without"])
def test_three_hundred_examples_of_each_operation(whole, tmp_path: Path, is_known: bool) -> None:
    fuzz(whole, tmp_path, "--max-examples", "300", "--phases", "examples,coverage,fuzzing", *(with_key(whole) if is_known else ()))
