"""A gateway and a reconciler as processes of their own, over the fake engine, on a free port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.gateway.acceptor import new_tally
from hanlin.gateway.reserved_port import reserve
from hanlin.serving.loading import _WARM_SHAPES
from hanlin.tasks.chat_form import ChatForm
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings
from hanlin.tasks.vectors import VectorSettings

STACK = Path(__file__).with_name("stack.py")
# Of a tokenizer that knows words alone.
TALKS = ChatForm(marks={"system": ("w191 ", " w192 "), "user": ("w193 ", " w194 "), "assistant": ("w195 ", " w196 ")})
WORDS = ("[PAD]", "[UNK]", "good", "bad", "crash", "nan", "fail")
LIMITS = {
    "max_body_bytes": 1_100_000,
    "header_timeout_s": 1.0,
    "body_timeout_s": 1.0,
    "write_timeout_s": 2.0,
    "max_items": 32,
    "drain_timeout_s": 3.0,
}


PATIENT = {"header_timeout_s": 30.0, "body_timeout_s": 30.0, "write_timeout_s": 30.0}  # a busy machine is slow to send


class Stack:
    """One home with its processes: a reconciler and one gateway, or several."""

    def __init__(self, home: Path, *, gateways: int = 1, program: Path = STACK, **settings: object) -> None:
        home.mkdir(parents=True)
        self._program = program  # of the gateways
        settings["gateways"] = gateways
        self._grpc = reserve("127.0.0.1", 0)
        settings.setdefault("grpc_port", self._grpc.getsockname()[1])
        self.home = home
        self.gateway_log = home / "gateway.log"  # what the gateway says on stderr: nothing, when all is well
        (home / "settings.json").write_text(json.dumps(LIMITS | settings))
        (home / "desired.json").write_text("[]")
        self._entries: list[dict[str, object]] = []
        self._sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port: int = self._sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.grpc = f"127.0.0.1:{self._grpc.getsockname()[1]}"
        self.client = httpx.Client(base_url=self.url, headers={"authorization": "Bearer hl_app"}, timeout=30)
        self._tally = new_tally(gateways)
        self.gateways: list[subprocess.Popen[bytes]] = [self._start_gateway(index) for index in range(gateways)]
        self.start_reconciler()

    @property
    def gateway(self) -> subprocess.Popen[bytes]:
        """The first of the gateways."""
        return self.gateways[0]

    def start_gateway(self, index: int = 0) -> None:
        """Another one in the place of one that ended."""
        self.gateways[index] = self._start_gateway(index)

    def _start_gateway(self, index: int) -> subprocess.Popen[bytes]:
        fds = [self._sock.fileno(), self._tally]
        argv = [sys.executable, self._program, "gateway", self.home, str(fds[0]), str(index), str(fds[1])]
        with self.gateway_log.open("ab") as log:
            return subprocess.Popen(argv, pass_fds=fds, stderr=log)

    def start_reconciler(self) -> None:
        self.reconciler = subprocess.Popen([sys.executable, STACK, "reconciler", self.home])

    def add_model(
        self, version: str, *, labels: tuple[str, ...] = ("negative", "positive"), task: str = "text-classification",
        spec_more: Mapping[str, object] | None = None, **fake: object
    ) -> None:  # fmt: skip
        folder = self.home / "models" / version
        folder.mkdir(parents=True)
        vocabulary = {word: number for number, word in enumerate(WORDS)} | {f"w{n}": n for n in range(len(WORDS), 200)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        if fake.get("masks"):
            tokenizer.add_special_tokens(["[MASK]"])  # 200
            fake["labels"] = 201
        tokenizer.save(str(folder / "tokenizer.json"))
        vectors = VectorSettings(int(str(fake["dimensions"])), is_normalized=False) if "dimensions" in fake else None
        more = {"vectors": vectors, **(spec_more or {})}
        spec = ModelSpec(task=task, labels=labels, max_length=64, pad_id=0, text=TextSettings(), languages=("en",), **more)  # type: ignore[arg-type]
        spec.save(folder)
        warm_steps = len(_WARM_SHAPES) * int(str(fake.get("streams", 1)))  # no test waits for them
        behaviour = {"crash_token": 4, "nan_token": 5, "fail_token": 6, "quick_steps": warm_steps, **fake}
        (folder / "fake.json").write_text(json.dumps(behaviour))

    def deploy(self, version: str, endpoint: str = "sentiment", *, team: str = "default", replicas: int = 1, **more: object) -> str:
        number = f"d{len(self._entries) + 1}"
        entry = {"deployment_id": number, "team_id": team, "endpoint": endpoint, "model": version.partition(":")[0]}
        self._entries.append({**entry, "version": version, "variant": "fake-fp32", "replicas": replicas, **more})
        listed = [*json.loads((self.home / "desired.json").read_text()), self._entries[-1]]
        aside = self.home / "desired.new"
        aside.write_text(json.dumps(listed))
        aside.replace(self.home / "desired.json")
        return number

    def pause(self) -> None:
        """A moment for other processes, between two looks."""
        time.sleep(0.05)

    def states(self, number: str) -> list[list[object]]:
        path = self.home / "states.jsonl"
        return [line for line in map(json.loads, path.read_text().splitlines()) if line[0] == number] if path.exists() else []

    def wait_state(self, number: str, state: str) -> list[object]:
        for _ in range(2400):
            if found := [line for line in self.states(number) if line[1] == state]:
                return found[-1]
            time.sleep(0.05)
        raise AssertionError(f"{number} never became {state}: {self.states(number)}")

    def post(self, inputs: object, endpoint: str = "sentiment", **options: object) -> httpx.Response:
        return self.client.post(f"/models/{endpoint}", json={"inputs": inputs}, **options)  # type: ignore[arg-type]

    def raw(self, *pieces: bytes, timeout_s: float = 5.0) -> bytes:
        """Everything the server says to these bytes until it closes or falls silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
            except OSError:
                pass
            said = b""
            try:
                while part := connection.recv(65536):
                    said += part
            except (TimeoutError, ConnectionResetError):
                pass
            return said

    def connect(self) -> socket.socket:
        """A raw connection, for callers that misbehave."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def narrow(self) -> None:
        """The system keeps little of what is sent to callers who connect from now on, so that the gateway has to."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)

    def worker_values(self) -> dict[str, float]:
        """Counters and gauges of the one worker."""
        lines = [line for line in self.client.get("/metrics").text.splitlines() if line.startswith("hanlin_worker_") and "{" in line]
        return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}

    def worker_pids(self) -> list[int]:
        found = subprocess.run(["pgrep", "-P", str(self.reconciler.pid)], capture_output=True, text=True, check=False).stdout
        return [int(pid) for pid in found.split()]

    def close(self) -> None:
        self.client.close()
        for process in (*self.gateways, self.reconciler):
            process.terminate()
        for process in (*self.gateways, self.reconciler):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._sock.close()
        self._grpc.close()
        os.close(self._tally)
