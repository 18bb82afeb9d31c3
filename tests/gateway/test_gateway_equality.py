"""One contract behind all doors: the same texts give the same numbers. Their mistakes: `test_gateway_mistakes.py`."""

from __future__ import annotations

import numpy as np
import pytest
from tests.gateway.ways import ENDPOINTS, WAYS

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


def test_every_door_that_is_called_is_compared() -> None:
    from hanlin.gateway.doors import ALL

    of_tokenizers = {door.path for door in ALL if door.path.endswith(("/tokenize", "/decode"))}  # no model is asked there
    assert {way.path for way in WAYS} == {door.path for door in ALL if door.read or door.read_framed} - of_tokenizers


@pytest.mark.parametrize("task", ENDPOINTS)
def test_the_same_texts_give_the_same_numbers_through_every_door(doors, task: str) -> None:
    assert len(set(TEXTS)) == 200
    numbers: dict[str, np.ndarray] = {}
    for way in BY_TASK[task]:
        answers = [way.ask(doors.client, TEXTS[begin : begin + CHUNK]) for begin in range(0, len(TEXTS), CHUNK)]
        assert {answer.status_code for answer in answers} == {200}
        numbers[way.name] = np.array([row for answer in answers for row in way.numbers(way.read(answer))])
    first = numbers.pop("task")
    assert len(first) == len(TEXTS)
    assert len(np.unique(first, axis=0)) > 50, "texts that all answer alike show nothing"
    for name, found in numbers.items():
        np.testing.assert_allclose(found, first, atol=1e-5, rtol=0, err_msg=name)
