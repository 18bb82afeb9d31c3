"""Canary, shadow, step back, promotion, rollback and scaling through a real `hanlin up`, by command line and HTTP, while callers call.

Version 1 answers, version 2 is it with its labels swapped, version 3 fails at the word `wrong`. The judge of this server minds errors
only: what latency and labels do to a trial is told by tests/serving and needs no processes.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.app.callers import Threads

from hanlin.client import Deployment, Hanlin

pytestmark = pytest.mark.e2e
TEXT, WRONG = "w1 w2", "w1 wrong"
FAKES: tuple[dict[str, object], ...] = ({}, {}, {"fail_token": 12})


@pytest.fixture(scope="module")
def tried(emptied, publish_fakes):
    publish_fakes(emptied.home, *FAKES, name="m")
    return emptied


@pytest.fixture
def client(tried) -> Iterator[Hanlin]:
    with tried.client() as found:
        yield found


class Callers(Threads):
    """Ask one endpoint on and on, without retrying. `versions` counts who answered, `problems` all that was no answer."""

    def __init__(self, server, endpoint: str, *, text: str = TEXT, count: int = 4) -> None:
        self.versions: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = {}
        self.problems: list[str] = []
        self._server, self._path, self._text = server, f"/models/{endpoint}", text
        self._lock = threading.Lock()
        super().__init__(count)

    @property
    def answered(self) -> int:
        return self.versions.total()

    def wait_for(self, more: int) -> None:
        """So many more answers."""
        until(lambda wanted=self.answered + more: self.answered >= wanted or bool(self.problems))

    def call(self) -> None:
        with client_of(self._server) as client:
            while self.goes_on():
                try:
                    answer = client.post(self._path, json={"inputs": self._text})
                except httpx.HTTPError as error:
                    self.problems.append(repr(error))
                    continue
                with self._lock:
                    if answer.status_code != 200:
                        self.problems.append(answer.text)
                        continue
                    version = version_of(answer)
                    self.versions[version] += 1
                    self.bodies.setdefault(version, set()).add(answer.content)


def client_of(server) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {server.key}"}, timeout=60, trust_env=False)


def version_of(answer: httpx.Response) -> str:
    return answer.headers["x-hanlin-model"].partition(" ")[0]


def ask(server, endpoint: str, text: str = TEXT) -> httpx.Response:
    with client_of(server) as client:
        answer = client.post(f"/models/{endpoint}", json={"inputs": text})
    assert answer.status_code == 200, answer.text
    return answer


def serve(client: Hanlin, endpoint: str, model: str = "m:1", **options: object) -> Deployment:
    return client.deployments.wait(client.deployments.create(model, endpoint, **options))  # type: ignore[arg-type]


def hanlin(server, *words: str, language: str = "en_US.UTF-8") -> str:
    """What one command says; it must succeed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HANLIN_")}
    environ |= {"HANLIN_HOME": str(server.home), "LC_ALL": language, "LANG": language, "COLUMNS": "400"}
    done = subprocess.run([sys.executable, "-m", "hanlin", *words], capture_output=True, text=True, check=False, timeout=120, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, "it never came to be"
        time.sleep(0.02)


def metric(server, name: str, **labels: str) -> float:
    """Sum of the series of a metric that have these labels."""
    with client_of(server) as client:
        families = list(text_string_to_metric_families(client.get("/metrics").text))
    samples = [sample for family in families for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())


def workers(server, endpoint: str) -> list[psutil.Process]:
    found = []
    for process in server.tree():
        with contextlib.suppress(psutil.Error):
            if " ".join(process.cmdline()).startswith(f"hanlin worker {endpoint} "):
                found.append(process)
    return found


def bounds(calls: int, share: float, tail: float = 1e-12) -> tuple[int, int]:
    """Between these the count of a share drawn `calls` times lies but for a chance of `tail` on either side (binomial, exact)."""
    odds = [math.comb(calls, hits) * share**hits * (1 - share) ** (calls - hits) for hits in range(calls + 1)]
    low = next(hits for hits in range(calls + 1) if math.fsum(odds[: hits + 1]) > tail)
    high = next(hits for hits in range(calls, -1, -1) if math.fsum(odds[hits:]) > tail)
    return low, high


def test_a_canary_answers_its_share_names_itself_and_is_promoted_without_a_failed_call(tried, client) -> None:
    serve(client, "share")
    serve(client, "share", "m:2", canary=30)
    until(lambda: version_of(ask(tried, "share")) == "m:2")
    calls = 500
    with client_of(tried) as caller:
        answers = [caller.post("/models/share", json={"inputs": TEXT}) for _ in range(calls)]
    assert {answer.status_code for answer in answers} == {200}
    found = Counter(map(version_of, answers))
    low, high = bounds(calls, 0.3)
    assert found.keys() == {"m:1", "m:2"}
    assert low <= found["m:2"] <= high
    assert len({(version_of(answer), answer.content) for answer in answers}) == 2, "who is named has answered"
    with Callers(tried, "share") as callers:
        callers.wait_for(40)
        assert "serves from now on" in hanlin(tried, "endpoint", "promote", "share")
        until(lambda: {version_of(ask(tried, "share")) for _ in range(10)} == {"m:2"})
        callers.wait_for(40)
    assert callers.problems == []
    assert all(len(bodies) == 1 for bodies in callers.bodies.values())
    assert client.endpoints.get("share").trial is None


def test_a_canary_that_fails_steps_back_by_itself_and_says_why(tried, client) -> None:
    serve(client, "broken")
    with Callers(tried, "broken", text=WRONG) as callers:
        client.deployments.create("m:3", "broken", canary=50)  # it may have been taken back before anybody sees it ready
        until(lambda: client.endpoints.get("broken").trial.state == "failed")
        callers.wait_for(40)
    assert callers.problems == [], "what the canary failed, the version that serves has answered"
    assert callers.versions.keys() == {"m:1"}
    assert re.search(r"\d+ of \d+ calls failed", hanlin(tried, "endpoint", "show", "broken"))
    assert re.search(r"\d+ 次调用中有 \d+ 次失败", hanlin(tried, "endpoint", "show", "broken", language="zh_CN.UTF-8"))
    found = client.endpoints.get("broken")
    assert (found.version, found.state, found.trial.version) == (1, "ready", 3)
    assert metric(tried, "hanlin_trials_taken_back_total", endpoint="default/broken", role="canary", reason="trial_errors") == 1
    until(lambda: len(workers(tried, "broken")) == 1)


def test_a_shadow_sees_calls_and_never_answers(tried, client) -> None:
    serve(client, "shaded")
    serve(client, "shaded", "m:2", shadow=100)
    with Callers(tried, "shaded") as callers:
        shown = {"endpoint": "default/shaded", "role": "shadow", "side": "trial", "version": "m:2"}
        until(lambda: metric(tried, "hanlin_trial_calls_total", **shown) >= 50 or bool(callers.problems))
        assert metric(tried, "hanlin_trial_rows_total", **shown) >= 50
        callers.wait_for(50)
    assert callers.problems == []
    assert callers.versions.keys() == {"m:1"}
    hanlin(tried, "endpoint", "abort", "shaded")
    until(lambda: len(workers(tried, "shaded")) == 1)
    assert version_of(ask(tried, "shaded")) == "m:1"


def test_one_command_rolls_back_be_it_given_four_times_and_no_call_fails(tried, client) -> None:
    serve(client, "back")
    with Callers(tried, "back") as callers:
        callers.wait_for(20)
        serve(client, "back", "m:2")
        until(lambda: callers.versions["m:2"] > 0)
        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda _: hanlin(tried, "rollback", "back"), range(4)))
        assert all("m:1" in text for text in said)
        assert sum("rolled back already" in text for text in said) == 3, said
        until(lambda: {version_of(ask(tried, "back")) for _ in range(10)} == {"m:1"})
        callers.wait_for(20)
    assert callers.problems == []
    assert callers.versions.keys() == {"m:1", "m:2"}
    assert all(len(bodies) == 1 for bodies in callers.bodies.values())


def test_an_endpoint_is_scaled_from_none_to_two_and_back_and_no_call_fails(tried, client) -> None:
    serve(client, "span", replicas=0, idle_s=0.5)
    until(lambda: client.endpoints.get("span").state == "asleep" and not workers(tried, "span"))
    with Callers(tried, "span") as callers:
        callers.wait_for(20)
        assert len(workers(tried, "span")) == 1, "the first call woke it"
        hanlin(tried, "scale", "span", "--min", "1")
        for replicas in (1, 2, 1):
            client.endpoints.scale("span", replicas)
            until(lambda replicas=replicas: len(workers(tried, "span")) == replicas)  # type: ignore[misc]
            callers.wait_for(20)
        client.endpoints.scale("span", 0)
        callers.wait_for(20)
    until(lambda: client.endpoints.get("span").state == "asleep" and not workers(tried, "span"))
    assert version_of(ask(tried, "span")) == "m:1"
    assert callers.problems == []
