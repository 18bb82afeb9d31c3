"""One contract behind all doors: the same texts give the same numbers. Their mistakes: `test_gateway_mistakes.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.gateway.ways import ALL_ENDPOINTS, ENDPOINTS, FINDER, MORE_WAYS, TALKS, WAYS, Through

from hanlin.datasets import bundled
from hanlin.models.importing import import_folder
from hanlin.tasks.spec import ModelSpec

PACKAGES = Path(__file__).parents[2] / "build" / "packages"
CHUNK = 32  # what a request of this server may hold
GENERATOR = np.random.default_rng(11)
ODD = [
    "good\nbad",
    'he said "good"',
    "back\\slash w9",
    "好 good 坏",
    "🙂 w10 🙃",
    "e\u0301 w11",
    "\u202e good",
    "<b>w12</b>",
    "a\tb w13",
    "w14\u00a0w15",
]
PLAIN = [" ".join(f"w{n}" for n in GENERATOR.integers(7, 190, size)) for size in GENERATOR.integers(1, 60, 190)]
TEXTS = [*ODD, *PLAIN]
BY_TASK = {task: [way for way in WAYS if way.task == task] for task in ENDPOINTS}
REAL = [  # a few texts of each task, a full request of one; many of each when soaked
    *((task, 12, 8) for task in ENDPOINTS),
    ("embedding", CHUNK + 8, CHUNK),
    *(pytest.param(task, 200, CHUNK, marks=pytest.mark.soak) for task in ENDPOINTS),
]


def test_every_door_that_is_called_is_compared() -> None:
    from hanlin.gateway.doors import ALL

    others = {door.path for door in ALL if door.path.endswith(("/tokenize", "/decode", "/similarity"))}  # no text stands for itself
    talks = {way.path for way in TALKS[1:]}  # one at a time: test_gateway_talks.py
    assert {way.path for way in (*WAYS, *MORE_WAYS)} == {door.path for door in ALL if door.read or door.read_framed} - others - talks


def test_every_task_is_called_through_every_door_that_takes_it() -> None:
    """A new task: give it an endpoint and its ways in `ways`."""
    from hanlin.tasks import TASKS

    assert set(ALL_ENDPOINTS) == set(TASKS.names())
    by_task = {task: {way.name for way in (*WAYS, *MORE_WAYS) if way.task == task} for task in ALL_ENDPOINTS}
    assert all({"task", "hf", "oip", "oip-binary"} <= names for names in by_task.values()), by_task


def compare(client: httpx.Client, ways: Sequence[Through], texts: list[str], *, distinct: int = 50, chunk: int = CHUNK) -> None:
    """Asks every door for all texts and holds the numbers, and the order, to those of the task API, which is the first."""
    numbers: dict[str, np.ndarray] = {}
    for way in ways:
        answers = [way.ask(client, texts[begin : begin + chunk]) for begin in range(0, len(texts), chunk)]
        assert {answer.status_code for answer in answers} == {200}
        numbers[way.name] = np.array([row for answer in answers for row in way.numbers(way.read(answer))])
    first = numbers.pop(ways[0].name)
    assert len(first) == len(texts)
    if ways[0].task != "text-to-sql":  # the fake engine writes the first query that the grammar allows, whatever is asked
        assert len(np.unique(first, axis=0)) > distinct, "texts that all answer alike show nothing"
    for name, found in numbers.items():
        np.testing.assert_allclose(found, first, atol=1e-5, rtol=0, err_msg=name)


@pytest.mark.parametrize("task", ENDPOINTS)
def test_the_same_texts_give_the_same_numbers_through_every_door(doors, task: str) -> None:
    assert len(set(TEXTS)) == 200
    compare(doors.client, BY_TASK[task], TEXTS)


@pytest.mark.parametrize("first", [way.name + "-" + way.task for way in MORE_WAYS if way.name.startswith("task")])
def test_the_same_texts_give_the_same_answers_through_every_door(doors, first: str) -> None:
    """Of tasks whose answers are more than numbers; asked as many words as their models read beside the question."""
    name, _, task = first.partition("-") if "zero-shot" not in first else ("task-zero-shot", "", "embedding")
    kind = name.removeprefix("task")
    ways = [way for way in MORE_WAYS if way.task == task and way.name.endswith(kind)]
    compare(doors.client, ways, [" ".join(text.split(" ")[:40]) for text in TEXTS])


@pytest.fixture(scope="module")
def real(make_stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """All tasks on all-MiniLM-L6-v2 itself, in fp32; the heads that classify are random."""
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

    folder = bundled.minilm_embedder(PACKAGES)
    heads = {
        "text-classification": (AutoModelForSequenceClassification, ("negative", "positive")),
        "token-classification": (AutoModelForTokenClassification, ("O", "B-good")),
        "semantic-role-labelling": (AutoModelForTokenClassification, ("O", "B-V")),
    }
    sources = dict.fromkeys(ENDPOINTS, folder)
    for task, (kind, labels) in heads.items():
        sources[task] = tmp_path_factory.mktemp(task)
        kind.from_pretrained(folder, id2label=dict(enumerate(labels)), num_labels=2).save_pretrained(sources[task])
        AutoTokenizer.from_pretrained(folder).save_pretrained(sources[task])
    stack = make_stack(
        tmp_path_factory.mktemp("real") / "home",
        moderation_endpoint="sentiment",
        moderation_labels="negative",
        default_endpoint="sentiment",
    )
    try:
        for task, endpoint in ENDPOINTS.items():
            place = stack.home / "models" / f"{endpoint}:1"
            import_folder(sources[task], place, task=task)
            if task == "semantic-role-labelling":  # what it learns beside its network
                replace(ModelSpec.load(place), finder=FINDER).save(place)
            stack.wait_state(stack.deploy(f"{endpoint}:1", endpoint, variant="torch-fp32"), "ready")
        yield stack
    finally:
        stack.close()


def reviews(count: int) -> list[str]:
    """Real texts, none twice."""
    lines = (bundled.reviews_en(PACKAGES) / "reviews-en.jsonl").read_text(encoding="utf-8").split("\n")
    texts = list(dict.fromkeys(json.loads(line)["text"] for line in lines if 0 < len(line) < 400))[:count]
    assert len(texts) == count
    return texts


@pytest.mark.e2e
@pytest.mark.parametrize(("task", "count", "chunk"), REAL)
def test_a_real_model_gives_the_same_numbers_through_every_door(real, task: str, count: int, chunk: int) -> None:
    compare(real.client, BY_TASK[task], reviews(count), distinct=count // 4, chunk=chunk)
