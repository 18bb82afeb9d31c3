"""A stand-in for hubs of models that speaks the protocols of Hugging Face and ModelScope and misbehaves on demand."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

WEIGHTS = bytes(range(256)) * 4000
FILES = {
    "config.json": b'{"model_type": "bert"}', "model.safetensors": WEIGHTS, "tokenizer.json": b"{}", "1_Pooling/config.json": b"{}",
    "pytorch_model.bin": b"pickle", "modeling_own.py": b"import os", "onnx/model.onnx": b"graph", "README.md": b"words",
}  # fmt: skip
TAKEN = {"config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json"}  # what importers read
COMMIT = "c" * 40


class StandIn:
    """What the hub has and how it behaves: `faults` are taken one a request, in order, by the path that they name."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.faults: list[tuple[str, str]] = []
        self.asked: list[tuple[str, str, str]] = []  # path, range, authorization
        self.needs_token = ""
        self.url = ""

    def fault(self, path: str) -> str:
        for number, (part, kind) in enumerate(self.faults):
            if part in path:
                del self.faults[number]
                return kind
        return ""


class Handler(BaseHTTPRequestHandler):
    hub: ClassVar[StandIn]

    def log_message(self, *_: object) -> None:
        """Nobody listens."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        self.hub.asked.append((self.path, self.headers.get("range", ""), self.headers.get("authorization", "")))
        if self.hub.needs_token and self.headers.get("authorization") != f"Bearer {self.hub.needs_token}":
            return self._send(401, b"")
        fault = self.hub.fault(self.path)
        if fault.isdigit():
            return self._send(int(fault), b"", {"Retry-After": "0"})
        if fault.startswith("to "):
            return self._send(302, b"", {"Location": fault.removeprefix("to ")})
        if path == "/api/models/org/name/revision/main":
            siblings = [self._hf(name, content) for name, content in self.hub.files.items()]
            return self._send(200, json.dumps({"sha": COMMIT, "siblings": siblings}).encode())
        if path == "/api/v1/models/org/name/repo/files":
            files = [{"Path": name, "Type": "blob", "Size": len(content), "Sha256": hashlib.sha256(content).hexdigest()}
                     for name, content in self.hub.files.items()]  # fmt: skip
            return self._send(200, json.dumps({"Code": 200, "Data": {"Files": [{"Path": "onnx", "Type": "tree"}, *files]}}).encode())
        name = query["FilePath"][0] if path == "/api/v1/models/org/name/repo" else path.removeprefix(f"/org/name/resolve/{COMMIT}/")
        content = self.hub.files.get(name)
        return self._send(404, b"") if content is None else self._content(content, fault)

    def _hf(self, name: str, content: bytes) -> dict[str, object]:
        item: dict[str, object] = {"rfilename": name, "size": len(content)}
        if name.endswith((".safetensors", ".onnx")):
            return item | {"lfs": {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}, "blobId": "0" * 40}
        return item | {"blobId": hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()}

    def _content(self, content: bytes, fault: str) -> None:
        start = int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if fault == "wrong":
            content = bytes(len(content))
        body = content if fault == "whole" else content[start:]
        status = 206 if start and fault != "whole" else 200
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start + (7 if fault == 'shifted' else 0)}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 3] if fault == "broken" else body)
        self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve_hub() -> Iterator[StandIn]:
    """One that has `FILES`, until the block ends."""
    found = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"hub": found}))
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
