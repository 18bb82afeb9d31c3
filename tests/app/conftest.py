"""A real `hanlin up` in a process of its own, over a temporary home."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.tiny_bert import save_bert
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.app import open_platform
from hanlin.client import Hanlin
from hanlin.datasets import bundled
from hanlin.settings import load_settings
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings
from hanlin.tasks.vectors import VectorSettings
from hanlin.types import Digest

PACKAGES = Path(__file__).parents[2] / "build" / "packages"
WAIT_S = 120.0
# Few rows show as well as many that the machinery works; `test_app_road` has as many as users have.
FEW = {"HANLIN_CERTIFICATE_ROWS": "24", "HANLIN_COMPRESSION_ROWS": "64"}
# What suits the one module that minds it: trials are ended by errors alone.
SHARED = {"HANLIN_TRIAL_MAX_LATENCY_RATIO": "1000", "HANLIN_TRIAL_MAX_LABEL_DRIFT": "1", "HANLIN_TRIAL_MIN_CALLS": "20"}
# A killed server's jobs are taken over soon; there is time for calls whose worker a test has stopped.
MORTAL = {"HANLIN_JOB_LEASE_S": "6", "HANLIN_DRAIN_TIMEOUT_S": "60", "HANLIN_WORKER_HANG_S": "0"}


class Server:
    """One home and the `hanlin up` that serves it."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.home = home
        self.environ = FEW | environ
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, port: int = 0) -> Server:
        """Starts `up` on a free port, or on `port`, and waits until it answers. gRPC takes a free one: the next may be taken."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("HANLIN_")} | {"HANLIN_GRPC_PORT": "0"}
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "run" / "server.json").unlink(missing_ok=True)
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hanlin", "up", "--home", str(self.home), "--port", str(port)],
                stdout=log, stderr=subprocess.STDOUT, env=environ | self.environ,
            )  # fmt: skip
        wait_for(self._answers, f"the server did not answer: {(self.home / 'up.log').read_text()[-2000:]}")
        return self

    def _answers(self) -> bool:
        assert self.is_running, (self.home / "up.log").read_text()[-2000:]
        if not (self.home / "run" / "server.json").is_file() or not (self.home / "owner.key").is_file():
            return False
        with contextlib.suppress(Exception), Hanlin(self.url, self.key, timeout=2.0, max_retries=0) as client:
            client.tasks()
            return True
        return False

    @property
    def url(self) -> str:
        return str(json.loads((self.home / "run" / "server.json").read_text())["url"])

    @property
    def key(self) -> str:
        return (self.home / "owner.key").read_text().strip()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def empty(self) -> None:
        """Nothing is deployed any more."""
        with self.client() as client:
            for endpoint in client.endpoints.list():
                client.endpoints.delete(endpoint.endpoint)

    def client(self, *, timeout: float = 60.0, max_retries: int = 8) -> Hanlin:
        return Hanlin(self.url, self.key, timeout=timeout, max_retries=max_retries)

    def tree(self) -> list[psutil.Process]:
        """Every process below `up`."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def find(self, title: str) -> psutil.Process:
        """The process whose title begins with `title`."""
        found: list[psutil.Process] = []

        def look() -> bool:
            for process in self.tree():
                with contextlib.suppress(psutil.Error):
                    if " ".join(process.cmdline()).startswith(title):
                        found.append(process)
            return bool(found)

        wait_for(look, f"no process {title}")
        return found[0]

    def kill(self) -> None:
        """kill -9, and waits until nothing of the tree is left."""
        assert self.process is not None
        below = self.tree()
        self.process.kill()
        self.process.wait()
        _gone, alive = psutil.wait_procs(below, timeout=10)
        assert not alive, alive

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        below = self.tree()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        psutil.wait_procs(below, timeout=10)
        return status


def wait_for(condition: Callable[[], bool], problem: str, timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, problem
        time.sleep(0.05)


@pytest.fixture(scope="session")
def make_server() -> type[Server]:
    """For tests whose server has settings of its own: `make_server(home, HANLIN_…="…")`."""
    return Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of all modules that do not end it, see `emptied`."""
    found = Server(tmp_path_factory.mktemp("home") / "home", **SHARED).start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def emptied(server: Server) -> Iterator[Server]:
    """The server; what a module deployed ends with it. Each names its models and datasets like no other."""
    yield server
    server.empty()


@pytest.fixture(scope="module")
def client(emptied: Server) -> Iterator[Hanlin]:
    """The owner's."""
    with emptied.client() as found:
        yield found


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a module, whose tests may end it."""
    found = Server(tmp_path_factory.mktemp("home") / "home").start()
    yield found
    if found.is_running:
        found.stop()


@pytest.fixture(scope="session")
def all_mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("mortal") / "home", **MORTAL)
    yield found
    if found.is_running:
        found.stop()


@pytest.fixture(scope="module")
def mortal(all_mortal: Server) -> Iterator[Server]:
    """The server of all modules that end it, running as each begins; names and what is deployed are as for `emptied`."""
    if not all_mortal.is_running:
        all_mortal.start()
    yield all_mortal
    if all_mortal.is_running:
        all_mortal.empty()


@pytest.fixture(scope="session")
def publish_fakes() -> Callable[..., None]:
    """`publish_fakes(home, {…}, {…}, name="m")`: published versions 1, 2, … of a model, served by the fake engine as their `fake.json`
    says. With `dimensions` they give vectors. The home may be that of a running server."""

    def publish(home: Path, *versions: dict[str, object], name: str, labels: tuple[str, str] = ("calm", "storm")) -> None:
        home.mkdir(parents=True, exist_ok=True)
        platform = open_platform(load_settings({}, home=home))
        try:
            platform.database.migrate()
            platform.accounts.ensure_owner_key(home)
            for number, fake in enumerate(versions):
                files = fake_artifact(labels if number % 2 == 0 else labels[::-1], fake)
                task, of_task = ("embedding", ()) if "dimensions" in fake else ("text-classification", labels)
                entries = tuple(ManifestFile(name, Digest(platform.blobs.put(content)), len(content)) for name, content in files.items())
                made = platform.registry.create_version(
                    DEFAULT_TEAM, name, task, manifest=Manifest(entries), lineage={}, metrics={}, labels=of_task
                )
                platform.registry.add_variant(made, "fake-fp32", None, {"status": "ok"}, is_chosen=True)
                platform.registry.publish(platform.registry.add_certificate(made, "fake-fp32", {"rows": 1}, is_passed=True))
        finally:
            platform.close()

    return publish


def fake_artifact(labels: tuple[str, ...], fake: dict[str, object]) -> dict[str, bytes]:
    """Files of a model that knows the words w0 to w9, tokens 2 to 11, and `wrong`, token 12."""
    words = ("[PAD]", "[UNK]", *(f"w{number}" for number in range(10)), "wrong")
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    dimensions = fake.get("dimensions")
    vectors = VectorSettings(int(str(dimensions)), is_normalized=False) if dimensions else None
    task, labels = ("embedding", ()) if vectors else ("text-classification", labels)
    spec = ModelSpec(task=task, labels=labels, max_length=64, pad_id=0, text=TextSettings(), languages=("en",), vectors=vectors)
    return {
        "hanlin.json": json.dumps(spec.to_json()).encode(),
        "tokenizer.json": tokenizer.to_str().encode(),
        "fake.json": json.dumps(fake).encode(),
    }


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,400 real, short Chinese reviews as a CSV file."""
    rows: list[tuple[str, str]] = []
    for file in bundled.source_files(bundled.reviews_zh(PACKAGES)):
        texts = [text for text in file.path.read_text(encoding="utf-8").splitlines() if 8 <= len(text) <= 60]
        rows += [(text, Path(file.name).stem) for text in dict.fromkeys(texts)][:1200]
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("text", "label"), *rows])
    return path


@pytest.fixture(scope="session")
def make_encoder() -> Callable[..., Path]:
    """`make_encoder(folder, words)`: a BERT of random weights, small enough to learn in seconds, that knows the words (see `save_bert`)."""
    return save_bert
