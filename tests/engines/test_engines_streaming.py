"""Sessions that stream: what is told token by token is what is written at once; forms that cannot be kept to are refused before a word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from hanlin.engines import load_variant, torch_writer
from hanlin.engines.base import StreamingSession
from hanlin.errors import EngineFailed, HanlinError, InvalidInput
from hanlin.generation import Constraint, Generated, GenerationSettings, Seen
from hanlin.networks.config import GENERATOR_TYPES, RECURRENT_WRITERS, NetworkConfig
from hanlin.networks.loading import build_generator, save_network
from hanlin.observe.memory import Memory

Asked = tuple[int, list[int], GenerationSettings]
ROWS = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]
ASKED = [
    GenerationSettings(max_new_tokens=count, tells=True, likeliest=3, temperature=heat) for count, heat in ((5, 0.0), (9, 1.3), (12, 0.0))
]


@pytest.fixture(params=GENERATOR_TYPES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(3)
    sizes = {"embedding_size": 16, "hidden_size": 16, "num_decoder_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = NetworkConfig(request.param, 30, max_position_embeddings=64, bos_token_id=2, eos_token_id=3, **sizes)  # type: ignore[arg-type]
    save_network(build_generator(config), tmp_path)
    return tmp_path


def streaming(folder: Path, variant: str = "torch-fp32") -> StreamingSession:
    session = load_variant(folder, variant, threads=1)
    assert isinstance(session, StreamingSession)
    return session


def gathered(session: StreamingSession, numbers: Sequence[int], coming: Sequence[Asked] = ()) -> dict[int, Generated | HanlinError]:
    """Turns until every row has had its last delta; of those that are coming one is admitted at each turn."""
    waiting = list(coming)
    ids: dict[int, list[int]] = {number: [] for number in numbers}
    seen: dict[int, list[Seen]] = {number: [] for number in numbers}
    scores = dict.fromkeys(numbers, 0.0)
    found: dict[int, Generated | HanlinError] = {}
    for _ in range(1000):
        if waiting:
            session.admit(*waiting.pop(0))
        for delta in session.turn():
            assert delta.number not in found
            ids[delta.number] += delta.ids
            seen[delta.number] += delta.seen
            scores[delta.number] += delta.score
            if delta.error is not None:
                found[delta.number] = delta.error
            elif delta.finish is not None:
                number = delta.number
                found[number] = Generated(tuple(ids[number]), delta.finish, scores[number], tuple(seen[number]), delta.num_cached)
        if len(found) == len(numbers):
            return found
    raise AssertionError("a row has no end")


@pytest.mark.parametrize("variant", ["torch-fp32", "torch-bf16", "torch-int8"])
def test_what_is_streamed_is_what_is_written_at_once(folder: Path, variant: str) -> None:
    session = streaming(folder, variant)
    whole = session.generate(ROWS, ASKED)
    for number, (row, settings) in enumerate(zip(ROWS, ASKED, strict=True)):
        session.admit(number, row, settings)
    found = gathered(session, range(3))
    assert session.turn() == []
    if variant == "torch-bf16":  # whose rounding depends on the batch
        return
    for number, one in enumerate(whole):
        mine = found[number]
        assert isinstance(mine, Generated)
        assert (mine.ids, mine.finish) == (one.ids, one.finish)
        assert mine.score == pytest.approx(one.score, abs=1e-4)
        assert [each.log for each in mine.seen] == pytest.approx([each.log for each in one.seen], abs=1e-4)
    session.close()


def test_its_room_is_what_its_states_leave_of_the_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_writer, "read_memory", lambda: Memory(2**30, 2**30))
    session = streaming(folder)
    kind = NetworkConfig.load(folder).model_type
    # fp32 keys and values of 16 numbers a token in one block; of an encoder–decoder those of its source as well
    expected = None if kind in RECURRENT_WRITERS else 2**30 // 4 // 2 // (2 * 16 * 4 * (2 if kind == "hanlin-seq2seq" else 1))
    assert session.room_tokens == expected
    assert session.max_rows >= 1


def test_what_it_does_not_do_is_refused_as_a_row_comes(folder: Path) -> None:
    session = streaming(folder)
    for settings in (GenerationSettings(num_beams=2), GenerationSettings(reads=True)):
        with pytest.raises(InvalidInput) as caught:
            session.admit(1, ROWS[0], settings)
        assert caught.value.code == "generation_not_served"
    with pytest.raises(InvalidInput) as caught:
        session.admit(1, ROWS[0], GenerationSettings(constraint=Constraint("json_object")))  # there is no tokenizer in the folder
    assert caught.value.code == "constraint_refused"
    assert session.turn() == []


def test_an_id_beyond_the_vocabulary_fails_its_row_alone(folder: Path) -> None:
    session = streaming(folder)
    session.admit(1, [99], ASKED[0])
    session.admit(2, ROWS[0], ASKED[0])
    found = gathered(session, [1, 2])
    assert isinstance(found[1], EngineFailed)
    assert isinstance(found[2], Generated)


def test_a_step_that_fails_loses_all_rows_and_not_the_session(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hanlin.networks.generation import continuous

    session = streaming(folder)
    session.admit(1, ROWS[0], ASKED[0])
    with monkeypatch.context() as patch:
        patch.setattr(continuous.ContinuousBatch, "_read", lambda self, size: self._groups[7 + size])
        with pytest.raises(EngineFailed) as caught:
            session.turn()
    assert caught.value.code == "engine_step_failed"
    assert session.turn() == []
    session.admit(1, ROWS[0], ASKED[0])
    assert isinstance(gathered(session, [1])[1], Generated)
