"""`hanlin bench` as a program against a real server: what it says it asked is what the server counted, and where the time went."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.gateway.stacks import Stack

from hanlin.bench.parts import NAMES

pytestmark = pytest.mark.e2e
TEXTS = ("good", "bad good", "w9 w10 w11 w12 good w13 w14")
NUM_REQUESTS = 30  # of each load


def counted(stack: Stack) -> tuple[int, int, int]:
    """Requests of the inference route, calls and texts that the worker of `sentiment` took, as `/metrics` tells them."""
    of_sentiment = ('endpoint="default/sentiment"',)
    wanted = {
        "hanlin_requests_total": ('method="POST"', 'route="/models/{endpoint}"'),
        "hanlin_worker_calls_total": of_sentiment,
        "hanlin_worker_rows_total": of_sentiment,
    }
    found = dict.fromkeys(wanted, 0)
    for line in stack.client.get("/metrics").text.splitlines():
        name, _, labels = line.partition("{")
        if name in wanted and all(label in labels for label in wanted[name]):
            found[name] += int(float(line.rpartition(" ")[2]))
    requests, calls, rows = found.values()
    return requests, calls, rows


def test_what_was_asked_is_what_the_server_counted(doors: Stack, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HANLIN_")}
    environ = kept | {"HANLIN_URL": doors.url, "HANLIN_KEY": "hl_app", "HANLIN_HOME": str(tmp_path), "HANLIN_LANG": "en"}
    # Both loads end by their number of requests, long before their time.
    argv = [sys.executable, "-m", "hanlin", "bench", "sentiment", "--file", str(tmp_path / "texts.txt"), "--items", "2", "--json"]
    argv += ["--clients", "1", "--rates", "200", "--seconds", "120", "--warm-up", "0"]
    before = counted(doors)
    done = subprocess.run([*argv, f"--requests={NUM_REQUESTS}"], env=environ, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (closed,), (opened,) = report["closed"], report["open"]
    for window in (closed, opened):
        assert (window["good"], window["refused"], window["failed"], window["unsent"]) == (NUM_REQUESTS, 0, 0, 0)
        parts = window["parts_ms"]
        assert set(parts) == set(NAMES)
        assert all(parts[name] > 0 for name in ("network", "parse", "hop", "encode", "engine", "decode", "write")), parts
        assert parts["queue"] >= 0 and parts["wait"] >= 0
        assert 0 < window["latency"]["p50_ms"] <= window["latency"]["p99_ms"]
    assert report["model"] == "m:1 fake-fp32" and report["texts"]["source"] == "file"
    asked = closed["good"] + opened["good"]
    requests, calls, rows = (after - earlier for after, earlier in zip(counted(doors), before, strict=True))
    assert (requests, calls, rows) == (asked + 1, asked + 1, 2 * asked + 1), "one call of one text was to see what the endpoint takes"
