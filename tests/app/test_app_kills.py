"""kill -9 anywhere: a trainer, its server, a worker under load. Nothing wrong, nothing half, nothing lost.

The default run kills a few times; `soak` has the long counts.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest
from tests.app.callers import Threads

from hanlin.client import Hanlin, Job
from hanlin.errors import HanlinError
from hanlin.types import JsonObject

pytestmark = pytest.mark.e2e
# Long enough to be killed in the middle, with an evaluation (and so a checkpoint) several times an epoch.
OPTIONS: JsonObject = {
    "epochs": 5, "evaluations": 6, "hidden_size": 24, "embedding_size": 16, "ngrams": False, "max_length": 96, "precision": "fp32",
    "threads": 1, "batch_size": 8,
}  # fmt: skip
SAME = ("accuracy", "macro_f1", "ece", "confusion")


@pytest.fixture(scope="module")
def server(own_server):
    return own_server


@pytest.fixture(scope="module")
def client(server, reviews: Path, tmp_path_factory: pytest.TempPathFactory):
    head, *rows = reviews.read_text(encoding="utf-8").splitlines()
    half = tmp_path_factory.mktemp("half") / "reviews.csv"
    half.write_text("\n".join([head, *rows[::2]]), encoding="utf-8")
    with server.client(timeout=120) as found:
        found.jobs.wait(found.datasets.add("reviews", half, task="text-classification").id, timeout=120)
        yield found


@pytest.fixture(scope="module")
def unbroken(client) -> JsonObject:
    """The run nobody disturbs: its metrics are the truth."""
    return train(client, "unbroken")


def config(name: str, **options: object) -> JsonObject:
    return {"dataset": "reviews", "model": "lstm", "name": name, "options": {**OPTIONS, **options}, "force": True}  # type: ignore[dict-item]


def train(client: Hanlin, name: str) -> JsonObject:
    result = client.jobs.wait(client.jobs.submit("train", config(name)).id, timeout=300).result
    assert result is not None
    return result


def kill_job(server, job_id: str) -> bool:
    """kill -9 to the job's process; False when there is none."""
    for process in server.tree():
        try:
            if job_id in " ".join(process.cmdline()):
                process.kill()
                return True
        except psutil.Error:
            continue
    return False


def kill_a_training_at(client: Hanlin, server, name: str, shares: list[float], unbroken: JsonObject) -> int:
    """Trains while its process is killed at growing `shares` of its steps; checks that nothing shows. Returns the number of kills."""
    job = client.jobs.submit("train", config(name))
    kills = 0
    for share in shares:
        while not (found := client.jobs.get(job.id)).has_ended:
            if _is_beyond(found, share) and kill_job(server, job.id):  # there is no process while it is attached again
                kills += 1
                break
            time.sleep(0.05)
    result = client.jobs.wait(job.id, timeout=300).result
    assert result is not None
    assert {key: result["metrics"][key] for key in SAME} == {key: unbroken["metrics"][key] for key in SAME}
    versions = client.models.get(name).versions
    assert [version.state for version in versions] == ["published"]  # one model, not two
    assert not (server.home / "jobs" / job.id).exists()  # the disk is freed
    return kills


def _is_beyond(job: Job, share: float) -> bool:
    return job.state == "running" and job.progress is not None and job.progress.step > 0 and job.progress.step >= share * job.progress.total


def test_a_killed_trainer_ends_with_the_metrics_of_an_unbroken_run(client, server, unbroken) -> None:
    assert kill_a_training_at(client, server, "killed", [0.1, 0.3, 0.5], unbroken) >= 2


@pytest.mark.soak
def test_a_trainer_killed_at_20_random_points(client, server, unbroken) -> None:
    chosen, kills = random.Random(7), 0
    for number in range(20):
        kills += kill_a_training_at(client, server, f"killed-{number}", [chosen.uniform(0.0, 0.9)], unbroken)
    assert kills >= 15


def test_a_job_goes_on_after_the_server_is_killed(client, server, unbroken) -> None:
    """C126: the job is attached again, there is one of it, and its end is the same."""
    job = client.jobs.submit("train", config("orphan"), idempotency_key="once")
    while client.jobs.get(job.id).progress.step < 20:
        time.sleep(0.1)
    server.kill()
    server.start()
    with server.client(timeout=120) as again:
        assert again.jobs.submit("train", config("orphan"), idempotency_key="once").id == job.id
        result = again.jobs.wait(job.id, timeout=300).result
        assert result is not None
        assert result["metrics"]["accuracy"] == unbroken["metrics"]["accuracy"]
        assert [version.state for version in again.models.get("orphan").versions] == ["published"]


def test_a_running_job_is_cancelled_within_10_s(server) -> None:
    """C125."""
    with server.client(timeout=120) as client:
        job = client.jobs.submit("train", config("cancelled", epochs=50))
        while client.jobs.get(job.id).progress.step < 5:
            time.sleep(0.1)
        client.jobs.cancel(job.id)
        client.jobs.cancel(job.id)
        wait_cancelled(client, job.id)
        assert not [process for process in server.tree() if job.id in " ".join(process.cmdline())]
        assert "cancelled" not in [model.name for model in client.models.list()]
        assert not (server.home / "jobs" / job.id).exists()


def wait_cancelled(client: Hanlin, job: str) -> None:
    deadline_s = time.monotonic() + 10
    while client.jobs.get(job).state == "running":
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    assert client.jobs.get(job).state == "cancelled"


def helpers(server) -> set[psutil.Process]:
    """The processes that train together with a job's."""
    return {process for process in server.tree() if "hanlin.training.peer" in " ".join(process.cmdline())}


def test_a_process_that_trains_together_is_replaced_and_ends_with_its_job(client, server) -> None:
    with server.client(timeout=120) as again:
        job = again.jobs.submit("train", config("together", processes=2, epochs=50))

        def wait_beyond(step: int) -> int:
            while (found := again.jobs.get(job.id)).progress.step <= step:
                assert not found.has_ended, found
                time.sleep(0.1)
            return found.progress.step

        wait_beyond(5)
        (helper,) = helpers(server)
        step = again.jobs.get(job.id).progress.step
        helper.kill()
        wait_beyond(step + 5)
        assert len(helpers(server) - {helper}) == 1
        again.jobs.cancel(job.id)
        wait_cancelled(again, job.id)
        assert not helpers(server)


def serve_model(client: Hanlin, endpoint: str, replicas: int = 1) -> None:
    client.deployments.wait(client.deployments.create("unbroken:1", endpoint, replicas=replicas), timeout=120)


class Load(Threads):
    """Callers that classify without pause. `failures` are calls that ended badly."""

    def __init__(self, url: str, key: str, endpoint: str, *, callers: int = 4) -> None:
        self.answers, self.failures = 0, []
        self._url, self._key, self._endpoint = url, key, endpoint
        super().__init__(callers)

    def call(self) -> None:
        with Hanlin(self._url, self._key, timeout=60, max_retries=0) as client:  # no retry of the SDK's may hide a failure
            while not self.is_over.is_set():
                try:
                    client.classify(self._endpoint, "质量很好，下次还来")
                    self.answers += 1
                except HanlinError as error:
                    self.failures.append(error.code)


def kill_workers(server, times: int) -> None:
    with server.client(timeout=120) as client:
        serve_model(client, "steady")
        with Load(server.url, server.key, "steady") as load:
            for _ in range(times):
                answered = load.answers
                while load.answers < answered + 20:
                    time.sleep(0.02)
                os.kill(server.find("hanlin worker").pid, signal.SIGKILL)
            answered = load.answers
            while load.answers < answered + 20:
                time.sleep(0.02)
    assert load.failures == []


def test_killed_workers_cost_no_call(server, unbroken) -> None:
    kill_workers(server, 2)


@pytest.mark.soak
def test_workers_killed_20_times_under_load_cost_no_call(server, unbroken) -> None:
    kill_workers(server, 20)


def kill_servers(server, times: int) -> None:
    """Acknowledged writes survive; the endpoint comes back by itself."""
    names = []
    for number in range(times):
        with server.client() as client:
            name = f"ack-{os.getpid()}-{number}"
            client.keys.create(name, ["predict"])
            client.models.set_notes("unbroken", f"notes {name}")
            names.append(name)
        server.kill()
        server.start()
        with server.client(timeout=60) as client:
            assert set(names) <= {key.name for key in client.keys.list()}
            assert client.models.get("unbroken").notes == f"notes {name}"
            assert client.classify("steady", "质量很好").label in {"positive", "negative"}
            assert [version.state for version in client.models.get("unbroken").versions] == ["published"]


def test_a_killed_server_loses_nothing_acknowledged(server, unbroken) -> None:
    kill_servers(server, 1)


@pytest.mark.soak
def test_a_server_killed_10_times_loses_nothing_acknowledged(server, unbroken) -> None:
    with server.client() as client:
        serve_model(client, "steady")
    kill_servers(server, 10)
