"""Progress as a running job writes it: once a second, deaf to a full disk, awake to a cancel."""

from __future__ import annotations

import pytest

from hanlin.errors import Cancelled, NotReady
from hanlin.jobs import Job, JobQueue, ProgressWriter
from hanlin.storage.database import Database
from hanlin.types import TeamId

TEAM = TeamId("default")
LEASE_S = 15.0


@pytest.fixture
def queue(database: Database) -> JobQueue:
    return JobQueue(database)


def claim(queue: JobQueue) -> Job:
    job = queue.claim("runner", ["heavy"], LEASE_S)
    assert job is not None
    return job


class Seconds:
    """A monotonic clock that moves by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_progress_is_written_once_a_second(queue: JobQueue) -> None:
    queue.submit(TEAM, "train", {})
    held, seconds = claim(queue), Seconds()
    with ProgressWriter(queue, held, clock=seconds) as progress:
        for step in range(1000):
            seconds.now = step / 100  # ten seconds of a hundred steps
            progress.report(step, 1000, {"loss": float(step)} | ({"accuracy": 0.5} if step == 150 else {}))
            if step in {10, 20}:
                progress.message("training_resumed", step=step)
    events = queue.events(TEAM, held.id)
    steps = [event for event in events if event.kind == "progress"]
    assert 10 <= len(steps) <= 11
    assert steps[-1].data["step"] == 999
    assert sum("accuracy" in str(event.data) for event in steps) == 1  # a rare metric is not lost between two writes
    said = [event for event in events if event.kind == "message"]
    assert [event.data for event in said] == [{"code": "training_resumed", "params": {"step": step}} for step in (10, 20)]
    assert [event.data_in("en")["message"] for event in said] == ["resumed at step 10", "resumed at step 20"]
    assert [event.data_in("zh")["message"] for event in said] == ["从第 10 步继续", "从第 20 步继续"]
    assert queue.get(TEAM, held.id).progress.metrics == {"loss": 999.0, "accuracy": 0.5}


def test_a_line_is_written_before_what_it_tells_of_has_ended(queue: JobQueue) -> None:
    queue.submit(TEAM, "compress", {})
    held, seconds = claim(queue), Seconds()
    with ProgressWriter(queue, held, clock=seconds) as progress:
        progress.report(1, 5, {})
        progress.message("variants_loaded")  # in the second of the step, and the next step takes minutes
        assert [event.kind for event in queue.events(TEAM, held.id)][-2:] == ["progress", "message"]


def test_progress_sees_the_cancel(queue: JobQueue) -> None:
    queue.submit(TEAM, "train", {})
    held, seconds = claim(queue), Seconds()
    progress = ProgressWriter(queue, held, clock=seconds)
    progress.check_cancelled()
    queue.cancel(TEAM, held.id)
    progress.check_cancelled()  # not asked again within the second
    seconds.now = 1.0
    for _ in range(2):
        with pytest.raises(Cancelled):
            progress.check_cancelled()


def test_a_full_disk_does_not_end_the_training(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.submit(TEAM, "train", {})
    held, seconds = claim(queue), Seconds()
    progress = ProgressWriter(queue, held, clock=seconds)
    report = queue.report

    def fail(*_: object, **__: object) -> None:
        raise NotReady("storage_full")

    monkeypatch.setattr(queue, "report", fail)
    progress.report(1, 10, {"loss": 1.0})
    monkeypatch.setattr(queue, "report", report)
    progress.report(2, 10, {"accuracy": 0.5})
    assert queue.events(TEAM, held.id) == []
    seconds.now = 1.5
    progress.report(3, 10, {})
    assert queue.get(TEAM, held.id).progress.metrics == {"loss": 1.0, "accuracy": 0.5}
