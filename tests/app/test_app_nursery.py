"""Processes of jobs that the nursery forks: theirs alone, ended with all they started, and born again when the nursery is killed."""

from __future__ import annotations

import importlib.util
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

from hanlin.app import job_process
from hanlin.app.job_process import LIGHT, LOADED, JobProcess, JobStarter
from hanlin.app.processes import JOB_NICE
from hanlin.control.job_kinds import JOB_KINDS
from hanlin.jobs import Job
from hanlin.settings import Settings

forks = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere jobs are started from nothing")

# What a child runs instead of a job, whose code takes seconds to load: it says what it has got, and answers signals by their names.
CHILD = """
import os, signal, subprocess, sys, time, types

def run_job(settings, job):
    import numpy, random
    print("job", job, settings.home, os.getsid(0) == os.getpid(), numpy.random.random(), random.random(), end=" ")
    print(os.nice(0), *open("/proc/self/autogroup").read().split()[2:] if os.path.exists("/proc/self/autogroup") else (), flush=True)
    if job == "ends":
        return 7
    if job == "forks":
        print("child", subprocess.Popen(["sleep", "600"]).pid, flush=True)
    while True:
        time.sleep(60)

sys.modules["hanlin.app.job"] = found = types.ModuleType("hanlin.app.job")
found.run_job = run_job
"""
STARTED: list[JobProcess] = []
AUTOGROUP = Path("/proc/self/autogroup")


@pytest.fixture
def starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobStarter]:
    (tmp_path / "made_job.py").write_text(CHILD)
    (tmp_path / "slow_to_load.py").write_text("import time\ntime.sleep(2)\n")
    (tmp_path / "broken.py").write_text("raise RuntimeError('a wheel for another machine')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    found = JobStarter(Settings(home=tmp_path), ["numpy", "made_job", "not_installed_anywhere", "broken"], idle_s=5.0)
    yield found
    for child in STARTED:
        child.kill()
        child.output.close()
    STARTED.clear()
    found.close()


def start(starter: JobStarter, name: str, kind: str = "train") -> JobProcess:
    STARTED.append(starter.start(cast("Job", SimpleNamespace(id=name, kind=kind))))
    return STARTED[-1]


@forks
def test_each_has_its_output_its_session_its_settings_and_its_own_chance(starter: JobStarter, tmp_path: Path) -> None:
    said = [start(starter, "ends").output.read().decode().split() for _ in range(3)]
    assert all(line[:4] == ["job", "ends", str(tmp_path), "True"] for line in said)
    for place in (4, 5):
        assert len({line[place] for line in said}) == 3


@forks
def test_its_session_yields_the_processor_as_it_does(starter: JobStarter) -> None:
    said = start(starter, "ends").output.read().decode().split()
    of_session = [str(JOB_NICE)] if AUTOGROUP.exists() else []  # other kernels share the processor among processes alone
    assert said[6:] == [str(min(19, os.nice(0) + JOB_NICE)), *of_session]


@forks
def test_one_ends_with_its_status_and_the_other_goes_on(starter: JobStarter) -> None:
    child, other = start(starter, "ends"), start(starter, "waits")
    child.output.read()
    other.output.readline()
    wait_for(lambda: child.poll() is not None, "no end")
    assert (child.poll(), child.kill(), child.kill()) == (7, 7, 7)
    child.terminate()
    assert other.poll() is None
    other.terminate()
    wait_for(lambda: other.poll() == -signal.SIGTERM, "it goes on")


@forks
def test_what_it_started_ends_with_it(starter: JobStarter) -> None:
    child = start(starter, "forks")
    child.output.readline()
    below = int(child.output.readline().split()[1])
    assert psutil.pid_exists(below)
    child.terminate()
    wait_for(lambda: child.poll() == -signal.SIGTERM, "it did not end")
    wait_for(lambda: not psutil.pid_exists(below), "what it started lives on")
    again = start(starter, "forks")
    again.output.readline()
    assert again.kill() == -signal.SIGKILL


@forks
def test_a_killed_nursery_takes_its_children_along_and_there_is_another(starter: JobStarter) -> None:
    child = start(starter, "forks")
    child.output.readline()
    below = int(child.output.readline().split()[1])
    assert starter.nursery is not None
    starter.nursery.process.kill()
    wait_for(lambda: child.poll() == -signal.SIGKILL, "its end was not seen")
    wait_for(lambda: not psutil.pid_exists(below), "what it started lives on")
    assert child.output.read() == b""  # nobody holds the other end: it is dead
    assert child.kill() == -signal.SIGKILL
    assert b"job ends" in start(starter, "ends").output.read()


@forks
def test_nobody_waits_for_a_nursery_that_loads(starter: JobStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner has leases to renew meanwhile. What is asked meanwhile is done in its order."""
    starter._loaded = ["slow_to_load", "made_job"]
    stopped, child = start(starter, "waits"), start(starter, "ends")
    stopped.terminate()
    assert stopped.poll() is child.poll() is None
    (tmp_path / "go").touch()
    wait_for(lambda: child.poll() == 7, "it was not forked")
    assert stopped.poll() == -signal.SIGTERM
    (tmp_path / "go").unlink()
    starter.close()
    monkeypatch.setattr(job_process, "_ANSWER_S", 0.1)
    assert start(starter, "waits").kill() == -signal.SIGKILL  # it will never have loaded


@forks
def test_an_idle_nursery_ends(starter: JobStarter) -> None:
    child = start(starter, "ends")
    starter.rest(0.0)
    starter.rest(100.0)
    assert starter.nursery is not None and not starter.nursery.is_gone
    wait_for(lambda: child.poll() == 7, "no end")
    starter.rest(100.0)
    starter.rest(104.0)
    assert starter.nursery is not None
    process = starter.nursery.process
    starter.rest(105.0)
    assert starter.nursery is None and process.poll() is not None
    assert child.kill() == 7
    assert b"job ends" in start(starter, "ends").output.read()


@forks
def test_it_dies_when_its_runner_lets_go(starter: JobStarter) -> None:
    child = start(starter, "waits")
    child.output.readline()
    os.close(child._life)  # type: ignore[attr-defined]
    child._life = None  # type: ignore[attr-defined]
    wait_for(lambda: child.poll() == 1, "it lives on")


@forks
def test_what_cannot_be_forked_has_ended(starter: JobStarter, tmp_path: Path) -> None:
    (tmp_path / "no_more.py").write_text("import os\n\ndef fork():\n    raise BlockingIOError(11, 'no more')\n\nos.fork = fork\n")
    starter._loaded = ["made_job", "no_more"]
    child = start(starter, "ends")
    wait_for(lambda: child.poll() == 71, "its runner was not told")
    assert child.output.read() == b""


def test_light_work_is_no_fork(starter: JobStarter) -> None:
    child = start(starter, "job_none", kind="ingest")
    assert b"job_none" in child.output.read()  # there is no such job
    wait_for(lambda: child.poll() is not None, "no end")
    assert starter.nursery is None


@forks
def test_light_work_is_forked_where_a_nursery_has_loaded(starter: JobStarter) -> None:
    heavy = start(starter, "ends")
    assert b"job ends" in heavy.output.read()
    child = start(starter, "ends", kind="ingest")
    assert child.output.read().startswith(b"job ends")  # what the nursery has loaded, and no process of its own would
    wait_for(lambda: child.poll() == 7, "no end")


@forks
def test_light_work_keeps_no_nursery_and_is_not_cut_off(starter: JobStarter) -> None:
    heavy = start(starter, "ends")
    assert b"job ends" in heavy.output.read()
    wait_for(lambda: heavy.poll() == 7, "no end")
    starter.rest(0.0)
    light = start(starter, "waits", kind="batch")
    assert light.output.readline().startswith(b"job waits")
    starter.rest(5.0)
    assert starter.nursery is not None, "its light job goes on"
    assert light.poll() is None
    other = start(starter, "job_none", kind="batch")
    assert b"job_none" in other.output.read(), "no more of them"
    light.kill()
    starter.rest(5.1)
    assert starter.nursery is None


def test_where_nothing_forks_each_job_is_a_process_of_its_own(starter: JobStarter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_process, "_can_fork", lambda: False)
    spawning = JobStarter(starter._settings, starter._loaded)
    child = start(spawning, "job_none")
    assert b"job_none" in child.output.read()  # there is no such job
    wait_for(lambda: child.poll() is not None, "no end")
    assert spawning.nursery is None
    assert child.poll() == child.kill() != 0


def test_what_is_named_is_there() -> None:
    assert set(JOB_KINDS) > LIGHT
    for name in LOADED:
        if name.startswith("hanlin."):
            assert importlib.util.find_spec(name.removesuffix(".*")) is not None, name
