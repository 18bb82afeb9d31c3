"""Decoders on the openvino engine: the same tokens as the trained network, whatever comes and goes beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hanlin.compression.base import convert
from hanlin.engines import load_variant, openvino_paged
from hanlin.engines.base import StreamingSession
from hanlin.engines.blocks import BLOCK_TOKENS
from hanlin.engines.openvino_writer import OpenvinoWriter
from hanlin.errors import EngineFailed, InvalidInput
from hanlin.generation import Constraint, Generated, GenerationSettings, longer
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build_generator, save_network

VOCABULARY, POSITIONS = 300, 256
KINDS = ("llama", "qwen2", "qwen3", "gpt2", "rotary", "learned")
SIZES = {"vocab_size": VOCABULARY, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
VARIANTS = ("openvino-fp32", "openvino-int8", "openvino-int4")


def make(folder: Path, kind: str) -> Path:
    torch.manual_seed(5)
    if kind in ("rotary", "learned"):
        config = NetworkConfig(
            "hanlin-decoder", embedding_size=64, max_position_embeddings=POSITIONS, bos_token_id=1, eos_token_id=2, positions=kind, **SIZES
        )
        network = build_generator(config)
        for weights in network.parameters():
            weights.data *= 1.3  # far from even chances, as trained ones are
        save_network(network, folder)
    else:
        import transformers

        marks = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "initializer_range": 0.2}
        if kind == "gpt2":
            sizes = {"vocab_size": VOCABULARY, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS}
        else:
            sizes = SIZES | {"num_key_value_heads": 2, "max_position_embeddings": POSITIONS, "head_dim": 16}
        config = transformers.AutoConfig.for_model(kind, **sizes, **marks)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        values = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(values | {"hanlin_head": {"output": "sequences"}}))
    return folder


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, work = make(tmp_path_factory.mktemp(request.param), request.param), tmp_path_factory.mktemp("work")
    for variant in VARIANTS if request.param in ("llama", "rotary") else VARIANTS[:1]:
        convert(folder, variant, calibration=[[5, 6, 7]], workdir=work)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make(tmp_path_factory.mktemp("llama"), "llama")
    convert(folder, "openvino-fp32", calibration=[])
    return folder


@pytest.fixture(scope="module")
def llama(plain: Path) -> OpenvinoWriter:
    return session_of(plain, "openvino-fp32")


def session_of(folder: Path, variant: str) -> OpenvinoWriter:
    session = load_variant(folder, variant, threads=1)
    assert isinstance(session, OpenvinoWriter)
    return session


def rows_of(*lengths: int) -> list[list[int]]:
    chance = np.random.default_rng(3)
    return [chance.integers(3, VOCABULARY, length).tolist() for length in lengths]


def greedy(length: int, **more: object) -> GenerationSettings:
    return GenerationSettings(max_new_tokens=length, **more)  # type: ignore[arg-type]


def run(session: OpenvinoWriter, rows: dict[int, list[int]], settings: GenerationSettings) -> dict[int, Generated]:
    """Rows that are admitted one a turn."""
    waiting, written, found = list(rows.items()), {number: [] for number in rows}, {}
    while len(found) < len(rows):
        if waiting:
            session.admit(*waiting.pop(), settings)
        for delta in session.turn():
            written[delta.number] += delta.ids
            if delta.finish:
                found[delta.number] = Generated(tuple(written[delta.number]), delta.finish, num_cached=delta.num_cached)
    return found


def test_tokens_and_chances_are_those_of_the_trained_network(folder: Path) -> None:
    reference = load_variant(folder, "torch-fp32", threads=1)
    session = session_of(folder, "openvino-fp32")
    assert isinstance(session, StreamingSession)
    rows = rows_of(1, 7, 31, 32, 33, 64, 150)
    told = greedy(24, tells=True, likeliest=3)
    ours, theirs = session.generate(rows, [told] * 7), reference.generate(rows, [greedy(24)] * 7)  # type: ignore[attr-defined]
    for own, other in zip(ours, theirs, strict=True):
        gaps = [seen.likeliest[0][1] - seen.likeliest[1][1] for seen in own.seen]
        assert own.ids == other.ids or min(gaps) < 1e-3, "another token than the network's, and no tie"
        assert own.finish == other.finish
        assert abs(own.score - other.score) < 1e-3
        assert len(own.seen) == len(own.ids)
    reads = greedy(24, reads=True, likeliest=2)
    for own, other in zip(session.generate(rows, [reads] * 7), reference.generate(rows, [reads] * 7), strict=True):  # type: ignore[attr-defined]
        assert [seen.likeliest[0][0] for seen in own.seen] == [seen.likeliest[0][0] for seen in other.seen]
        np.testing.assert_allclose([seen.log for seen in own.seen], [seen.log for seen in other.seen], atol=2e-4)
    session.close()


@pytest.mark.parametrize("folder", ["llama", "rotary"], indirect=True, scope="module")
@pytest.mark.parametrize(("variant", "most"), [("openvino-int8", 0.1), ("openvino-int4", 1.0)])
def test_weights_in_few_bits_stay_near(folder: Path, variant: str, most: float) -> None:
    rows, reads = rows_of(40, 90), [greedy(1, reads=True)] * 2
    exact = session_of(folder, "openvino-fp32").generate(rows, reads)
    near = session_of(folder, variant).generate(rows, reads)
    differences = [abs(a.log - b.log) for one, other in zip(exact, near, strict=True) for a, b in zip(one.seen, other.seen, strict=True)]
    assert 0 < np.mean(differences) < most
    whole = (folder / "variants" / "openvino" / "model.bin").stat().st_size
    assert (folder / "variants" / variant / "model.bin").stat().st_size < whole / 2


def test_rows_that_come_and_go_are_written_as_they_are_alone(llama: OpenvinoWriter) -> None:
    rows = dict(enumerate(rows_of(3, 140, 5, 40, 70, 1)))
    alone = {number: llama.generate([row], [greedy(20)])[0] for number, row in rows.items()}
    found = run(llama, rows, greedy(20))
    assert {number: (one.ids, one.finish) for number, one in found.items()} == {n: (one.ids, one.finish) for n, one in alone.items()}
    llama._batch.pool.check_integrity()


def test_a_known_beginning_is_told_and_changes_nothing(llama: OpenvinoWriter) -> None:
    system, questions = rows_of(100)[0], rows_of(4, 9, 2)[1:]
    first = run(llama, {0: [*system, *questions[0]]}, greedy(12))[0]
    again = run(llama, {0: [*system, *questions[1]]}, greedy(12))[0]
    assert again.num_cached == 96
    assert again.ids == llama.generate([[*system, *questions[1]]], [greedy(12)])[0].ids
    assert run(llama, {0: [*system, *questions[0]]}, greedy(12))[0].ids == first.ids


def test_dropped_rows_are_gone_and_the_others_go_on(llama: OpenvinoWriter) -> None:
    rows = dict(enumerate(rows_of(30, 60, 7)))
    for number, row in rows.items():
        llama.admit(number, row, greedy(60))
    llama.turn()
    free = llama._batch.pool.num_free
    llama.drop(1)
    assert llama._batch.pool.num_free > free
    found: dict[int, list[int]] = {0: [], 2: []}
    while llama._batch.num_rows:
        for delta in llama.turn():
            found[delta.number] += delta.ids
    assert [found[0][-5:], found[2][-5:]] == [list(llama.generate([rows[n]], [greedy(60)])[0].ids[-5:]) for n in (0, 2)]


def test_rows_that_are_set_back_are_written_as_where_there_is_room_for_all(
    plain: Path, llama: OpenvinoWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_paged, "MEMORY_BYTES", 0)
    tight = session_of(plain, "openvino-fp32")
    assert (tight._model.size, llama._model.size > 100) == (POSITIONS // BLOCK_TOKENS, True)  # type: ignore[union-attr]
    before = llama._batch.num_set_back

    def written(session: OpenvinoWriter) -> list[Generated]:
        for number, row in enumerate(rows_of(30, 60, 7, 45, 33, 90)):
            drawn = {"temperature": 1.2, "seed": number} if number % 2 else {}
            session.admit(number, row, greedy(70, tells=True, stop_ids=(), **drawn))
        found = dict.fromkeys(range(6), Generated((), "cancelled"))
        while session._batch.num_rows:
            for delta in session.turn():
                found[delta.number] = longer(found[delta.number], delta)
            session._batch.pool.check_integrity()
        return [*found.values()]

    narrow, wide = written(tight), written(llama)
    assert tight._batch.num_set_back >= 2 and llama._batch.num_set_back == before
    assert [(one.ids, one.finish) for one in narrow] == [(one.ids, one.finish) for one in wide]
    assert {len(one.ids) for one in narrow} == {70}
    for one, other in zip(narrow, wide, strict=True):
        np.testing.assert_allclose([seen.log for seen in one.seen], [seen.log for seen in other.seen], atol=1e-3)
    assert tight._batch.pool.num_free == tight._model.size  # type: ignore[union-attr]
    tight.close()


def test_draws_are_a_rows_own_and_repeatable(llama: OpenvinoWriter) -> None:
    row = rows_of(12)[0]
    drawn = greedy(16, temperature=1.2, top_p=0.9, top_k=50, seed=7)
    alone = llama.generate([row], [drawn])[0].ids
    among = llama.generate([*rows_of(5, 80, 9), row], [greedy(16, temperature=1.0)] * 3 + [drawn])[-1].ids
    assert alone == among
    assert alone != llama.generate([row], [greedy(16, temperature=1.2, top_p=0.9, top_k=50, seed=8)])[0].ids


def test_rows_end_where_the_positions_end(llama: OpenvinoWriter) -> None:
    full, nearly = rows_of(POSITIONS, POSITIONS - 3)
    found = llama.generate([full, nearly], [greedy(20, stop_ids=())] * 2)
    assert (found[0].ids, found[0].finish) == ((), "length")
    assert (len(found[1].ids), found[1].finish) == (3, "length")


def test_who_is_not_wanted_keeps_what_was_written(llama: OpenvinoWriter) -> None:
    asked: list[int] = []

    def is_wanted(number: int) -> bool:
        asked.append(number)
        return number != 1 or asked.count(1) < 6

    found = llama.generate(rows_of(5, 6), [greedy(20, stop_ids=())] * 2, is_wanted=is_wanted)
    assert (found[0].finish, found[1].finish) == ("length", "cancelled")
    assert len(found[1].ids) == 5


def test_what_is_not_served_is_refused_by_name(llama: OpenvinoWriter) -> None:
    with pytest.raises(InvalidInput) as caught:
        llama.generate([[5]], [greedy(4, num_beams=2)])
    assert caught.value.code == "setting_not_served"
    assert "num_beams" in caught.value.message
    with pytest.raises(EngineFailed):
        llama.generate([[VOCABULARY]], [greedy(4)])
    with pytest.raises(EngineFailed):
        llama.generate([[5, VOCABULARY]], [greedy(4, reads=True)])
    assert len(llama.generate([[5]], [greedy(4, stop_ids=())])[0].ids) == 4


def test_other_networks_that_write_have_no_such_form(tmp_path: Path) -> None:
    sizes = {"embedding_size": 16, "hidden_size": 16, "num_decoder_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = NetworkConfig("hanlin-seq2seq", 30, max_position_embeddings=64, bos_token_id=2, eos_token_id=3, **sizes)
    save_network(build_generator(config), tmp_path)
    with pytest.raises(InvalidInput) as caught:
        convert(tmp_path, "openvino-fp32", calibration=[])
    assert caught.value.code == "cannot_export"
    assert not (tmp_path / "variants" / "openvino").exists()


def test_a_model_without_a_tokenizer_is_held_to_no_form(llama: OpenvinoWriter) -> None:
    with pytest.raises(InvalidInput) as caught:
        llama.admit(1, [5], greedy(4, constraint=Constraint("regex", "a")))
    assert caught.value.code == "constraint_refused"
