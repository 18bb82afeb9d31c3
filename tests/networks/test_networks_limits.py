"""Penalties, biases and what is told of tokens, against numbers worked out by hand and a pass over everything at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from tests.networks.test_networks_generation import ROWS, own, pretrained, write

from hanlin.errors import InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.networks.generation.form import Bits
from hanlin.networks.generation.limits import Row, limit
from hanlin.networks.generation.tokens import Line, advance, draw

NEVER = float("-inf")


def limited(scores: list[float], written: Sequence[int], form: object = None, **asked: object) -> list[float]:
    found = torch.tensor(scores)
    settings = GenerationSettings(**asked)  # type: ignore[arg-type]
    limit(found, Row(0, settings, (0, 1), frozenset({5}), 9, form), written)  # type: ignore[arg-type]
    return found.tolist()


@pytest.mark.parametrize(
    ("written", "asked", "expected"),
    [
        # OpenAI: score - count * frequency - (count > 0) * presence, of what was written alone: 0 and 1 stand before
        ([], {"presence_penalty": 2.0}, [1.0, 2.0, 3.0, -1.0, 0.5, 0.0]),
        ([2, 3, 2], {"presence_penalty": 0.5}, [1.0, 2.0, 2.5, -1.5, 0.5, 0.0]),
        ([2, 3, 2], {"frequency_penalty": 0.25}, [1.0, 2.0, 2.5, -1.25, 0.5, 0.0]),
        ([2, 3, 2, 2], {"presence_penalty": -1.0, "frequency_penalty": 0.5}, [1.0, 2.0, 2.5, -0.5, 0.5, 0.0]),
        ([2], {"logit_bias": ((0, 5.0), (3, -100.0), (0, 1.5))}, [7.5, 2.0, 3.0, -101.0, 0.5, 0.0]),
        ([2], {"logit_bias": ((2, 4.0),), "presence_penalty": 1.0, "banned_ids": (1,)}, [1.0, NEVER, 6.0, -1.0, 0.5, 0.0]),
        ([2], {"logit_bias": ((77, 9.0), (0, 1.0)), "banned_ids": (77, 1)}, [2.0, NEVER, 3.0, -1.0, 0.5, 0.0]),  # 77 is no token
        ([2, 3], {"repetition_penalty": 2.0, "presence_penalty": 1.0}, [0.5, 1.0, 0.5, -3.0, 0.5, 0.0]),  # 0 and 1 were read
    ],
)  # fmt: skip
def test_penalties_and_biases_by_hand(written: list[int], asked: dict[str, object], expected: list[float]) -> None:
    assert limited([1.0, 2.0, 3.0, -1.0, 0.5, 0.0], written, **asked) == pytest.approx(expected)


class Form:
    """Token 2, then 3; token 5 of it is no end unless the form says so."""

    def allowed(self, written: Sequence[int]) -> Bits:
        return np.packbits([0, 0, not written, bool(written), 0, 1], bitorder="little")

    def may_end(self, written: Sequence[int]) -> bool:
        return len(written) == 2

    def must_end(self, written: Sequence[int]) -> bool:
        return len(written) == 2


def test_a_form_says_what_may_come_and_when_it_may_end() -> None:
    scores = [1.0, 2.0, 3.0, -1.0, 0.5, 0.0]
    assert limited(scores, [], Form()) == [NEVER, NEVER, 3.0, NEVER, NEVER, NEVER]
    assert limited(scores, [2], Form()) == [NEVER, NEVER, NEVER, -1.0, NEVER, NEVER]
    assert limited(scores, [2, 3], Form()) == [NEVER, NEVER, NEVER, -1.0, NEVER, 0.0]
    assert limited(scores, [0], Form(), prefix=(0,)) == [NEVER, NEVER, 3.0, NEVER, NEVER, NEVER]
    assert limited(scores, [], Form(), banned_ids=(2,)) == [NEVER, NEVER, 0.0, NEVER, NEVER, NEVER]
    line = Line.of(Row(0, GenerationSettings(), (0,), frozenset({5}), 9, Form()))
    for _ in range(2):
        advance([line], torch.tensor([scores]))
    assert (line.written, line.finish) == ([2, 3], "stop")  # nothing may follow, so no token is spent on the end


def test_an_id_beyond_the_vocabulary_fails_its_line_alone() -> None:
    rows = [Row(0, GenerationSettings(prefix=(77,)), (0,), frozenset(), 9), Row(1, GenerationSettings(), (0,), frozenset(), 9)]
    lines = [Line.of(row) for row in rows]
    advance(lines, torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    assert lines[0].error is not None
    assert (lines[1].written, lines[1].error) == ([1], None)


@pytest.mark.parametrize("kind", ["hanlin-decoder", "hanlin-gru-decoder", "gpt2"])
def test_what_is_told_is_what_the_network_thinks_whatever_the_rules(kind: str) -> None:
    model = pretrained(kind) if kind == "gpt2" else own(kind)
    ruled = GenerationSettings(
        max_new_tokens=10, tells=True, likeliest=4, temperature=1.5, top_k=5, presence_penalty=1.0, banned_ids=(3, 4), stop_ids=(),
        logit_bias=((7, 2.0),),
    )  # fmt: skip
    for row, found in zip(ROWS, write(model, ROWS, ruled), strict=True):
        ids = torch.tensor([[*row, *found.ids]])
        with torch.inference_mode():
            given = model(ids).logits if kind == "gpt2" else model(ids, torch.ones_like(ids))
        logs = given[0].log_softmax(-1)[len(row) - 1 : -1]
        assert len(found.seen) == len(found.ids) == 10
        for place, (token, seen) in enumerate(zip(found.ids, found.seen, strict=True)):
            assert seen.log == pytest.approx(float(logs[place, token]), abs=1e-4)
            assert seen.is_first == (token == int(logs[place].argmax()))
            values, tokens = logs[place].topk(4)
            assert [each for each, _ in seen.likeliest] == tokens.tolist()
            assert [log for _, log in seen.likeliest] == pytest.approx(values.tolist(), abs=1e-4)
    assert {one.seen for one in write(model, ROWS, GenerationSettings(max_new_tokens=3, likeliest=2))} == {()}  # nobody asked


def test_beams_tell_nothing_and_say_so() -> None:
    with pytest.raises(InvalidInput) as caught:
        GenerationSettings(num_beams=2, tells=True)
    assert caught.value.params["name"] == "'tells'"


@pytest.mark.parametrize(
    "settings", [{"top_p": 1.0}, {"top_p": 0.9}, {"top_p": 0.2}, {"temperature": 20.0}, {"temperature": 20.0, "top_p": 0.95}]
)
def test_draws_from_a_large_vocabulary_are_those_of_sorting_all_of_it(settings: dict[str, float]) -> None:
    asked = GenerationSettings(**{"temperature": 1.0, **settings})  # type: ignore[arg-type]
    scores = torch.randn(5000, generator=torch.Generator().manual_seed(2)) * 2
    found = [draw(scores, asked, torch.Generator().manual_seed(seed)) for seed in range(200)]
    values, tokens = (scores / asked.temperature).sort(descending=True)
    chances = values.softmax(0)
    sums = chances.cumsum(0)
    kept = int((sums - chances < asked.top_p).sum())
    for seed, token in enumerate(found):
        threshold = float(torch.rand((), generator=torch.Generator().manual_seed(seed))) * float(sums[kept - 1])
        assert token == int(tokens[int((sums[:kept] < threshold).sum())])
    assert len(set(found)) > 1
    assert math.isclose(float(sums[-1]), 1.0, abs_tol=1e-4)
