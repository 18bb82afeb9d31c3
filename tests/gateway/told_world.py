"""A stack whose door `telling.py` tells rows in parts, and what its callers hear; fixtures for the files that import them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.gateway.stacks import Stack

from hanlin.generation import GenerationSettings

TELLING = Path(__file__).with_name("telling.py")
SERVING = Path(__file__).parents[1] / "serving"


class World:
    """A stack whose endpoint `e` writes rows over and over, a token each 5 ms."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def ask(self, text: object = "w20 w21", *, timeout_s: float = 20.0, **parameters: int) -> Heard:
        head = {"authorization": "Bearer hl_app", "x-timeout-s": f"{timeout_s:g}"}
        body = {"inputs": text, "parameters": parameters}
        with httpx.stream("POST", f"{self.stack.url}/tell/e", json=body, headers=head, timeout=30) as response:
            return Heard(response, response.read().decode())

    def connect(self, text: str = "w20 w21", **parameters: int) -> socket.socket:
        """A raw connection that has asked and not yet read."""
        connection = self.stack.connect()
        connection.sendall(request(text, **parameters))
        return connection

    def accounts(self, name: str = "journal") -> list[dict[str, object]]:
        path = self.stack.home / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def open_rows(self) -> float:
        return self.stack.worker_values()["hanlin_worker_open_rows"]

    def ends(self) -> dict[str, float]:
        lines = self.stack.client.get("/metrics").text.splitlines()
        return {line.split('end="')[1].split('"')[0]: float(line.split()[-1]) for line in lines if line.startswith("hanlin_streams_total{")}


class Heard:
    """What a caller got."""

    def __init__(self, response: httpx.Response, text: str) -> None:
        self.status, self.headers, self.text = response.status_code, response.headers, text
        self.events = [block for block in text.split("\n\n") if block and not block.startswith(":")]

    @property
    def parts(self) -> list[tuple[int, int, list[int]]]:
        """Row, tokens and ids of each part."""
        found = [event.removeprefix("data: ").split(" ", 2) for event in self.events if event.startswith("data: ") and "[" in event]
        return [(int(row), int(written), json.loads(rest)) for row, written, rest in (each for each in found if len(each) == 3)]

    @property
    def written(self) -> int:
        return sum(written for _, written, _ in self.parts)

    @property
    def error(self) -> str:
        """Code of the error event, which is the last thing said, and said once."""
        assert "[DONE]" not in self.text
        assert sum(event.startswith("event: error") for event in self.events) == 1
        assert self.events[-1].startswith("event: error")
        return str(json.loads(self.events[-1].split("data: ", 1)[1])["code"])


def request(text: object, **parameters: int) -> bytes:
    body = json.dumps({"inputs": text, "parameters": parameters}).encode()
    head = "POST /tell/e HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hl_app\r\ncontent-type: application/json\r\nx-timeout-s: 60\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def until(condition: Callable[[], object], *, within_s: float = 20.0) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Task `echo`, as an outsider's, for the workers of this module."""
    folder = tmp_path_factory.mktemp("plugin")
    about = folder / "hanlin_echo-1.0.dist-info"
    about.mkdir(parents=True)
    shutil.copy(SERVING / "echo_task.py", folder)
    (folder / "echo_plugin.py").write_text("import echo_task\n\necho_task.register()\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hanlin-echo\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[hanlin.tasks]\necho = echo_plugin\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
        yield


@pytest.fixture
def make_world(plugin: None, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """`make_world(fake.json, **settings)`."""
    stacks: list[Stack] = []

    def make(fake: dict[str, object] | None = None, **settings: object) -> World:
        stack = Stack(tmp_path / "home", program=TELLING, **settings)
        stacks.append(stack)
        behaviour = {"writes": True, "max_rows": 8, "step_ms": 5, "is_endless": True, "crash_token": None} | (fake or {})
        more = {"generation": GenerationSettings(max_new_tokens=30)}
        stack.add_model("m:1", task="echo", labels=(), spec_more=more, **behaviour)
        stack.wait_state(stack.deploy("m:1", "e"), "ready")
        until(lambda: stack.client.get("/models/e").json().get("state") == "ready")
        return World(stack)

    yield make
    for stack in stacks:
        log = stack.gateway_log.read_text()
        stack.close()
        assert "Traceback" not in log, log
