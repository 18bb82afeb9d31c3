"""Processes of jobs that the nursery forks: theirs alone, ended with all they started, and born again when the nursery is killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest
from tests.app.conftest import wait_for

from hanlin.app.births import Births, JobProcess
from hanlin.jobs import Job
from hanlin.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux: elsewhere jobs are started from nothing")

# What a child runs instead of a job: it says what it has got, and answers signals by their names.
CHILD = """
import os, signal, subprocess, sys, time

def run_job(settings, job):
    import numpy, random
    print("job", job, settings.home, os.getsid(0) == os.getpid(), numpy.random.random(), random.random(), flush=True)
    if job == "ends":
        return 7
    if job == "forks":
        print("child", subprocess.Popen(["sleep", "600"]).pid, flush=True)
    while True:
        time.sleep(60)
"""
STARTED: list[JobProcess] = []


@pytest.fixture
def births(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Births]:
    (tmp_path / "made_job.py").write_text(CHILD + "\nimport hanlin.app.job\nhanlin.app.job.run_job = run_job\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    found = Births(Settings(home=tmp_path), ["numpy", "made_job", "not_installed_anywhere"])
    yield found
    for child in STARTED:
        child.kill()
        child.output.close()
    STARTED.clear()
    if found._nursing is not None:
        found._nursing._part()


def start(births: Births, name: str, kind: str = "train") -> JobProcess:
    STARTED.append(births.start(cast("Job", SimpleNamespace(id=name, kind=kind))))
    return STARTED[-1]


def test_each_has_its_output_its_session_its_settings_and_its_own_chance(births: Births, tmp_path: Path) -> None:
    said = [start(births, "ends").output.read().decode().split() for _ in range(3)]
    assert all(line[:4] == ["job", "ends", str(tmp_path), "True"] for line in said)
    for place in (4, 5):
        assert len({line[place] for line in said}) == 3


def test_it_ends_with_its_status(births: Births) -> None:
    child = start(births, "ends")
    child.output.read()
    wait_for(lambda: child.poll() is not None, "no end")
    assert (child.poll(), child.kill()) == (7, 7)


def test_what_it_started_ends_with_it(births: Births) -> None:
    child = start(births, "forks")
    child.output.readline()
    below = int(child.output.readline().split()[1])
    assert psutil.pid_exists(below)
    child.terminate()
    wait_for(lambda: child.poll() == -signal.SIGTERM, "it did not end")
    wait_for(lambda: not psutil.pid_exists(below), "what it started lives on")
    again = start(births, "forks")
    again.output.readline()
    assert again.kill() == -signal.SIGKILL


def test_a_killed_nursery_takes_its_children_along_and_the_next_is_born_elsewhere(births: Births) -> None:
    child = start(births, "waits")
    child.output.readline()
    nursing = births._nursing
    assert nursing is not None
    nursing._process.kill()
    wait_for(lambda: child.poll() == -signal.SIGKILL, "its end was not seen")
    assert child.output.read() == b""  # nobody holds the other end: it is dead
    assert child.kill() == -signal.SIGKILL
    assert b"job ends" in start(births, "ends").output.read()


def test_an_idle_nursery_that_has_ended_is_replaced(births: Births) -> None:
    start(births, "ends").output.read()
    nursing = births._nursing
    assert nursing is not None
    nursing._process.send_signal(signal.SIGTERM)
    nursing._process.wait()
    assert b"job ends" in start(births, "ends").output.read()


def test_it_dies_when_its_runner_lets_go(births: Births) -> None:
    child = start(births, "waits")
    child.output.readline()
    os.close(child._life)  # type: ignore[attr-defined]
    child._life = None  # type: ignore[attr-defined]
    wait_for(lambda: child.poll() == 1, "it lives on")


def test_signals_reach_the_living_only(births: Births) -> None:
    child = start(births, "ends")
    child.output.read()
    wait_for(lambda: child.poll() == 7, "no end")
    other = start(births, "waits")
    other.output.readline()
    child.terminate()
    assert births._nursing is not None
    births._nursing.signal(os.getpid(), signal.SIGKILL)  # no child of its: not heard
    assert other.poll() is None
    assert other.kill() == -signal.SIGKILL


def test_light_work_is_no_fork(births: Births) -> None:
    child = start(births, "job_none", kind="ingest")
    assert b"job_none" in child.output.read()  # there is no such job
    wait_for(lambda: child.poll() is not None, "no end")
    assert births._nursing is None
