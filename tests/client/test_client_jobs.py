"""Following jobs across broken streams and server restarts; uploads that resume; downloads that verify."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from hanlin import errors
from hanlin.client import AsyncHanlin, Hanlin, Job, files
from hanlin.client.flows import Policy
from hanlin.client.job_flows import follow
from hanlin.client.sse import EventParser
from hanlin.client.steps import Broken, Read, Reply, Send, Sleep


def test_stream_shows_every_event_once_although_it_breaks(hanlin, world) -> None:
    world.stream_cuts = 2
    job = hanlin.jobs.submit("train", {})
    events = list(hanlin.jobs.stream(job.id))
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]
    assert events[0].message == "第一行\n\ndata: 二"
    assert events[-1].metrics["loss"] == pytest.approx(0.2)
    resumed = [headers["last-event-id"] for _, path, headers in world.requests if path.endswith("/events") and "last-event-id" in headers]
    assert resumed == ["2", "4"]


def test_a_stream_that_ends_with_an_error_event_is_followed_at_another_gateway(hanlin, world) -> None:
    world.stream_cuts, world.stops_cleanly = 2, True
    events = list(hanlin.jobs.stream(hanlin.jobs.submit("train", {}).id))
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]


def test_wait_returns_the_result_and_calls_back(hanlin) -> None:
    seen = []
    job = hanlin.jobs.wait(hanlin.jobs.submit("train", {}).id, on_event=seen.append)
    assert job.result == {"ok": True}
    assert len(seen) == 6


def test_wait_raises_the_jobs_own_error(hanlin, world) -> None:
    world.job_end = {
        "state": "failed",
        "error": {"code": "diverged", "family": "InvalidInput", "message": "the loss became NaN", "next": "Use a smaller rate."},
    }
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.jobs.wait(hanlin.jobs.submit("train", {}).id)
    assert (caught.value.code, caught.value.next_step) == ("diverged", "Use a smaller rate.")
    world.job_end = {"state": "failed", "error": None}
    with pytest.raises(errors.EngineFailed) as caught:
        hanlin.jobs.wait(hanlin.jobs.submit("train", {}).id)
    assert caught.value.code == "job_ended_badly"


def test_wait_gives_up_in_time_and_the_job_goes_on(hanlin, world) -> None:
    world.hold_jobs = True
    job = hanlin.jobs.submit("train", {})
    with pytest.raises(errors.DeadlineExceeded) as caught:
        hanlin.jobs.wait(job.id, timeout=0.3)
    assert caught.value.code == "wait_too_long"
    assert hanlin.jobs.get(job.id).state == "queued"


def test_wait_survives_a_restart_of_the_server(standin) -> None:
    first = standin.World(hold_jobs=True, job_end={"state": "running"})
    second = standin.World(jobs=first.jobs)
    results: list[Job] = []
    started = threading.Event()
    with standin.serve(first):
        client = Hanlin(first.url, standin.KEY)
        job = client.jobs.submit("train", {})
        waiter = threading.Thread(target=lambda: results.append(client.jobs.wait(job.id, on_event=lambda _: started.set())))
        waiter.start()
        assert started.wait(10)
    with client, standin.serve(second, int(first.url.rpartition(":")[2])):
        waiter.join(20)
    assert [job.state for job in results] == ["succeeded"]


async def test_async_stream_and_wait(world, standin) -> None:
    world.stream_cuts = 1
    async with AsyncHanlin(world.url, standin.KEY) as client:
        job = await client.jobs.submit("train", {})
        assert [event.seq async for event in client.jobs.stream(job.id)] == [1, 2, 3, 4, 5, 6]
        assert (await client.jobs.wait(job.id)).has_ended


def test_an_unknown_job(hanlin) -> None:
    with pytest.raises(errors.NotFound):
        hanlin.jobs.wait("no-such-job")
    assert hanlin.jobs.list() == []


def test_upload_sends_a_folder_once(hanlin, world, tmp_path: Path) -> None:
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "a.txt").write_text("甲", encoding="utf-8")
    (tmp_path / "data" / "sub" / "b.txt").write_bytes(b"")
    (tmp_path / "data" / ".hidden").write_text("secret")
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "outside")
    sent = hanlin.blobs.upload(tmp_path / "data")
    assert [file.path for file in sent] == ["a.txt", "sub/b.txt"]
    assert set(world.blobs.values()) == {"甲".encode(), b""}
    before = len(world.paths("PUT"))
    assert hanlin.blobs.upload(tmp_path / "data") == sent
    assert len(world.paths("PUT")) == before, "what the server has is not sent again"


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(files.PIECE_BYTES * 2 + 12_345))
    return path


def test_upload_goes_in_pieces_and_reports(hanlin, world, large: Path) -> None:
    seen: list[tuple[int, int]] = []
    hanlin.blobs.upload(large, on_bytes=lambda done, total: seen.append((done, total)))
    assert len(world.paths("PUT")) == 3
    assert seen[-1] == (large.stat().st_size, large.stat().st_size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_upload_resumes_where_the_server_stands(hanlin, world, large: Path) -> None:
    digest = hashlib.sha256(large.read_bytes()).hexdigest()
    world.partial[digest] = large.read_bytes()[:1_000_000]
    world.truncate_put_to = 500_000  # the server keeps half a piece, too
    world.faults = ["", "503", "cut"]
    hanlin.blobs.upload(large)
    assert world.blobs[digest] == large.read_bytes()
    starts = [headers["content-range"].split()[1].split("-")[0] for method, _, headers in world.requests if method == "PUT"]
    assert starts[0] == "1000000"
    assert "1500000" in starts


def test_upload_follows_the_server_after_a_conflict(hanlin, world, large: Path, monkeypatch) -> None:
    from hanlin.client import transfer

    digest = hashlib.sha256(large.read_bytes()).hexdigest()
    world.partial[digest] = large.read_bytes()[:777]
    asked = []

    def stale(file: object, policy: object):
        asked.append(1)
        return 0 if len(asked) == 1 else (yield from real(file, policy))

    real = transfer._offset
    monkeypatch.setattr(transfer, "_offset", stale)
    hanlin.blobs.upload(large)
    assert world.blobs[digest] == large.read_bytes()


def test_missing_and_empty_sources(hanlin, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.blobs.upload(tmp_path / "nothing")
    assert caught.value.code == "file_missing"
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.blobs.upload(tmp_path / "empty")
    assert caught.value.code == "folder_empty"


async def test_async_upload(world, standin, large: Path) -> None:
    async with AsyncHanlin(world.url, standin.KEY) as client:
        job = await client.datasets.add("reviews-zh", large, task="text-classification", options={"encoding": "gbk"})
    config = world.jobs[job.id]["config"]
    assert config["options"] == {"encoding": "gbk"}
    assert config["files"][0]["sha256"] in world.blobs


def test_download_is_verified_and_whole(hanlin, world, standin, tmp_path: Path) -> None:
    (file,) = hanlin.models.files("sentiment-zh", 1)
    target = tmp_path / "out" / file.path
    hanlin.blobs.download(file, target)
    assert target.read_bytes() == standin.FILE
    world.blobs[file.sha256] = b"X" + standin.FILE[1:]
    hanlin.blobs.download(file, target)  # right already: nothing is fetched
    target.unlink()
    with pytest.raises(errors.DataCorrupt):
        hanlin.blobs.download(file, target)
    assert list(target.parent.iterdir()) == [], "nothing half is left behind"


EVENTS = "event: message\nid: 7\ndata: 一\ndata:\ndata: data: x\n\n: beat\n\r\nevent: end\rdata: {}\r\rdata: left over"


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_events_survive_any_cut_of_bytes(size: int, newline: str) -> None:
    raw = EVENTS.replace("\r\n", "\n").replace("\r", "\n").replace("\n", newline).encode()
    parser = EventParser()
    found = [message for start in range(0, len(raw), size) for message in parser.feed(raw[start : start + size])]
    assert [(message.event, message.data, message.id) for message in found] == [("message", "一\n\ndata: x", "7"), ("end", "{}", "7")]


def test_an_endless_event_is_refused() -> None:
    parser = EventParser()
    with pytest.raises(errors.Internal):
        for _ in range(10):
            parser.feed(b"data: " + b"x" * 2**20)


def test_a_wrong_name_is_refused_before_a_byte_is_sent(hanlin, world, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n")
    for add in (hanlin.datasets.add, hanlin.models.add):
        with pytest.raises(errors.InvalidInput) as caught:
            add("A B", tmp_path / "a.csv", task="text-classification")
        assert caught.value.code == "invalid_name"
    assert world.requests == []


def test_a_folder_that_cannot_be_written_is_told(hanlin, world, tmp_path: Path) -> None:
    content = b"weights"
    digest = hashlib.sha256(content).hexdigest()
    world.blobs[digest] = content
    (tmp_path / "file").write_text("in the way")
    wanted = hanlin.models.files("mood", 1)[0].model_copy(update={"sha256": digest, "size_bytes": len(content)})
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.blobs.download(wanted, tmp_path / "file" / "below")
    assert caught.value.code == "file_unwritable"
    os.mkfifo(tmp_path / "device")  # a file in its place would be no device any more
    with pytest.raises(errors.InvalidInput) as caught:
        hanlin.blobs.download(wanted, tmp_path / "device")
    assert (caught.value.code, (tmp_path / "device").is_fifo()) == ("file_unwritable", True)


def test_delete_returns_once_the_endpoint_answers_no_more(hanlin, world) -> None:
    world.lingers = 2
    hanlin.endpoints.delete("sentiment")
    assert world.paths("GET").count("/models/sentiment") == 3
    with pytest.raises(errors.NotFound):
        hanlin.describe("sentiment")


def test_delete_gives_up_in_time_or_does_not_wait(hanlin, world) -> None:
    world.lingers = 1_000_000
    hanlin.endpoints.delete("sentiment", wait=False)
    assert "/models/sentiment" not in world.paths("GET")
    with pytest.raises(errors.DeadlineExceeded) as caught:
        hanlin.endpoints.delete("sentiment", timeout=0.2)
    assert caught.value.code == "undeploy_slow"


async def test_async_delete_waits_too(world, standin) -> None:
    world.lingers = 1
    async with AsyncHanlin(world.url, standin.KEY) as client:
        await client.endpoints.delete("sentiment")
    assert world.paths("GET").count("/models/sentiment") == 2


def test_a_server_too_busy_to_answer_in_time_does_not_end_the_waiting() -> None:
    job = {"id": "j", "kind": "train", "state": "succeeded", "created_at_s": 1.0, "result": {"ok": True}}
    slow = [Broken("cut"), Broken("timeout")]
    now_s, outcomes = [0.0], [*slow * 3, Broken("cut"), Reply(200, {"content-type": "application/json"}, json.dumps(job).encode())]
    flow = follow("j", Policy("http://x", patience_s=100, jitter=lambda: 0.5, clock=lambda: now_s[0]))
    step = next(flow)
    with pytest.raises(StopIteration) as ended:
        while True:
            now_s[0] += step.seconds if isinstance(step, Sleep) else 0.0
            step = flow.send(outcomes.pop(0) if isinstance(step, Send | Read) else None)
    assert ended.value.value.state == "succeeded"
    assert not outcomes
