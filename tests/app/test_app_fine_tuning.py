"""`/v1/fine_tuning/jobs` of a real server, with the package `openai` itself, sync and async: a file in, a model that answers out."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

pytestmark = pytest.mark.e2e
ROWS = [
    {"text": f"第{number}间房{'很好，喜欢' if number % 2 else '太差，讨厌'}", "label": "good" if number % 2 else "bad"}
    for number in range(160)
]


def jsonl(rows: list[dict[str, object]]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


@pytest.fixture(scope="module")
def server(make_server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    found = make_server(tmp_path_factory.mktemp("tuning") / "home", HANLIN_MAX_FINE_TUNED="2").start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def client(server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as found:
        yield found


@pytest.fixture(scope="module")
def file_id(client) -> str:
    return client.files.create(file=("rows.jsonl", jsonl(ROWS)), purpose="fine-tune").id


@pytest.fixture(scope="module")
def tuned(client, file_id: str) -> FineTuningJob:
    """A fine-tuning that has succeeded: chats of one turn validate what rows teach."""
    chats = []
    for row in ROWS[:30]:
        user, assistant = {"role": "user", "content": f"{row['text']}！"}, {"role": "assistant", "content": row["label"]}
        chats.append({"messages": [{"role": "system", "content": "Which mood?"}, user, assistant]})
    validation = client.files.create(file=("chats.jsonl", jsonl(chats)), purpose="fine-tune")
    assert validation.purpose == "fine-tune"
    supervised = {"hyperparameters": {"n_epochs": 2, "batch_size": 16, "learning_rate_multiplier": 10}}
    job = client.fine_tuning.jobs.create(
        model="lstm", training_file=file_id, validation_file=validation.id, suffix="Room mood", seed=7,
        method={"type": "supervised", "supervised": supervised}, metadata={"for": "test"},
    )  # fmt: skip
    assert (job.object, job.training_file, job.validation_file, job.seed) == ("fine_tuning.job", file_id, validation.id, 7)
    assert (job.fine_tuned_model, job.metadata, job.organization_id) == (None, {"for": "test"}, "default")
    assert (job.hyperparameters.n_epochs, job.hyperparameters.batch_size, job.hyperparameters.learning_rate_multiplier) == (2, 16, 10)
    seen = set()
    deadline = time.monotonic() + 300
    while job.status not in {"succeeded", "failed", "cancelled"}:
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
        job = client.fine_tuning.jobs.retrieve(job.id)
        seen.add(job.status)
    assert job.status == "succeeded", job.error
    assert seen <= {"queued", "validating_files", "running", "succeeded"}
    return job


def test_the_model_answers_at_once_under_its_own_name(client, server, tuned) -> None:
    name = tuned.fine_tuned_model
    assert name.startswith("ft:lstm:default:room-mood:")
    assert tuned.finished_at >= tuned.created_at
    assert [model.id for model in client.models.list()] == [name]
    assert client.models.retrieve(name).id == name
    found = client.moderations.create(model=name, input=["第1间房很好，喜欢", "太差，讨厌"])
    assert found.model == name
    categories = [max(row.category_scores.model_dump().items(), key=lambda item: item[1] or 0.0)[0] for row in found.results]
    assert categories == ["good", "bad"]
    headers = {"authorization": f"Bearer {server.key}"}
    for address in (name, name.replace(":", "--")):
        answer = httpx.post(f"{server.url}/models/{address}", json={"inputs": "太差，讨厌"}, headers=headers, timeout=60)
        assert answer.json()[0]["label"] == "bad", answer.text


def test_the_files_decide_what_is_validated_on(server, tuned) -> None:
    with server.client() as hanlin:
        found = hanlin.datasets.get(tuned.fine_tuned_model.replace(":", "--")).versions[0]
    splits = {name: sum(counts[name] for counts in found.report["labels"].values()) for name in ("train", "validation", "test")}
    assert splits["validation"] == 30
    assert splits["train"] + splits["test"] == 160
    assert 4 <= splits["test"] <= 40


def test_events_tell_the_story_newest_first(client, tuned) -> None:
    events = list(client.fine_tuning.jobs.list_events(tuned.id, limit=2))  # asks for every page
    assert len({event.id for event in events}) == len(events) > 4
    assert [event.created_at for event in events] == sorted((event.created_at for event in events), reverse=True)
    assert events[0].message == f"the model {tuned.fine_tuned_model} answers"
    metrics = [event for event in events if event.type == "metrics"]
    assert {"step", "total_steps", "train_loss", "valid_loss"} <= metrics[0].data.keys()
    (kept,) = client.fine_tuning.jobs.checkpoints.list(tuned.id).data
    assert kept.fine_tuned_model_checkpoint == tuned.fine_tuned_model
    assert (kept.fine_tuning_job_id, kept.metrics.step) == (tuned.id, kept.step_number)
    assert kept.metrics.valid_loss > 0


async def test_the_asynchronous_client_lists_and_cancels(server, tuned, file_id: str) -> None:
    with server.client() as hanlin:
        hanlin.endpoints.delete(tuned.fine_tuned_model.replace(":", "--"))
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as client:
        jobs = [await client.fine_tuning.jobs.create(model="gru", training_file=file_id) for _ in range(2)]
        assert jobs[0].hyperparameters.n_epochs == "auto"
        with pytest.raises(openai.ConflictError) as full:
            await client.fine_tuning.jobs.create(model="gru", training_file=file_id)
        assert (full.value.code, "DELETE /v1/models" in full.value.body["next"]) == ("too_many_fine_tuned", True)
        for job in jobs:
            await client.fine_tuning.jobs.cancel(job.id)
        listed = [job.id async for job in client.fine_tuning.jobs.list(limit=1)]
        assert listed == [jobs[1].id, jobs[0].id, tuned.id]
        deadline = time.monotonic() + 60
        while (await client.fine_tuning.jobs.retrieve(jobs[0].id)).status != "cancelled":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with pytest.raises(openai.ConflictError, match="not paused"):
            await client.fine_tuning.jobs.pause(jobs[0].id)
        assert (await client.fine_tuning.jobs.checkpoints.list(jobs[0].id)).data == []
    with server.client() as hanlin:
        name = tuned.fine_tuned_model.replace(":", "--")
        hanlin.deployments.wait(hanlin.deployments.create(name, name, replicas=0), timeout=60)


def test_what_is_wrong_is_refused_by_name(client, tuned, file_id: str) -> None:
    create = client.fine_tuning.jobs.create
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.retrieve("ftjob-none")
    for wrong in (
        {"method": {"type": "reinforcement"}}, {"hyperparameters": {"n_epochs": 0}},
        {"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]},
        {"suffix": "x" * 65}, {"seed": -1},
    ):  # fmt: skip
        with pytest.raises(openai.UnprocessableEntityError):
            create(model="lstm", training_file=file_id, **wrong)
    with pytest.raises(openai.UnprocessableEntityError, match="purpose"):
        client.files.create(file=("rows.jsonl", b"{}"), purpose="assistants")


def test_the_end_of_a_model(client, server, tuned, file_id: str) -> None:
    with server.client() as hanlin:
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            client.models.delete("lstm")
        assert refused.value.code == "model_not_fine_tuned"
        gone = client.models.delete(tuned.fine_tuned_model)
        assert (gone.id, gone.object, gone.deleted) == (tuned.fine_tuned_model, "model", True)
        with pytest.raises(openai.NotFoundError):
            client.moderations.create(model=tuned.fine_tuned_model, input="x")
        with pytest.raises(openai.NotFoundError):
            client.models.delete(tuned.fine_tuned_model)
        left = [*hanlin.models.list(), *hanlin.datasets.list()]
        assert tuned.fine_tuned_model.replace(":", "--") not in {item.name for item in left}
    for wrong, error in (({"model": "no-such"}, openai.NotFoundError), ({"training_file": "file-none"}, openai.NotFoundError)):
        with pytest.raises(error):
            client.fine_tuning.jobs.create(**{"model": "lstm", "training_file": file_id, **wrong})
    batch = client.files.create(file=("lines.jsonl", b"{}"), purpose="batch").id
    with pytest.raises(openai.UnprocessableEntityError, match="fine-tune"):
        client.fine_tuning.jobs.create(model="lstm", training_file=batch)
    with pytest.raises(openai.UnprocessableEntityError, match="reranking"):
        client.fine_tuning.jobs.create(model="lstm", training_file=file_id, metadata={"task": "reranking"})


NAMES, PLACES, FILLER = ["Ada", "Bo", "Cy"], ["Rome", "Oslo", "Bern"], [f"w{number}" for number in range(12)]


def named(count: int) -> list[dict[str, object]]:
    """Texts in which a person or a place stands."""
    chance, rows = random.Random(2), []
    for number in range(count):
        words = chance.choices(FILLER, k=chance.randrange(4, 8))
        word = chance.choice(NAMES if number % 2 else PLACES)
        words.insert(chance.randrange(len(words) + 1), word)
        text = " ".join(words)
        start = text.index(word)
        rows.append({"text": text, "entities": [{"start": start, "end": start + len(word), "label": "PER" if number % 2 else "LOC"}]})
    return rows


@pytest.fixture(scope="module")
def tiny(server, make_encoder, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An imported BERT."""
    with server.client() as hanlin:
        folder = make_encoder(tmp_path_factory.mktemp("bert") / "tiny", [*FILLER, *NAMES, *PLACES])
        files = [file.model_dump() for file in hanlin.blobs.upload(folder)]
        hanlin.jobs.wait(hanlin.jobs.submit("import", {"name": "tiny", "files": files}).id, timeout=120)
    return "tiny"


def test_an_imported_encoder_learns_a_task_by_the_name_that_others_have_for_it(client, server, tiny: str) -> None:
    rows = client.files.create(file=("rows.jsonl", jsonl(named(160))), purpose="fine-tune").id
    job = client.fine_tuning.jobs.create(
        model=tiny, training_file=rows, seed=3, metadata={"task": "ner"},
        hyperparameters={"n_epochs": 6, "batch_size": 8, "learning_rate_multiplier": 30},
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while job.status not in {"succeeded", "failed", "cancelled"}:
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
        job = client.fine_tuning.jobs.retrieve(job.id)
    assert (job.status, job.metadata) == ("succeeded", {"task": "ner"}), job.error
    text = "w3  w1 Oslo w5 Ada"
    body = {"inputs": text, "parameters": {"aggregation_strategy": "simple"}}
    headers = {"authorization": f"Bearer {server.key}"}
    answer = httpx.post(f"{server.url}/models/{job.fine_tuned_model}", json=body, headers=headers, timeout=60).json()
    assert [(item["entity_group"], item["word"], item["start"]) for item in answer] == [("LOC", "Oslo", 7), ("PER", "Ada", 15)]
    name = job.fine_tuned_model.replace(":", "--")
    with server.client() as hanlin:
        assert (hanlin.datasets.get(name).task, hanlin.models.get(name).task) == ("token-classification", "token-classification")
        again = {"dataset": name, "task": "ner", "model": "lstm", "name": "again", "options": {"epochs": 1}}
        hanlin.jobs.cancel(hanlin.jobs.submit("train", again).id)
    client.models.delete(job.fine_tuned_model)


def finished(client, job: FineTuningJob) -> FineTuningJob:
    deadline = time.monotonic() + 300
    while job.status not in {"succeeded", "failed", "cancelled"}:
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
        job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded", job.error
    return job


def preferences() -> list[dict[str, object]]:
    better, worse = ([{"role": "assistant", "content": answer}] for answer in ("yes", "no"))
    asked = [{"messages": [{"role": "user", "content": f"w{number} please w{number * 7 % 40}"}]} for number in range(80)]
    return [{"input": question, "preferred_output": better, "non_preferred_output": worse} for question in asked]


def test_a_model_that_writes_learns_preferences_as_openais_files_have_them(client, server) -> None:
    """Answers at first, by a file of chats; then the better ones of pairs, by an adapter."""
    chats = [{"messages": [*row["input"]["messages"], row["preferred_output"][0]]} for row in preferences()]
    files = {
        name: client.files.create(file=(f"{name}.jsonl", jsonl(rows)), purpose="fine-tune").id
        for name, rows in (("chats", chats), ("pairs", preferences()))
    }
    first = finished(client, client.fine_tuning.jobs.create(
        model="transformer", training_file=files["chats"], seed=1, metadata={"task": "text-generation"},
        hyperparameters={"n_epochs": 1},
    ))  # fmt: skip
    method = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2, "n_epochs": 4, "batch_size": 8, "learning_rate_multiplier": 50}}}
    job = client.fine_tuning.jobs.create(
        model=first.fine_tuned_model, training_file=files["pairs"], seed=2, method=method, metadata={"adapter": "lora"}
    )
    assert job.method.type == "dpo"
    assert (job.method.supervised, job.method.dpo.hyperparameters.beta, job.method.dpo.hyperparameters.n_epochs) == (None, 0.2, 4)
    job = finished(client, job)
    (kept,) = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert kept.metrics.model_extra["valid_reward_accuracy"] >= 0.9
    answer = client.chat.completions.create(model=job.fine_tuned_model, messages=[{"role": "user", "content": "w1 please w7"}])
    assert answer.model == job.fine_tuned_model
    with server.client() as hanlin:
        version = hanlin.models.get(job.fine_tuned_model.replace(":", "--")).versions[0]
    assert version.lineage["parent"].startswith(first.fine_tuned_model.replace(":", "--"))
    assert (version.lineage["config"]["objective"], version.lineage["config"]["beta"]) == ("dpo", 0.2)
    assert version.lineage["adapter"]["rank"] == 8
    assert version.lineage["training"]["validation"]["reward_accuracy"] >= 0.9
    for model in (job.fine_tuned_model, first.fine_tuned_model):
        client.models.delete(model)


def test_a_method_with_the_hyperparameters_of_another_is_refused(client, file_id: str) -> None:
    for method in ({"type": "dpo", "supervised": {}}, {"type": "supervised", "dpo": {"hyperparameters": {"beta": 0.1}}}):
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            client.fine_tuning.jobs.create(model="lstm", training_file=file_id, method=method)
        assert refused.value.code == "method_of_another_type"
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.fine_tuning.jobs.create(model="lstm", training_file=file_id, method={"type": "dpo"})
    assert refused.value.code == "preferences_need_base"


def test_what_the_page_shows_runs(server, client, capsys: pytest.CaptureFixture[str]) -> None:
    """Last, for it takes the room of another."""
    page = (Path(__file__).parents[2] / "docs" / "clients" / "fine-tuning.md").read_text(encoding="utf-8")
    snippet = page.partition("```python\n")[2].partition("```")[0]
    shown: dict[str, openai.OpenAI] = {}
    exec(snippet.replace("http://127.0.0.1:8000", server.url).replace("hl_…", server.key), shown)
    shown["client"].close()
    assert re.fullmatch(r"ft:lstm:default:mood:[a-z0-9]{8} \['bad', 'good'\]\n", capsys.readouterr().out)
    assert list(client.models.list()) == []
