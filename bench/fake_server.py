"""A real `hanlin up` in a home of its own, serving two versions of the fake engine: for benches of the machinery, not of the maths."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.app import open_platform
from hanlin.client import Hanlin
from hanlin.demo.server import free_port
from hanlin.generation import GenerationSettings
from hanlin.settings import load_settings
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings
from hanlin.types import Digest

ENDPOINT = "steady"
LABELS = ("calm", "storm")


@dataclass
class Server:
    """`hanlin up` over one home and one port."""

    home: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    written: list[str] = field(default_factory=list)
    live: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return (self.home / "owner.key").read_text().strip()

    async def start(self) -> None:
        """Starts it, not waiting for more than the process."""
        with (self.home.parent / "up.log").open("ab") as log:
            argv = [sys.executable, "-m", "hanlin", "up", "--home", str(self.home), "--port", str(self.port), "--grpc-port", "0"]
            self.process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, env=environment(), start_new_session=True)
        await until((self.home / "owner.key").is_file)

    async def stop(self) -> None:
        """SIGTERM."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.process.wait, 60)

    def find(self, title: str) -> list[psutil.Process]:
        """Processes of the tree whose title begins so."""
        assert self.process is not None
        found: list[psutil.Process] = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if " ".join(process.cmdline()).startswith(title):
                    found.append(process)
        return found

    async def deploy(self, model: str, *, replicas: int) -> None:
        """Declares and waits until it serves."""

        def declare() -> None:
            with Hanlin(self.url, self.key, timeout=60, max_retries=20) as client:
                client.deployments.wait(client.deployments.create(model, ENDPOINT, replicas=replicas), timeout=300)

        await asyncio.to_thread(declare)
        self.live = model

    async def write(self) -> None:
        """A control write that was acknowledged."""

        def create() -> str:
            with Hanlin(self.url, self.key, timeout=60, max_retries=20) as client:
                return client.keys.create(f"written-{len(self.written)}", ["predict"]).name

        self.written.append(await asyncio.to_thread(create))

    async def num_lost(self) -> int:
        """Acknowledged writes that are not there."""

        def names() -> set[str]:
            with Hanlin(self.url, self.key, timeout=60, max_retries=20) as client:
                return {key.name for key in client.keys.list()}

        return len(set(self.written) - await asyncio.to_thread(names))


def make_versions(home: Path) -> None:
    """Two published versions of model `m` that the fake engine serves; their labels stand in another order."""
    publish(home, "text-classification", [(labels, artifact(labels)) for labels in (LABELS, LABELS[::-1])])


def make_writer(home: Path) -> None:
    """A published version of model `m` that writes what it reads, over and over, a token each 5 ms for 8 rows at a time."""
    spec = ModelSpec("text-generation", (), 64, 0, generation=GenerationSettings(max_new_tokens=30))
    behaviour = {"writes": True, "is_endless": True, "max_rows": 8, "step_ms": 5, "labels": 302, "crash_token": None}
    publish(home, "text-generation", [((), artifact((), spec, behaviour))])


def publish(home: Path, task: str, versions: Sequence[tuple[tuple[str, ...], dict[str, bytes]]]) -> None:
    """A new home with versions of model `m`: labels and files each."""
    home.mkdir(parents=True)
    platform = open_platform(load_settings({}, home=home))
    try:
        platform.database.migrate()
        platform.accounts.ensure_owner_key(home)
        for labels, files in versions:
            entries = tuple(ManifestFile(name, Digest(platform.blobs.put(content)), len(content)) for name, content in files.items())
            version = platform.registry.create_version(
                DEFAULT_TEAM, "m", task, manifest=Manifest(entries), lineage={}, metrics={}, labels=labels
            )
            platform.registry.add_variant(version, "fake-fp32", None, {"status": "ok"}, is_chosen=True)
            platform.registry.publish(platform.registry.add_certificate(version, "fake-fp32", {"rows": 1}, is_passed=True))
    finally:
        platform.close()


def artifact(labels: tuple[str, ...], spec: ModelSpec | None = None, behaviour: Mapping[str, object] | None = None) -> dict[str, bytes]:
    """Files of a model whose answers depend on its text."""
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1} | {f"w{n}": n + 2 for n in range(300)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    spec = spec or ModelSpec(task="text-classification", labels=labels, max_length=64, pad_id=0, text=TextSettings(), languages=("en",))
    with tempfile.TemporaryDirectory() as folder:
        spec.save(Path(folder))
        tokenizer.save(str(Path(folder) / "tokenizer.json"))
        (Path(folder) / "fake.json").write_text(json.dumps({"step_ms": 2, "labels": len(labels), **(behaviour or {})}))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def environment() -> dict[str, str]:
    """Ours without settings of Hanlin."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HANLIN_")}


async def until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Raises TimeoutError when it does not come true."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)
