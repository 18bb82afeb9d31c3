"""`hanlin batch` on a real server: kill -9 of the job, a worker and the server; poison; cancel; the end of its time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hanlin.client import Hanlin, Job
from hanlin.client.batches import BatchOptions
from hanlin.errors import Cancelled, DeadlineExceeded

pytestmark = pytest.mark.e2e
ROWS = 20_000
EMPTY = 1000  # each so-manyth row is empty, and fails


@pytest.fixture(scope="module")
def server(make_server, publish_fakes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    home = tmp_path_factory.mktemp("batch") / "home"
    publish_fakes(home, {"row_ms": 0.4, "crash_token": 12})
    found = make_server(home).start()
    with found.client() as client:
        client.deployments.wait(client.deployments.create("m:1", "calm"), timeout=120)
    yield found
    found.stop()


def write(path: Path, rows: int) -> Path:
    lines = (f"{'' if number % EMPTY == 7 else f'w{number % 10} w{number // 10 % 10} w{number % 7}'},{number}\n" for number in range(rows))
    path.write_text("text,id\n" + "".join(lines))
    return path


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kill_job(server, job: Job) -> bool:
    for process in server.tree():
        with contextlib.suppress(psutil.Error):
            if job.id in " ".join(process.cmdline()):
                process.kill()
                return True
    return False


def kill_worker(server, _: Job) -> bool:
    os.kill(server.find("hanlin worker").pid, signal.SIGKILL)
    return True


def kill_server(server, _: Job) -> bool:
    server.kill()
    server.start()
    return True


def reach(server, job: Job, share: float) -> bool:
    """Waits until the job is so far; False when it has ended."""
    with server.client() as client:
        while not (found := client.jobs.get(job.id)).has_ended:
            if found.progress is not None and found.progress.step >= max(1, share * ROWS):
                return True
            time.sleep(0.05)
    return False


def check(client: Hanlin, job: Job, rows: int, folder: Path) -> None:
    """Every row once, in order, its own answer; the counts are those of the files."""
    output, errors = folder / "out.jsonl", folder / "errors.jsonl"
    assert client.batches.fetch(job, output) and client.batches.fetch(job, errors, errors=True)
    good, bad = read(output), read(errors)
    assert job.result["total"] == rows
    assert (job.result["completed"], job.result["failed"]) == (len(good), len(bad))
    empty = [number + 1 for number in range(rows) if number % EMPTY == 7]
    assert [row["row"] for row in bad] == empty
    assert [row["row"] for row in good] == sorted(set(range(1, rows + 1)) - set(empty))
    assert all(row["id"] == str(row["row"] - 1) for row in [*good, *bad])  # type: ignore[operator]
    texts = [f"w{number} w{number} w{number % 7}" for number in range(10)]
    for text, told in zip(texts, client.classify("calm", texts), strict=True):
        number = next(n for n in range(ROWS) if f"w{n % 10} w{n // 10 % 10} w{n % 7}" == text and n % EMPTY != 7)
        row = next(row for row in good if row["row"] == number + 1)
        assert {item["label"]: item["score"] for item in row["result"]} == pytest.approx(told.by_label(), abs=1e-6)  # type: ignore[attr-defined]


def test_a_batch_outlives_kills_of_its_job_a_worker_and_the_server(server, tmp_path: Path) -> None:
    kills: list[Callable[[object, Job], bool]] = [kill_job, kill_worker, kill_server, kill_job, kill_worker]
    with server.client() as client:
        options = BatchOptions(id="id", parameters={"top_k": 2})
        job = client.batches.submit("calm", write(tmp_path / "in.csv", ROWS), options)
    done = 0
    for number, kill in enumerate(kills):
        if reach(server, job, 0.05 + 0.15 * number):
            done += kill(server, job)
    assert done >= 4
    with server.client() as client:
        job = client.jobs.wait(job.id, timeout=300)
        assert job.attempt >= 3
        check(client, job, ROWS, tmp_path)
        assert not [key.name for key in client.keys.list() if key.name.startswith("batch-")]
    deadline = time.monotonic() + 60
    while (server.home / "jobs" / job.id).exists():  # the disk is freed
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_row_that_kills_its_worker_fails_alone(server, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": "w1 wrong" if number == 30 else f"w{number % 10}"}) + "\n" for number in range(100)))
    with server.client() as client:
        job = client.jobs.wait(client.batches.submit("calm", path).id, timeout=300)
        assert (job.result["completed"], job.result["failed"]) == (99, 1)
        client.batches.fetch(job, tmp_path / "errors.jsonl", errors=True)
    assert [(row["row"], row["error"]["code"]) for row in read(tmp_path / "errors.jsonl")] == [(31, "poison_input")]


def test_a_cancelled_batch_keeps_what_was_done(server, tmp_path: Path) -> None:
    with server.client() as client:
        job = client.batches.submit("calm", write(tmp_path / "in.csv", 10 * ROWS), BatchOptions(id="id"))
        assert reach(server, job, 0.01)
        client.jobs.cancel(job.id)
        with pytest.raises(Cancelled):
            client.jobs.wait(job.id, timeout=60)
        job = client.jobs.get(job.id)
        assert 0 < job.result["completed"] < 10 * ROWS
        client.batches.fetch(job, tmp_path / "out.jsonl")
        assert len(read(tmp_path / "out.jsonl")) == job.result["completed"]


def test_a_batch_ends_with_its_time(server, tmp_path: Path) -> None:
    with server.client() as client:
        job = client.batches.submit("calm", write(tmp_path / "in.csv", 10 * ROWS), BatchOptions(window_s=4))
        with pytest.raises(DeadlineExceeded) as caught:
            client.jobs.wait(job.id, timeout=60)
        assert caught.value.code == "batch_expired"
        assert client.jobs.get(job.id).result["completed"] < 10 * ROWS
