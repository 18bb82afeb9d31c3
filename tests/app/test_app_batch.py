"""`hanlin batch` on a real server: kill -9 of the job, a worker and the server; poison; cancel; the end of its time."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hanlin.client import Hanlin, Job
from hanlin.client.batches import BatchOptions
from hanlin.errors import Cancelled, DeadlineExceeded

pytestmark = pytest.mark.e2e
ROWS = 5000
LONG = 20_000  # more than are answered before it is ended
BENCH = Path(__file__).parents[2] / "bench" / "batch_kills.py"
EMPTY = 1000  # each so-manyth row is empty, and fails


@pytest.fixture(scope="module")
def server(mortal, publish_fakes):
    publish_fakes(mortal.home, {"row_ms": 1.6, "crash_token": 12}, name="batched")
    with mortal.client() as client:
        client.deployments.wait(client.deployments.create("batched:1", "calm"), timeout=120)
    return mortal


def write(path: Path, rows: int) -> Path:
    with path.open("w") as stream:
        stream.write("text,id\n")
        stream.writelines(f"{text_of(number)},{number}\n" for number in range(rows))
    return path


def read(path: Path) -> list[dict]:
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


def text_of(number: int) -> str:
    return "" if number % EMPTY == 7 else f"w{number % 10} w{number // 10 % 10} w{number % 7}"


def check(client: Hanlin, job: Job, rows: int, folder: Path) -> None:
    """Every row once, in order, with its own answer; the counts are those of the files."""
    output, errors = folder / "out.jsonl", folder / "errors.jsonl"
    assert client.batches.fetch(job, output) and client.batches.fetch(job, errors, errors=True)
    texts = sorted({text_of(number) for number in range(7000)} - {""})
    right = dict(zip(texts, (told.by_label() for told in client.classify("calm", texts[:200])), strict=False))
    numbers, compared = (number for number in range(rows) if text_of(number)), 0
    with output.open() as stream:
        for line, number in zip(stream, numbers, strict=True):
            row = json.loads(line)
            assert (row["row"], row["id"]) == (number + 1, str(number))
            if (scores := right.get(text_of(number))) is not None:
                assert {item["label"]: item["score"] for item in row["result"]} == pytest.approx(scores, abs=1e-6)
                compared += 1
    assert compared > rows // 10
    bad = read(errors)
    assert [(row["row"], row["error"]["code"]) for row in bad] == [(number + 1, "empty_text") for number in range(7, rows, EMPTY)]
    assert (job.result["total"], job.result["completed"], job.result["failed"]) == (rows, rows - len(bad), len(bad))


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
        job = client.batches.submit("calm", write(tmp_path / "in.csv", LONG), BatchOptions(id="id"))
        assert reach(server, job, 0.01)
        client.jobs.cancel(job.id)
        with pytest.raises(Cancelled):
            client.jobs.wait(job.id, timeout=60)
        job = client.jobs.get(job.id)
        assert 0 < job.result["completed"] < LONG
        client.batches.fetch(job, tmp_path / "out.jsonl")
        assert len(read(tmp_path / "out.jsonl")) == job.result["completed"]


def test_a_batch_ends_with_its_time(server, tmp_path: Path) -> None:
    with server.client() as client:
        job = client.batches.submit("calm", write(tmp_path / "in.csv", LONG), BatchOptions(window_s=4))
        with pytest.raises(DeadlineExceeded) as caught:
            client.jobs.wait(job.id, timeout=60)
        assert caught.value.code == "batch_expired"
        assert client.jobs.get(job.id).result["completed"] < LONG


def test_the_command_writes_results_and_errors_where_it_is_told(server, tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", 100)
    environ = {**os.environ, "HANLIN_URL": server.url, "HANLIN_KEY": server.key, "HANLIN_LANG": "zh"}
    command = [sys.executable, "-m", "hanlin", "batch", "calm", str(path), "--text", "text", "--id", "id", "--out", str(tmp_path / "a.csv")]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *options], env=environ, check=False, capture_output=True, text=True)

    done = run("--set", "top_k=1")
    assert (done.returncode, "共 100 行：成功 99，失败 1" in done.stdout) == (1, True), done.stderr
    with (tmp_path / "a.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["id"] for row in table] == [str(number) for number in range(100) if number != 7]
    assert {row["label"] for row in table} <= {"calm", "storm"}
    assert "文本为空" in read(tmp_path / "in.errors.jsonl")[0]["error"]["message"]
    refused = run("--json")
    assert refused.returncode == 4
    assert "batch_file_exists" in refused.stdout + refused.stderr
    told = run("--json", "--overwrite")
    assert json.loads(told.stdout)["result"]["completed"] == 99
    command[4] = "none-such"
    unknown = run("--json", "--overwrite")
    assert unknown.returncode
    assert "endpoint_not_found" in unknown.stdout + unknown.stderr


def test_the_same_batch_again_follows_the_first(server, tmp_path: Path) -> None:
    with server.client() as client:
        path = write(tmp_path / "in.csv", LONG)
        one = client.batches.submit("calm", path, BatchOptions(id="id"))
        assert client.batches.submit("calm", path, BatchOptions(id="id"), follow=True).id == one.id
        other = client.batches.submit("calm", path, BatchOptions(id="id", parameters={"top_k": 1}), follow=True)
        assert other.id != one.id
        for job in (one, other):
            client.jobs.cancel(job.id)
            with pytest.raises(Cancelled):
                client.jobs.wait(job.id, timeout=60)
        again = client.batches.submit("calm", path, BatchOptions(id="id"), follow=True)
        assert again.id not in {one.id, other.id}
        client.jobs.cancel(again.id)


def test_what_a_batch_made_is_fetched_later_too(server, tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", 100)
    environ = {**os.environ, "HANLIN_URL": server.url, "HANLIN_KEY": server.key, "HANLIN_LANG": "en"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        hanlin = [sys.executable, "-m", "hanlin", *command]
        return subprocess.run(hanlin, env=environ, cwd=tmp_path, check=False, capture_output=True, text=True)

    queued = run("batch", "calm", str(path), "--no-wait")
    (job,) = re.findall(r"hanlin job results (job_[a-z0-9]+)", queued.stdout)
    shown = run("job", "results", job)
    assert "100 rows: 99 answered, 1 failed" in shown.stdout, shown.stderr
    assert (len(read(tmp_path / "in.results.jsonl")), len(read(tmp_path / "in.errors.jsonl"))) == (99, 1)
    with server.client() as client:
        other = client.datasets.add("rows", write(tmp_path / "rows.csv", 9), task="text-classification")
    refused = run("job", "results", other.id)
    assert refused.returncode
    assert "is no batch" in refused.stderr


@pytest.mark.soak
def test_a_million_rows_through_the_command_with_a_kill_every_minute(tmp_path: Path) -> None:
    """`bench/batch_kills.py`: an LSTM of ours; gateway, worker, job, server and runner in turn; every row once, in order, memory flat."""
    command = [sys.executable, str(BENCH), "--home", str(tmp_path / "home"), "--rows", "1000000", "--every", "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * 3600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["answered"], told["failed"], told["wrong"]) == (999_000, 1000, 0)
    assert len(set(told["killed"])) >= 3
