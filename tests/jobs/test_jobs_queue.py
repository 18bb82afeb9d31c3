"""The queue: one runner a job, leases that move on, cancel in every state, one job an idempotency key, turns for teams."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import datetime, timedelta

import pytest

from hanlin.errors import Cancelled, Conflict, Internal, InvalidInput, NotFound
from hanlin.jobs import Job, JobQueue
from hanlin.messages.said import Said
from hanlin.storage.database import Database
from hanlin.storage.tables import TeamRow
from hanlin.types import JsonObject, TeamId, utc_now

TEAM, OTHER = TeamId("default"), TeamId("other")
LEASE_S = 15.0


class Clock:
    """Moves by hand."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(database: Database, clock: Clock) -> JobQueue:
    with database.write() as session:
        session.add(TeamRow(team_id=OTHER, name="other", is_active=True, created_at=utc_now()))
    return JobQueue(database, clock=clock)


def claim(queue: JobQueue, runner: str = "runner") -> Job:
    job = queue.claim(runner, ["heavy", "light"], LEASE_S)
    assert job is not None
    return job


def last_event(queue: JobQueue, job: Job) -> JsonObject:
    return queue.events(job.team_id, job.id)[-1].data


def test_the_way_of_a_job(queue: JobQueue) -> None:
    job = queue.submit(TEAM, "train", {"model": "lstm"})
    assert job.id.startswith("job_")
    assert len(job.id) == 24
    assert (job.state, job.attempt) == ("queued", 0)
    held = claim(queue)
    assert (held.id, held.state, held.attempt) == (job.id, "running", 1)
    assert queue.claim("other", ["heavy"], LEASE_S) is None
    queue.report(held, step=1, total=10, metrics={"loss": 0.5, "bad": float("nan")}, messages=[Said("training_resumed", {"step": 1})])
    done = queue.finish(held, {"version": 1})
    assert (done.state, done.result, done.progress.step, done.message_in("zh")) == ("succeeded", {"version": 1}, 1, "从第 1 步继续")
    assert done.progress.metrics == {"loss": 0.5, "bad": None}
    events = queue.events(TEAM, job.id)
    assert [(event.number, event.kind) for event in events] == [(1, "progress"), (2, "message"), (3, "end")]
    assert events[-1].data == {"state": "succeeded"}
    assert queue.events(TEAM, job.id, after=2) == events[2:]
    assert queue.list(TEAM, state="succeeded") == [done]
    assert queue.list(TEAM, state="queued") == []


def test_what_runs_is_listed_first_then_the_newest(queue: JobQueue) -> None:
    jobs = {queue.submit(TEAM, "train", {"model": name}).id for name in ("lstm", "gru", "rnn")}
    held = claim(queue)
    newer = queue.submit(TEAM, "train", {"model": "transformer"})
    assert queue.list(TEAM, limit=1)[0].id == held.id
    found = [job.id for job in queue.list(TEAM)]
    assert (found[0], set(found)) == (held.id, {*jobs, newer.id})
    waiting = [job for job in queue.list(TEAM) if job.state == "queued"]
    assert waiting == sorted(waiting, key=lambda job: (job.created_at, job.id), reverse=True)


def test_lanes(queue: JobQueue) -> None:
    queue.submit(TEAM, "train", {}, lane="heavy")
    light = queue.submit(TEAM, "ingest", {}, lane="light")
    held = queue.claim("r", ["light"], LEASE_S)
    assert held is not None
    assert held.id == light.id
    assert queue.claim("r", ["light"], LEASE_S) is None
    assert queue.claim("r", [], LEASE_S) is None


def test_a_lost_lease_is_taken_over_and_fenced(queue: JobQueue, clock: Clock) -> None:
    queue.submit(TEAM, "train", {})
    old = claim(queue, "a")
    clock.move(LEASE_S - 1)
    old = queue.renew(old, LEASE_S)
    clock.move(LEASE_S - 1)
    assert queue.claim("b", ["heavy"], LEASE_S) is None
    clock.move(2)
    new = claim(queue, "b")
    assert (new.id, new.attempt) == (old.id, 2)
    for call in (
        lambda: queue.finish(old, {}),
        lambda: queue.fail(old, Internal("internal")),
        lambda: queue.renew(old, LEASE_S),
        lambda: queue.report(old, step=1, total=2, metrics={}),
        lambda: queue.message(old, Said("variants_loaded")),
    ):
        with pytest.raises(Conflict) as caught:
            call()
        assert caught.value.code == "lease_lost"
    assert queue.release(old).state == "running"  # nothing happens
    assert queue.end_cancelled(old).state == "running"
    queue.finish(new, {"by": "b"})
    with pytest.raises(Conflict):
        queue.finish(new, {"by": "b again"})
    assert queue.get(TEAM, new.id).result == {"by": "b"}


def test_the_same_runner_is_fenced_by_the_attempt(queue: JobQueue, clock: Clock) -> None:
    queue.submit(TEAM, "train", {})
    old = claim(queue, "a")
    clock.move(LEASE_S + 1)
    new = claim(queue, "a")
    with pytest.raises(Conflict):
        queue.finish(old, {})
    queue.finish(new, {})


def test_a_job_that_always_dies_fails_in_the_end(queue: JobQueue) -> None:
    job = queue.submit(TEAM, "train", {})
    for attempt in range(1, 6):
        held = claim(queue)
        assert held.attempt == attempt
        job = queue.release(held)
    assert job.state == "failed"
    assert job.error is not None
    assert job.error["code"] == "job_attempts_exhausted"
    assert job.error["message_zh"]
    assert last_event(queue, job) == {"state": "failed"}


def test_cancel_in_every_state(queue: JobQueue, clock: Clock) -> None:
    queued = queue.submit(TEAM, "train", {})
    assert queue.cancel(TEAM, queued.id).state == "cancelled"
    assert queue.cancel(TEAM, queued.id).state == "cancelled"  # twice
    assert last_event(queue, queued) == {"state": "cancelled"}
    assert queue.claim("r", ["heavy"], LEASE_S) is None

    queue.submit(TEAM, "train", {})
    held = claim(queue)
    for _ in range(2):
        assert queue.cancel(TEAM, held.id).state == "running"
    assert queue.renew(held, LEASE_S).is_cancel_requested
    assert queue.is_cancel_requested(held.id)
    assert queue.end_cancelled(held).state == "cancelled"
    assert queue.end_cancelled(held).state == "cancelled"

    queue.submit(TEAM, "train", {})
    dying = claim(queue)
    queue.cancel(TEAM, dying.id)
    assert queue.release(dying).state == "cancelled"  # its process died: it is not begun again

    queue.submit(TEAM, "train", {})
    silent = claim(queue)
    queue.cancel(TEAM, silent.id)
    clock.move(LEASE_S + 1)
    assert queue.claim("r", ["heavy"], LEASE_S) is None
    assert queue.get(TEAM, silent.id).state == "cancelled"

    queue.submit(TEAM, "train", {})
    late = claim(queue)
    queue.cancel(TEAM, late.id)
    assert queue.finish(late, {"done": True}).state == "succeeded"  # it was faster
    assert queue.cancel(TEAM, late.id).state == "succeeded"

    queue.submit(TEAM, "train", {})
    own = claim(queue)
    assert queue.fail(own, Cancelled("job_cancelled")).state == "cancelled"
    assert [event.kind for event in queue.events(TEAM, own.id)] == ["end"]


def test_an_error_is_kept_in_both_languages(queue: JobQueue) -> None:
    queue.submit(TEAM, "train", {})
    failed = queue.fail(claim(queue), Internal("job_attempts_exhausted", attempts=5))
    english, chinese = failed.error_in("en"), failed.error_in("zh")
    assert english is not None
    assert chinese is not None
    assert english.keys() == chinese.keys()
    assert english["code"] == chinese["code"] == "job_attempts_exhausted"
    assert "5" in str(english["message"])
    assert "5 次" in str(chinese["message"])
    assert english["next"] != chinese["next"]
    assert queue.submit(TEAM, "train", {}).error_in("zh") is None


def test_one_job_an_idempotency_key(queue: JobQueue) -> None:
    first = queue.submit(TEAM, "train", {"a": 1, "b": 2}, idempotency_key="k")
    assert queue.submit(TEAM, "train", {"b": 2, "a": 1}, idempotency_key="k") == first
    with pytest.raises(Conflict) as caught:
        queue.submit(TEAM, "train", {"a": 2}, idempotency_key="k")
    assert caught.value.code == "idempotency_conflict"
    assert queue.submit(OTHER, "train", {"a": 2}, idempotency_key="k").team_id == OTHER
    claim(queue)
    assert queue.submit(TEAM, "train", {"a": 1, "b": 2}, idempotency_key="k").id == first.id
    for bad in ("", "x" * 201, "a b", "é", "a\n"):
        with pytest.raises(InvalidInput):
            queue.submit(TEAM, "train", {}, idempotency_key=bad)


def test_one_job_for_a_hundred_threads(queue: JobQueue) -> None:
    found: list[str] = []
    barrier = threading.Barrier(10)

    def work() -> None:
        barrier.wait()
        for _ in range(10):
            found.append(queue.submit(TEAM, "train", {"a": 1}, idempotency_key="k").id)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 100
    assert len(set(found)) == 1
    assert len(queue.list(TEAM)) == 1


CLAIMER = """
import sys
from hanlin.jobs import JobQueue
from hanlin.messages.said import Said
from hanlin.storage.database import Database
queue = JobQueue(Database(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while job := queue.claim(sys.argv[2], ["heavy"], 60):
    queue.finish(job, {})
    print(job.id)
"""


def test_many_runners_claim_each_job_once(queue: JobQueue, database_url: str) -> None:
    jobs = {queue.submit(TEAM, "train", {"n": number}).id for number in range(40)}
    command = [sys.executable, "-c", CLAIMER, database_url]
    children = [subprocess.Popen([*command, f"r{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for number in range(3)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    said = [line for child in children for line in child.communicate("\n")[0].split()]
    assert sorted(said) == sorted(jobs)
    assert all(job.attempt == 1 for job in queue.list(TEAM))


def test_teams_take_turns(queue: JobQueue, clock: Clock) -> None:
    """C128."""
    for _ in range(20):
        queue.submit(TEAM, "train", {})
    queue.finish(claim(queue), {})
    clock.move(1)
    lone = queue.submit(OTHER, "train", {})
    assert claim(queue).id == lone.id


def test_jobs_of_other_teams_are_unknown(queue: JobQueue) -> None:
    job = queue.submit(TEAM, "train", {})
    for call in (lambda: queue.get(OTHER, job.id), lambda: queue.cancel(OTHER, job.id), lambda: queue.events(OTHER, job.id)):
        with pytest.raises(NotFound):
            call()
    assert queue.list(OTHER) == []
    assert queue.get_any(job.id) == job
