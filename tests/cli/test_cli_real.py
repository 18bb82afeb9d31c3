"""The command line and the SDK against a real `hanlin up`: one server, the whole road in small."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hanlin import errors
from hanlin.client import AsyncHanlin, Hanlin

pytestmark = pytest.mark.e2e
GOOD, BAD = ("good", "lovely", "great", "fine", "warm"), ("bad", "awful", "cold", "dull", "poor")
THINGS = ("film", "room", "meal", "book", "phone", "song", "hotel", "story", "street", "play")


def rows(count: int) -> list[dict[str, str]]:
    chosen = random.Random(0)
    made = []
    for number in range(count):
        label, words = chosen.choice([("positive", GOOD), ("negative", BAD)])
        made.append(
            {"text": f"a {chosen.choice(words)} {chosen.choice(THINGS)} and a {chosen.choice(words)} day, no. {number}", "label": label}
        )
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("real") / "home"
    few = {"HANLIN_CERTIFICATE_ROWS": "24", "HANLIN_COMPRESSION_ROWS": "64"}  # they show as well as many that the machinery works
    environ = {**os.environ, **few, "HANLIN_HOME": str(home), "HANLIN_LANG": "en", "OMP_NUM_THREADS": "2"}
    with (home.parent / "up.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "hanlin", "up", "--port", "0"], env=environ, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while not (home / "run" / "server.json").exists() or not is_well(home):
                assert server.poll() is None and time.monotonic() < deadline, (home.parent / "up.log").read_text()
                time.sleep(0.2)
            yield home
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


def is_well(home: Path) -> bool:
    url = json.loads((home / "run" / "server.json").read_text())["url"]
    try:
        with Hanlin(url, (home / "owner.key").read_text(), timeout=2, max_retries=0) as client:
            return bool(client.tasks())
    except (errors.HanlinError, OSError):
        return False


@pytest.fixture
def hanlin(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanlin]:
    for name in ("HANLIN_URL", "HANLIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HANLIN_HOME", str(home))  # address and key are found in the home folder
    with Hanlin() as client:
        yield client


@pytest.fixture
def command(home: Path) -> Callable[..., Any]:
    def command(*arguments: str, status: int = 0) -> Any:
        environ = {name: value for name, value in os.environ.items() if name not in ("HANLIN_URL", "HANLIN_KEY")}
        done = subprocess.run(
            [sys.executable, "-m", "hanlin", *arguments, "--json"],
            env={**environ, "HANLIN_HOME": str(home), "HANLIN_LANG": "en"},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)

    return command


def test_the_whole_road(command: Callable[..., Any], hanlin: Hanlin, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows(1000)) + "\n{broken\n", encoding="utf-8")
    assert command("dataset", "add", "rows", str(file))["state"] == "succeeded"
    report = command("dataset", "show", "rows")["versions"][0]["report"]
    assert report["rows_kept"] == 1000
    assert report["bad_rows"]["total"] == 1

    small = [word for pair in ("hidden_size=16", "ngrams=false", "dropout=0.0", "average=0.0", "rate=0.01") for word in ("--set", pair)]
    options = ["--epochs", "2", "--precision", "fp32", "--batch-tokens", "2048", *small]
    job = command("train", "--dataset", "rows", "--model", "gru", "--name", "mood", *options)
    assert job["result"]["version"] == 1
    version = hanlin.models.resolve("mood")
    assert version.state == "published"
    assert version.certificates[0].is_passed
    assert version.metrics["accuracy"] > 0.8, "words alone decide the label"
    assert hanlin.models.picture("mood", 1, "confusion").lstrip().startswith(b"<")

    command("model", "promote", "mood", "production")
    assert command("deploy", "mood@production", "--endpoint", "mood")["state"] == "ready"
    assert command("predict", "mood", "a lovely great film")[0]["label"] == "positive"
    command("predict", "nowhere", "text", status=4)
    command("predict", "mood", "", status=2)
    folder = tmp_path / "export"
    command("model", "export", "mood", str(folder))
    assert json.loads((folder / "config.json").read_text())["model_type"].startswith("hanlin-")
    assert "混淆矩阵" in (folder / "pictures" / "confusion.zh.svg").read_text(encoding="utf-8")
    copied = command("model", "import", "copy", str(folder), "--rows", "rows")["result"]
    assert copied["state"] == "published"
    assert copied["metrics"]["accuracy"] == job["result"]["metrics"]["accuracy"]
    again = tmp_path / "again"
    command("model", "export", "copy", str(again))
    for name in ("config.json", "hanlin.json", "model.safetensors", "tokenizer.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name

    one = hanlin.classify("mood", "an awful dull meal")
    assert one.label == "negative"
    assert sum(one.by_label().values()) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.classify("mood", ["fine", "fine", ""])
    assert caught.value.params["index"] == 2
    assert asyncio.run(many(hanlin.url, 200)) == {"positive", "negative"}
    command("model", "demote", "mood", "production")
    assert hanlin.models.get("mood").aliases == {}
    command("model", "demote", "mood", "production", status=4)
    assert hanlin.classify("mood", "an awful dull meal").label == "negative", "what was deployed by the alias goes on"
    command("undeploy", "mood")
    with pytest.raises(errors.NotFound):
        hanlin.classify("mood", "fine")


async def many(url: str, count: int) -> set[str]:
    async with AsyncHanlin(url) as client:
        texts = [row["text"] for row in rows(count)]
        return {answer.label for answer in await asyncio.gather(*(client.classify("mood", text) for text in texts))}


def test_keys_end_at_once(command: Callable[..., Any], hanlin: Hanlin) -> None:
    key = command("key", "create", "--name", "reader", "--scope", "read")
    with Hanlin(hanlin.url, key["secret"]) as reader:
        assert isinstance(reader.models.list(), list)
        with pytest.raises(errors.PermissionDenied):
            reader.keys.list()
        command("key", "revoke", key["id"])
        deadline = time.monotonic() + 10
        with pytest.raises(errors.Unauthenticated):
            while time.monotonic() < deadline:
                reader.models.list()
                time.sleep(0.1)


def test_an_upload_resumes_in_the_middle(hanlin: Hanlin, tmp_path: Path) -> None:
    from hanlin.client import calls, files

    file = tmp_path / "large"
    file.write_bytes(os.urandom(files.PIECE_BYTES + 4321))
    digest, size = files.digest_file(file)
    begun = hanlin._core.call(calls.put_blob(digest, file.read_bytes()[:1_000_000], offset=0, total=size))
    assert begun.status == 308
    seen: list[int] = []
    (sent,) = hanlin.blobs.upload(file, on_bytes=lambda done, _: seen.append(done))
    assert seen[0] == 1_000_000
    hanlin.blobs.download(sent, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


def test_a_wrong_dataset_is_refused_when_the_job_is_submitted(command: Callable[..., Any]) -> None:
    answer = command("train", "--dataset", "no-such-dataset", "--model", "lstm", "--name", "n", status=4)
    assert answer["error"]["family"] == "NotFound"
    answer = command("train", "--dataset", "no-such-dataset", "--model", "lstm", "--name", "No Name", status=2)
    assert answer["error"]["family"] == "InvalidInput"
