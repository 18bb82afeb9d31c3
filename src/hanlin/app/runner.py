"""The job runner: claims jobs of each lane, gives each a process of its own, and answers for how it ends.

One heavy job (training, compression), one light job (import, certify, …), one that makes a dataset of files, which takes seconds, and two
batch jobs, which mostly wait for answers, run at a time, beside serving. The runner keeps the lease fresh, ends cancelled jobs within 10
s, and gives a job whose process died back to the queue.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from hanlin.app import housekeeping
from hanlin.app.job_process import JobProcess, JobStarter
from hanlin.app.wiring import open_platform
from hanlin.control import jobs, private_endpoints
from hanlin.control.platform import Platform
from hanlin.errors import Conflict, Internal, NotReady
from hanlin.jobs import Job
from hanlin.jobs.values import MAX_ATTEMPTS, Lane
from hanlin.settings import Settings
from hanlin.storage.durable import write_atomically
from hanlin.types import KeyId, Principal

# What runs at a time: places by name, each with its lane.
PLACES: dict[str, Lane] = {"heavy": "heavy", "light": "light", "data": "data", "batch": "batch", "batch 2": "batch"}
_TICK_S = 0.2
_LOOK_S = 2.0  # without news the queue is asked this often: leases run out silently
_CANCEL_GRACE_S = 5.0
MAX_LOG_BYTES = 16 * 2**20

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RunningJob:
    """A claimed job and its process. `stop_by_s` is set once it was asked to end."""

    job: Job
    process: JobProcess
    renew_at_s: float
    stop_by_s: float | None = None


class Runner:
    """Runs jobs of one home until `stop()`. All methods belong to the main thread."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.runner_id = f"runner-{uuid4().hex[:12]}"
        self.lease_s = platform.settings.job_lease_s
        self.running: dict[str, RunningJob] = {}  # by place
        self._starter = JobStarter(platform.settings)
        self._changes = platform.database.watch()
        self._look_at_s = 0.0
        self._is_stopping = False

    def stop(self) -> None:
        """Asks `run` to end; jobs in flight go back to the queue and resume from their checkpoints."""
        self._is_stopping = True

    def run(self) -> None:
        """Claims and watches until stopped."""
        while not self._is_stopping:
            try:
                self.tick(time.monotonic())
            except NotReady as error:  # a locked or full database: the leases hold for a while
                log.warning("the database is not ready", extra={"code": error.code, "details": error.details})
            except OSError as error:  # no room for a job's log or folder, no process to be had: its lease brings it back
                log.warning("the system refused", extra={"details": str(error)})
            time.sleep(_TICK_S)
        self._stop_all()

    def tick(self, now_s: float) -> None:
        """One turn: ends, renewals and cancels of running jobs, then a claim for every free lane; cheap when nothing is new."""
        if self._changes.has_news():
            self._look_at_s = now_s
        for place, running in list(self.running.items()):
            self._watch(place, running, now_s)
        self._starter.rest(now_s)
        if now_s < self._look_at_s:
            return
        for place, lane in PLACES.items():
            if place not in self.running and (job := self.platform.jobs.claim(self.runner_id, [lane], self.lease_s)) is not None:
                self.running[place] = self._start(job, now_s)
        self._look_at_s = now_s + _LOOK_S

    def _start(self, job: Job, now_s: float) -> RunningJob:
        log.info("job started", extra={"job": job.id, "kind": job.kind, "attempt": job.attempt})
        process = self._starter.start(job)
        path = self.platform.job_log(job.id)
        threading.Thread(target=_keep_log, args=(process.output, path), name=f"log {job.id}", daemon=True).start()
        return RunningJob(job, process, now_s + self.lease_s / 3)

    def _watch(self, place: str, running: RunningJob, now_s: float) -> None:
        if running.process.poll() is not None:
            status = running.process.kill()  # whatever the job left running goes with it
            del self.running[place]
            self._look_at_s = now_s  # its place is free
            self._settle(running, status)
            return
        if running.stop_by_s is not None:
            if now_s >= running.stop_by_s:
                running.process.kill()
            return
        if now_s >= running.renew_at_s:
            running.renew_at_s = now_s + self.lease_s / 3
            try:
                self.platform.jobs.renew(running.job, self.lease_s)
            except Conflict:  # taken over while we slept: ours must not go on
                running.stop_by_s = now_s
                return
        if now_s >= self._look_at_s and self.platform.jobs.is_cancel_requested(running.job.id):
            running.process.terminate()
            running.stop_by_s = now_s + _CANCEL_GRACE_S

    def _settle(self, running: RunningJob, status: int) -> None:
        """A job that ended by itself wrote its end; one that died is queued again unless it dies without getting further."""
        job = self.platform.jobs.get_any(running.job.id)
        log.info("job process ended", extra={"job": job.id, "kind": job.kind, "status": status, "state": job.state})
        if job.has_ended:
            if job.state == "succeeded":
                shutil.rmtree(self.platform.job_folder(job.id), ignore_errors=True)
            elif job.state == "cancelled":
                self._clean_up(job)
            return
        if job.is_cancel_requested:
            shutil.rmtree(
                self.platform.job_folder(job.id), ignore_errors=True
            )  # first: who reads that it is cancelled finds no files of it
            self._clean_up(self.platform.jobs.release(running.job))  # its version belongs to a running job until then
            return
        deaths = count_death(self.platform.job_folder(job.id), job.progress.step)
        if deaths >= MAX_ATTEMPTS:
            job = self.platform.jobs.fail(running.job, Internal("job_attempts_exhausted", attempts=deaths))
        else:
            job = self.platform.jobs.release(running.job)
        self._clean_up(job)

    def _clean_up(self, job: Job) -> None:
        """What a dead process left: its private endpoint and key; of a cancelled job its folder and the version nobody has published.

        A failed job keeps its folder for a while: the last good checkpoint may be worth more than the disk."""
        principal = Principal(job.team_id, job.key_id or KeyId("system"), frozenset())
        private_endpoints.forget(self.platform, principal, owner=job.id)
        if job.state == "cancelled":
            shutil.rmtree(self.platform.job_folder(job.id), ignore_errors=True)
            jobs.forget_cancelled(self.platform, job.id)

    def _stop_all(self) -> None:
        for running in self.running.values():
            running.process.terminate()
        deadline_s = time.monotonic() + _CANCEL_GRACE_S
        while any(item.process.poll() is None for item in self.running.values()) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        for running in self.running.values():
            running.process.kill()
            self.platform.jobs.release(running.job)
        self.running.clear()
        self._starter.close()


def count_death(folder: Path, step: int) -> int:
    """How often in a row the job's process has died without having got further than at an earlier death, this one included.

    Deaths that cost no progress of the whole (a killed server, a restarted machine) may be any number; a job that
    kills its process at the same place each time must not go on for ever. "Further" is finished steps, then `step`."""
    path = folder / "deaths.json"
    reached = [len(list((folder / "steps").glob("*.json"))), step]
    deaths, best = 0, [-1, -1]
    with contextlib.suppress(OSError, ValueError, KeyError):
        found = json.loads(path.read_text(encoding="utf-8"))
        deaths, best = int(found["deaths"]), list(found["best"])
    deaths = 1 if reached > best else deaths + 1
    with contextlib.suppress(OSError):  # with a full disk the count waits, the job does not
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"deaths": deaths, "best": max(reached, best)}).encode())
    return deaths


def _keep_log(source: IO[bytes], path: Path) -> None:
    """Copies a job's output to its file, up to the limit over all attempts; reads on and drops the rest."""
    with source, contextlib.ExitStack() as stack:
        sink, room = None, 0
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            sink = stack.enter_context(path.open("ab", buffering=0))
            room = MAX_LOG_BYTES - path.stat().st_size
        while chunk := source.read1(65536):  # type: ignore[attr-defined]  # BufferedReader has it, IO[bytes] does not say so
            if sink is not None and room > 0:
                try:
                    sink.write(chunk[:room])
                except OSError:  # a full disk must not stop the job's own writes to the pipe
                    room = 0
                room -= len(chunk)


def run_runner(settings: Settings) -> int:
    """The runner process."""
    platform = open_platform(settings)
    housekeeping.start(platform)
    runner = Runner(platform)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.stop())
    runner.run()
    platform.close()
    return 0
