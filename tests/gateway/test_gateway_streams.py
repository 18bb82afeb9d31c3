"""C013, C014, C066, C067: streams over HTTP end exactly once, whoever fails, leaves, does not read or is shut down; accounts tell what was
sent. Real processes; the door is `telling.py`, the engine the fake one.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.gateway.conftest import Stack

from hanlin.generation import GenerationSettings

pytestmark = pytest.mark.e2e
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


def test_an_answer_is_told_in_parts_with_one_end(make_world) -> None:
    world = make_world()
    heard = world.ask(["w20 w21", "w30"], max_new_tokens=10)
    assert heard.status == 200
    assert heard.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (heard.headers["cache-control"], heard.headers["x-accel-buffering"]) == ("no-store", "no")
    assert (heard.headers["x-told-by"], heard.headers["transfer-encoding"]) == ("telling", "chunked")
    assert heard.headers["x-request-id"]
    assert heard.events[0] == "data: begin"
    assert heard.events[-1] == "data: [DONE]"
    assert heard.text.count("[DONE]") == 1
    assert [token for row, _, ids in heard.parts if row == 0 for token in ids] == [21, 20] * 5
    assert [token for row, _, ids in heard.parts if row == 1 for token in ids] == [30] * 10
    (record,) = world.accounts()
    assert (record["tokens"], record["written"], record["items"], record["is_cached"]) == (3, 20, 2, False)
    assert world.accounts("quota")[-1] == {"tokens": 23, "is_answered": True}
    assert world.ends() == {"done": 1}


def test_what_fails_before_the_first_part_is_a_plain_error_and_afterwards_an_event(make_world) -> None:
    world = make_world()
    early = world.ask("w20", max_new_tokens=10**9)
    assert (early.status, early.headers["content-type"]) == (422, "application/json")
    assert json.loads(early.text)["error"]["code"] == "invalid_parameter"
    at_once = world.ask("w20 w21 fail", max_new_tokens=30)
    assert at_once.status == 500
    late = world.ask("fail w20 w21", max_new_tokens=30)
    assert late.status == 200
    assert late.error == "engine_step_failed"
    assert [ids for _, _, ids in late.parts] == [[21], [20]]
    assert [(each["written"], each.get("is_broken")) for each in world.accounts()] == [(2, True)]
    assert world.accounts("quota")[-1] == {"tokens": 2, "is_answered": False}
    tired = world.ask(timeout_s=0.4, max_new_tokens=3000)
    assert tired.error == "deadline_exceeded"
    with world.stack.connect() as connection:  # a stream that failed leaves the connection as good as any
        for text in ("fail w20", "w20 w21"):
            connection.sendall(request(text, max_new_tokens=3))
            said = b""
            while not said.endswith(b"0\r\n\r\n"):
                said += connection.recv(65536)
        assert b"[DONE]" in said


def test_a_worker_that_is_killed_amid_a_stream_costs_what_was_sent(make_world) -> None:
    world = make_world()
    with world.connect(max_new_tokens=3000) as connection:
        said = b""
        while said.count(b"data: 0") < 20:
            said += connection.recv(65536)
        for pid in world.stack.worker_pids():
            os.kill(pid, signal.SIGKILL)
        while not said.endswith(b"0\r\n\r\n"):
            said += connection.recv(65536)
    assert b"stream_broken" in said
    assert b"[DONE]" not in said
    (record,) = world.accounts()
    assert (record["written"], record["is_broken"]) == (said.count(b"data: 0"), True)
    until(lambda: world.ask(max_new_tokens=2).status == 200)


def test_a_caller_who_leaves_frees_the_place_within_a_second(make_world) -> None:
    world = make_world()
    connections = [world.connect(max_new_tokens=5000) for _ in range(8)]
    until(lambda: world.open_rows == 8)
    for number, connection in enumerate(connections):
        if number % 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()
    until(lambda: world.open_rows == 0, within_s=4.0)  # a second, and what a busy machine adds
    until(lambda: len(world.accounts()) == 8)
    assert all(record["is_broken"] for record in world.accounts())
    assert world.ends()["gone"] == 8
    assert world.ask(max_new_tokens=2).status == 200


def test_a_caller_who_does_not_read_is_given_up_and_told_why(make_world) -> None:
    world = make_world({"step_ms": 1}, stream_buffer_bytes=20_000, write_timeout_s=6.0)
    world.stack.narrow()
    with world.stack.connect() as reads_later, world.stack.connect() as never_reads:
        for connection in (reads_later, never_reads):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request(["w20 w21"] * 4, max_new_tokens=5000))
        until(lambda: world.open_rows == 8)
        until(lambda: world.open_rows == 0)
        assert world.ask("w30", max_new_tokens=2).status == 200, "others are served meanwhile"
        said = b""
        while not said.endswith(b"0\r\n\r\n"):
            said += reads_later.recv(65536)
        assert b"stream_too_slow" in said
        assert b"[DONE]" not in said
        until(lambda: world.ends().get("slow") == 2)
        never_reads.settimeout(10)
        with pytest.raises(ConnectionResetError):
            while never_reads.recv(1):
                pass
    assert sum(int(str(record["written"])) for record in world.accounts() if record.get("is_broken")) < 2 * 4 * 5000


def test_silence_is_broken_by_comments_also_before_the_first_part(make_world) -> None:
    world = make_world({"step_ms": 700}, stream_ping_s=0.2)
    heard = world.ask("w20 w21", max_new_tokens=2)
    blocks = [block for block in heard.text.split("\n\n") if block]
    first = next(number for number, block in enumerate(blocks) if block.startswith("data: 0"))
    assert blocks[0] == "data: begin"
    assert ": ping" in blocks[1:first]
    assert ": ping" in blocks[first:]
    assert heard.events[-1] == "data: [DONE]"


@pytest.mark.parametrize(("tokens", "is_whole"), [(150, True), (3000, False)])
def test_a_gateway_that_ends_waits_for_streams_up_to_its_limit(make_world, tokens: int, is_whole: bool) -> None:
    world = make_world(drain_timeout_s=3.0, pre_stop_s=0.1)
    with world.connect(max_new_tokens=tokens) as connection:
        said = connection.recv(65536)
        world.stack.gateway.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        while data := connection.recv(65536):
            said += data
        assert world.stack.gateway.wait(10) == 0
        assert time.monotonic() - began_s < 6
    assert said.endswith(b"0\r\n\r\n")
    assert (b"[DONE]" in said) is is_whole
    assert (b"stream_drained" in said) is not is_whole
    assert said.count(b"[DONE]") + said.count(b"event: error") == 1


def test_many_who_leave_at_random_moments_leave_nothing_behind(make_world) -> None:
    world = make_world({"step_ms": 2}, max_queue_tokens=10**6)
    draw = random.Random(5)
    ended = 0

    async def caller() -> None:
        nonlocal ended
        reader, writer = await asyncio.open_connection("127.0.0.1", world.stack.port)
        writer.write(request("w20 w21 w22", max_new_tokens=draw.choice([3, 30, 300])))
        said = b""
        try:
            async with asyncio.timeout(draw.random() * 2):
                while not said.endswith(b"0\r\n\r\n"):
                    said += await reader.read(65536)
                ended += b"[DONE]" in said
        except TimeoutError:
            pass
        writer.transport.abort()

    async def all_of_them() -> None:
        await asyncio.gather(*(caller() for _ in range(200)))

    asyncio.run(all_of_them())
    until(lambda: world.open_rows == 0, within_s=2.0)
    values = world.stack.worker_values()
    assert (values["hanlin_worker_inflight_calls"], values["hanlin_worker_queued_tokens"]) == (0, 0)
    ends = world.ends()
    assert ended <= ends["done"]
    assert ends.keys() <= {"done", "gone"}
    journal, quota = world.accounts(), world.accounts("quota")
    assert sum("is_broken" not in record for record in journal) == ends["done"]
    assert sum("reserved" in entry for entry in quota) == sum("tokens" in entry for entry in quota) == sum(ends.values())
    used = sum(int(str(record["written"])) + int(str(record["tokens"])) for record in journal)
    assert used == sum(int(str(entry["tokens"])) for entry in quota if "tokens" in entry)
    assert used <= values["hanlin_worker_written_tokens_total"] + values["hanlin_worker_tokens_total"]
