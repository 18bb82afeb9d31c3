"""Logs are JSON lines without keys; a full disk does not hurt."""

from __future__ import annotations

import errno
import json
import logging
import threading
from pathlib import Path

import pytest

from hanlin.observe.logs import configure_logs, redact, request_id

SECRET = "hl_" + "s" * 43


class FullDisk:
    """A file on a disk without room."""

    has_refused = False

    def write(self, text: str) -> int:
        self.has_refused = True
        raise OSError(errno.ENOSPC, "No space left on device")

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def tell(self) -> int:
        return 0


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_lines_are_json_with_the_request(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "gateway.log"
    configure_logs("gateway", path=path)
    log = logging.getLogger("hanlin.gateway")
    log.debug("not shown")
    with request_id("req_1", "0af7"):
        log.info("你好\n%s", "two lines", extra={"endpoint": "sentiment"})
        threading.Thread(target=lambda: log.info("another thread")).start()
    log.info("after")
    first = next(line for line in lines(path) if "endpoint" in line)
    assert first["message"] == "你好\ntwo lines"
    expected = {"level": "info", "process": "gateway", "logger": "hanlin.gateway", "endpoint": "sentiment"}
    expected |= {"request_id": "req_1", "trace_id": "0af7"}
    assert first | expected == first
    assert str(first["at"]).endswith("Z")
    assert "request_id" not in lines(path)[-1]


def test_keys_are_cut_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    configure_logs("gateway", path=path)
    log = logging.getLogger("x")
    log.info("key %s", SECRET, extra={"header": f"Bearer {SECRET}", "nested": {"a": [SECRET]}})
    try:
        raise ValueError(f"bad {SECRET}")
    except ValueError:
        log.exception("failed")
    text = path.read_text()
    assert SECRET[:9] not in text.replace("hl_sssss…", "")
    assert text.count("hl_sssss…") >= 4
    assert "Traceback" in text
    assert redact("nothing here") == "nothing here"


def test_a_disk_that_fails_does_not_reach_the_caller(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("gateway", path=tmp_path / "x.log")
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.FileHandler)
    stream = FullDisk()
    handler.stream = stream  # type: ignore[assignment]
    logging.getLogger("x").error("lost")
    assert stream.has_refused
    handler.stream = None  # type: ignore[assignment]
    logging.getLogger("x").error("heals")
    assert lines(tmp_path / "x.log")[-1]["message"] == "heals"
    assert capsys.readouterr().err == ""


def test_configuring_twice_logs_once(tmp_path: Path) -> None:
    for _ in range(2):
        configure_logs("gateway", path=tmp_path / "x.log", level="warning")
    logging.getLogger("x").warning("once")
    logging.getLogger("x").info("never")
    assert [line["message"] for line in lines(tmp_path / "x.log")] == ["once"]
