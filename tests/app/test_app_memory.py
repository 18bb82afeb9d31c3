"""C124: a trainer that wants more memory than a job may have fails and says so; what serves beside it never notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanlin.client import Hanlin
from hanlin.errors import HanlinError
from hanlin.types import JsonObject

pytestmark = pytest.mark.e2e
SMALL: JsonObject = {
    "epochs": 1,
    "evaluations": 1,
    "hidden_size": 8,
    "embedding_size": 8,
    "ngrams": False,
    "precision": "fp32",
    "threads": 1,
}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, make_server) -> Iterator[object]:
    found = make_server(tmp_path_factory.mktemp("narrow") / "home", HANLIN_JOB_MEMORY_BYTES=str(1200 * 2**20)).start()
    yield found
    found.stop()


def train(client: Hanlin, name: str, model: str = "lstm", **options: object) -> str:
    return client.jobs.submit("train", {"dataset": "reviews", "model": model, "name": name, "options": SMALL | options}).id  # type: ignore[dict-item]


def test_a_trainer_out_of_memory_fails_with_its_reason_and_serving_goes_on(narrow, reviews: Path) -> None:
    with narrow.client(timeout=120) as client:
        client.jobs.wait(client.datasets.add("reviews", reviews, task="text-classification").id, timeout=120)
        client.jobs.wait(train(client, "small"), timeout=300)
        client.deployments.wait(client.deployments.create("small:1", "steady"), timeout=120)
        job_id = train(client, "huge", "transformer", hidden_size=4096, layers=8)
        answers, failures, over = [], [], threading.Event()

        def call() -> None:
            with narrow.client(max_retries=0) as caller:
                while not over.is_set():
                    try:
                        answers.append(caller.classify("steady", "质量很好，下次还来").label)
                    except HanlinError as error:
                        failures.append(error.code)

        thread = threading.Thread(target=call)
        thread.start()
        try:
            with pytest.raises(HanlinError) as caught:
                client.jobs.wait(job_id, timeout=300)
        finally:
            over.set()
            thread.join()
        assert caught.value.code == "job_out_of_memory"
        assert "memory" in caught.value.message
        assert client.jobs.get(job_id).attempt == 1
        assert failures == []
        assert len(set(answers)) == 1
        assert "huge" not in [model.name for model in client.models.list()]
