"""C063, C130, C131: `bench/serving_kills.py` against a real server: a few kills and switches under load; in soak, a thousand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
BENCH = Path(__file__).parents[2] / "bench" / "serving_kills.py"


def campaign(*, timeout_s: float, **times: int) -> list[dict[str, float]]:
    options = [f"--{name}={count}" for name, count in times.items()]
    done = subprocess.run([sys.executable, str(BENCH), *options], capture_output=True, text=True, check=False, timeout=timeout_s)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])["rows"]


def check(rows: list[dict[str, float]]) -> None:
    """Nothing fails that may not, nothing is mixed up, nothing stays behind, nothing acknowledged is lost."""
    bad = [[row[name] for name in ("failed", "wrong", "orphans", "lost_writes")] for row in rows]
    assert bad == [[0, 0, 0, 0]] * 4
    assert [row["broken"] for row in rows if row["what"] in {"workers", "switches"}] == [0, 0]
    assert all(row["answered"] for row in rows)


def test_a_few_kills_of_everything_and_switches_under_load() -> None:
    check(campaign(timeout_s=600, workers=2, switches=2, gateways=1, supervisors=1))


@pytest.mark.soak
def test_a_thousand_kills_of_workers_and_switches_under_load() -> None:
    check(campaign(timeout_s=24 * 3600, workers=1000, switches=1000, gateways=200, supervisors=50))
