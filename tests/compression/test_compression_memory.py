"""What a variant's processes hold together."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from hanlin.compression.bench_child import resident_bytes


def test_a_process_that_ends_while_memory_is_read_holds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bug: a compiler's helper that ended just then failed the whole variant."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        gone = psutil.Process(child.pid)
    monkeypatch.setattr(psutil.Process, "children", lambda self, recursive=False: [gone])
    assert resident_bytes() > 1e6
