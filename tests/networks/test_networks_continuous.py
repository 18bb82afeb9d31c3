"""Rows that come and go: each is written as it is alone, whoever shares the batch, and whenever it came."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.networks.test_networks_generation import CAUSAL, ROWS, SEQ2SEQ, own, pretrained, shaken
from torch import Tensor, nn

from hanlin.errors import EngineFailed
from hanlin.generation import Delta, Generated, GenerationSettings, Seen
from hanlin.networks.config import GENERATOR_TYPES
from hanlin.networks.generation.continuous import ContinuousBatch
from hanlin.networks.generation.pace import Pace
from hanlin.networks.generation.run import generate, step_model

ON_BERT = "hanlin-seq2seq on bert"  # with an encoder of BERT's form
KINDS = (*GENERATOR_TYPES, ON_BERT, *CAUSAL, *SEQ2SEQ, "mistral", "opt")
CONTINUING = (*(kind for kind in GENERATOR_TYPES if kind != "hanlin-seq2seq"), *CAUSAL, "mistral", "opt")
LONG = [(7 * place + 3) % 37 + 3 for place in range(50)]


def failed(error: Exception) -> EngineFailed:
    return EngineFailed("engine_step_failed", variant="test", details=str(error))


def network(kind: str) -> nn.Module:
    import transformers as hf

    if kind == ON_BERT:
        return own("hanlin-seq2seq", encoder="bert", encoder_positions=80, layer_norm_eps=1e-12)
    if kind in GENERATOR_TYPES:
        return own(kind, positions="rotary" if kind == "hanlin-decoder" else "learned", max_position_embeddings=80)
    ids = {"vocab_size": 40, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "max_position_embeddings": 80}
    if kind == "mistral":  # whose window is shorter than its rows
        stack = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
        return shaken(hf.MistralForCausalLM(hf.MistralConfig(**ids, **stack, sliding_window=8)))
    if kind == "opt":  # which counts positions by the mask
        sizes = {"hidden_size": 16, "word_embed_proj_dim": 16, "ffn_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        return shaken(hf.OPTForCausalLM(hf.OPTConfig(**ids, **sizes)))
    return pretrained(kind)


@dataclass
class Heard:
    """What was told of one row."""

    ids: list[int] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    score: float = 0.0
    last: Delta | None = None

    def take(self, delta: Delta) -> None:
        assert self.last is None, "nothing comes behind the last"
        self.ids += delta.ids
        self.seen += delta.seen
        self.score += delta.score
        self.last = delta if delta.finish else None


def listen(batch: ContinuousBatch, heard: dict[int, Heard]) -> None:
    for delta in batch.turn():
        heard[delta.number].take(delta)


def write_all(
    model: nn.Module, rows: Sequence[Sequence[int]], asked: Sequence[GenerationSettings], *, seed: int = 0, room_tokens: int | None = None,
    kept_tokens: int = 0, pace: Pace | None = None,
) -> dict[int, Heard]:  # fmt: skip
    """Rows admitted one after the other, at random turns."""
    batch = ContinuousBatch(step_model(model), room_tokens=room_tokens, kept_tokens=kept_tokens, failed=failed, pace=pace)
    chance, heard, coming = random.Random(seed), {number: Heard() for number in range(len(rows))}, list(range(len(rows)))
    for _ in range(1000):
        while coming and chance.random() < 0.4:
            number = coming.pop(0)
            batch.admit(number, rows[number], asked[number])
        listen(batch, heard)
        if not coming and not batch.num_rows:
            break
    assert batch.size_bytes == 0
    return heard


def assert_alike(heard: Heard, alone: Generated) -> None:
    assert heard.last is not None
    assert (tuple(heard.ids), heard.last.finish) == (alone.ids, alone.finish)
    assert heard.score == pytest.approx(alone.score, abs=1e-3)
    for mine, theirs in zip(heard.seen, alone.seen, strict=True):
        assert mine.log == pytest.approx(theirs.log, abs=1e-4)


MODELS: dict[str, nn.Module] = {}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate])
@given(data=st.data())
def test_a_row_is_written_as_it_is_alone(kind: str, data: st.DataObject) -> None:
    model = MODELS.setdefault(kind, network(kind))
    rows = data.draw(st.lists(st.lists(st.integers(3, 39), min_size=1, max_size=24), min_size=1, max_size=6))
    asked = [
        GenerationSettings(
            max_new_tokens=data.draw(st.integers(1, 14)), temperature=data.draw(st.sampled_from([0.0, 0.0, 1.2])), seed=number, tells=True,
            top_p=0.9, presence_penalty=data.draw(st.sampled_from([0.0, 1.5])), stop_ids=(1, 4, 9),
        )
        for number in range(len(rows))
    ]  # fmt: skip
    heard = write_all(model, rows, asked, seed=data.draw(st.integers(0, 99)), room_tokens=data.draw(st.sampled_from([None, 60])))
    for number, row in enumerate(rows):
        assert_alike(heard[number], generate(step_model(model), [row], [asked[number]])[0])


@pytest.mark.parametrize("kind", CONTINUING)
def test_a_row_in_pieces_is_the_row_as_a_whole(kind: str) -> None:
    model, asked = network(kind), GenerationSettings(max_new_tokens=10, tells=True)
    rows = [LONG[:9], LONG, LONG[5:30]]
    for size in (1, 7, 16):
        for number, heard in write_all(model, rows, [asked] * 3, pace=Pace(size)).items():
            assert_alike(heard, generate(step_model(model), [rows[number]], [asked])[0])


def test_others_go_on_while_a_long_row_is_read() -> None:
    batch = ContinuousBatch(step_model(network("llama")), failed=failed, pace=Pace(8))
    batch.admit(1, [5, 6], GenerationSettings(max_new_tokens=20, stop_ids=()))
    batch.turn()
    batch.admit(2, LONG, GenerationSettings(max_new_tokens=5, stop_ids=()))
    told = [[delta.number for delta in batch.turn()] for _ in range(7)]
    assert told == [[1]] * 6 + [[1, 2]]  # 50 tokens are seven pieces, and the last of them writes


def test_a_short_row_does_not_wait_for_the_end_of_a_long_one() -> None:
    asked = GenerationSettings(max_new_tokens=30, stop_ids=())
    batch = ContinuousBatch(step_model(network("llama")), failed=failed, pace=Pace(8))
    batch.admit(0, [5, 6], asked)
    batch.turn()
    for number, row in enumerate([LONG[:40], [7], [8, 9]], 1):
        batch.admit(number, row, asked)
    told = [{delta.number for delta in batch.turn()} for _ in range(6)]
    assert told == [{0}, {0, 2, 3}, *[{0, 2, 3}] * 3, {0, 1, 2, 3}]


def test_who_begins_like_a_row_that_is_being_read_waits_for_it() -> None:
    model, asked = network("llama"), GenerationSettings(max_new_tokens=3, stop_ids=())
    batch, heard = (
        ContinuousBatch(step_model(model), kept_tokens=500, failed=failed, pace=Pace(16)),
        {number: Heard() for number in range(3)},
    )
    rows = [LONG, [*LONG[:45], 9, 9], [*reversed(LONG)]]
    batch.admit(0, rows[0], asked)
    listen(batch, heard)
    for number in (1, 2):
        batch.admit(number, rows[number], asked)
    while batch.num_rows:
        listen(batch, heard)
    assert [each.last.num_cached for each in heard.values() if each.last] == [0, 45, 0]
    for number, row in enumerate(rows):
        assert_alike(heard[number], generate(step_model(model), [row], [asked])[0])


@pytest.mark.parametrize("kind", CONTINUING)
def test_what_was_read_is_not_read_again(kind: str) -> None:
    model, asked = network(kind), GenerationSettings(max_new_tokens=8, tells=True)
    rows = [LONG, [*LONG, 5, 6], [*LONG[:40], 9, 9, 9], [*LONG, 5, 6], LONG[:33]]
    batch, heard = ContinuousBatch(step_model(model), kept_tokens=1000, failed=failed), {number: Heard() for number in range(len(rows))}
    for number, row in enumerate(rows):
        batch.admit(number, row, asked)
        while batch.num_rows:
            listen(batch, heard)
        assert_alike(heard[number], generate(step_model(model), [row], [asked])[0])
    cached = [each.last.num_cached for each in heard.values() if each.last]
    is_whole = kind in GENERATOR_TYPES and kind != "hanlin-decoder"  # a state knows whole rows alone
    assert cached == ([0, 50, 0, 0, 0] if is_whole else [0, 50, 40, 51, 32])


def test_what_is_kept_has_a_bound_and_the_oldest_goes_first() -> None:
    batch = ContinuousBatch(step_model(network("hanlin-decoder")), kept_tokens=110, failed=failed)
    rows = [[first, *LONG[1:]] for first in (5, 6, 7)]
    heard = {number: Heard() for number in range(6)}
    for number, row in enumerate([rows[0], rows[1], rows[0], rows[2], rows[1], rows[0]]):
        batch.admit(number, row, GenerationSettings(max_new_tokens=2))
        while batch.num_rows:
            listen(batch, heard)
    assert [each.last.num_cached for each in heard.values() if each.last] == [0, 0, 49, 0, 0, 0]


@pytest.mark.parametrize("kind", ["hanlin-decoder", "hanlin-lstm-decoder", "hanlin-seq2seq", "llama", "bart", "t5"])
def test_who_is_dropped_is_forgotten_and_nobody_notices(kind: str) -> None:
    model, asked = network(kind), GenerationSettings(max_new_tokens=12, stop_ids=())
    batch, heard = ContinuousBatch(step_model(model), kept_tokens=500, failed=failed), {number: Heard() for number in range(4)}
    for number, row in enumerate(ROWS):
        batch.admit(number, row, asked)
    batch.drop(3)  # before it was read
    assert batch.num_rows == 3
    for _ in range(4):
        listen(batch, heard)
    batch.drop(1)
    batch.drop(99)
    assert batch.num_rows == 2
    before = batch.size_bytes
    listen(batch, heard)
    assert batch.size_bytes < before
    batch.admit(1, ROWS[3], asked)  # its number is free
    heard[1] = Heard()
    while batch.num_rows:
        listen(batch, heard)
    assert heard[3] == Heard()
    for number, row in ((0, ROWS[0]), (2, ROWS[2]), (1, ROWS[3])):
        assert_alike(heard[number], generate(step_model(model), [row], [asked])[0])
    assert batch.size_bytes == 0


def test_rows_beyond_the_room_wait_and_come_in_turn() -> None:
    model, asked = network("hanlin-decoder"), GenerationSettings(max_new_tokens=6, stop_ids=())
    batch = ContinuousBatch(step_model(model), room_tokens=20, failed=failed)
    for number in range(3):
        batch.admit(number, [5, 6, 7 + number], asked)
    batch.admit(3, LONG, asked)
    told = []
    while batch.num_rows:
        told += [[delta.number for delta in batch.turn()]]
    assert told == [[0, 1]] * 6 + [[2]] * 6 + [[3]] * 6


def test_a_row_without_room_and_ids_that_are_none_end_alone() -> None:
    model = network("hanlin-decoder")
    batch, heard = ContinuousBatch(step_model(model), failed=failed), {number: Heard() for number in range(5)}
    asked = GenerationSettings(max_new_tokens=4, stop_ids=())
    for number, row in enumerate([[3] * 80, [3] * 78, [40], [5], [5]]):
        batch.admit(number, row, replace(asked, banned_ids=(77,)) if number == 3 else asked)
    while batch.num_rows:
        listen(batch, heard)
    ends = {number: each.last for number, each in heard.items() if each.last}
    assert {number: (len(heard[number].ids), end.finish, end.error is None) for number, end in ends.items()} == {
        0: (0, "length", True), 1: (2, "length", True), 2: (0, "cancelled", False), 3: (4, "length", True), 4: (4, "length", True),
    }  # fmt: skip
    assert heard[3].ids == heard[4].ids, "an id that is none is never written"


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, IndexError])
def test_a_form_that_fails_or_was_never_made_ends_its_row_alone(kind: type[Exception]) -> None:
    def fail(_written: Sequence[int]) -> bool:
        raise kind("amid a row")

    failing, never = Future(), Future()  # type: ignore[var-annotated]  # of forms
    failing.set_result(SimpleNamespace(allowed=fail, may_end=fail, must_end=fail))
    never.set_exception(BaseException("a panic"))
    batch, heard = ContinuousBatch(step_model(network("hanlin-decoder")), failed=failed), {number: Heard() for number in range(3)}
    for number, form in enumerate((failing, never, None)):
        batch.admit(number, [5, 6], GenerationSettings(max_new_tokens=3, stop_ids=()), form)
    while batch.num_rows:
        listen(batch, heard)
    assert [(each.last.finish, each.last.error is None) for each in heard.values() if each.last] == [
        ("cancelled", False), ("cancelled", False), ("length", True),
    ]  # fmt: skip
    assert len(heard[2].ids) == 3


def test_scores_that_are_no_numbers_fail_their_row_alone() -> None:
    model = network("hanlin-decoder")
    with torch.no_grad():
        model.decoder.tokens.weight[30] = float("nan")  # type: ignore[union-attr,index,operator]  # and so the score of token 30, whatever is read

    def hide(_module: nn.Module, _given: object, scores: Tensor) -> Tensor:
        return torch.where(scores.isnan().all(-1, keepdim=True), scores, scores.nan_to_num(-100.0))

    model.decoder.register_forward_hook(hide)  # type: ignore[union-attr,operator]
    batch, heard = ContinuousBatch(step_model(model), failed=failed), {1: Heard(), 2: Heard()}
    batch.admit(1, [5, 30], GenerationSettings(max_new_tokens=3))
    batch.admit(2, [5, 6], GenerationSettings(max_new_tokens=3, stop_ids=()))
    while batch.num_rows:
        listen(batch, heard)
    assert heard[1].last is not None and heard[1].last.error is not None
    assert len(heard[2].ids) == 3
