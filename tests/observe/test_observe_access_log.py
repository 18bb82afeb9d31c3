"""Lines of requests are written together, soon, whole and without keys."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

from hanlin.observe.access_log import AccessLog
from hanlin.observe.logs import configure_logs

SECRET = "hl_" + "s" * 43


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


async def test_requests_are_written_together_and_look_like_other_lines(tmp_path: Path) -> None:
    path = tmp_path / "gateway.log"
    configure_logs("gateway", path=path)
    log = AccessLog()
    for number in range(3):
        log.add("POST", "/models/{endpoint}", 200 + number, 0.0123, f"req_{number}", trace_id="0af7" if number == 1 else "")
    assert not lines(path)
    for _ in range(100):
        if lines(path):
            break
        await asyncio.sleep(0.02)
    found = lines(path)
    expected = {"level": "info", "process": "gateway", "logger": "hanlin.access", "message": "POST /models/{endpoint} 201 12.3 ms"}
    assert len(found) == 3
    assert found[1] | expected | {"request_id": "req_1", "status": 201} == found[1]
    assert [line.get("trace_id") for line in found] == [None, "0af7", None]
    assert str(found[1]["at"]).endswith("Z")


async def test_a_key_used_as_a_request_id_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "gateway.log"
    configure_logs("gateway", path=path)
    log = AccessLog()
    log.add("POST", "/models/{endpoint}", 200, 0.001, SECRET)
    log.flush()
    assert [line["request_id"] for line in lines(path)] == ["hl_sssss…"]


async def test_closing_writes_what_waits_and_a_quiet_level_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gateway.log"
    configure_logs("gateway", path=path, level="warning")
    log = AccessLog()
    log.add("GET", "/healthz", 200, 0.001, "req_1")
    log.flush()
    assert not lines(path)
    logging.getLogger().setLevel("INFO")
    log.add("GET", "/healthz", 200, 0.001, "req_2")
    log.flush()
    log.flush()
    assert [line["request_id"] for line in lines(path)] == ["req_2"]


async def test_many_do_not_wait_for_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "gateway.log"
    configure_logs("gateway", path=path)
    log = AccessLog()
    for number in range(1000):
        log.add("GET", "/healthz", 200, 0.001, f"req_{number}")
    assert len(lines(path)) == 1000
    log.flush()
