"""Networks that write, by the engines that can: the torch engine writes what the network writes; others say that they do not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hanlin.engines import ENGINES, WritingSession, load_variant
from hanlin.engines.base import writing
from hanlin.errors import EngineFailed, InvalidInput
from hanlin.generation import Generated, GenerationSettings
from hanlin.networks.config import GENERATOR_TYPES, NetworkConfig
from hanlin.networks.generation.run import generate, step_model
from hanlin.networks.loading import build_generator, load_own_generator, save_network

ROWS = [[5, 6, 7], [8], [9, 10, 11, 12, 13]]
SETTINGS = [GenerationSettings(max_new_tokens=length) for length in (5, 9, 12)]


ON_BERT = "hanlin-seq2seq on bert"  # with an encoder of BERT's form


@pytest.fixture(params=[*GENERATOR_TYPES, ON_BERT])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(3)
    encoder = {"encoder": "bert", "encoder_positions": 16} if request.param == ON_BERT else {}
    network = build_generator(
        NetworkConfig(
            request.param.partition(" ")[0], 30, embedding_size=16, hidden_size=16, num_decoder_layers=1, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=64, bos_token_id=2, eos_token_id=3, **encoder,
        )
    )  # fmt: skip
    save_network(network, tmp_path)
    return tmp_path


def test_the_torch_engine_writes_what_the_network_writes(folder: Path) -> None:
    session = load_variant(folder, "torch-fp32", threads=1)
    assert isinstance(session, WritingSession)
    assert session.generate(ROWS, SETTINGS) == generate(step_model(load_own_generator(folder)), ROWS, SETTINGS)
    with pytest.raises(EngineFailed):
        session.run(np.array([[5]]), np.array([[1]]))
    session.close()
    rough = load_variant(folder, "torch-bf16", threads=1)
    assert isinstance(rough, WritingSession)
    assert [one.finish for one in rough.generate(ROWS, SETTINGS)] != []


def test_an_id_beyond_the_vocabulary_fails_the_step_and_not_the_session(folder: Path) -> None:
    session = writing(load_variant(folder, "torch-fp32", threads=1), "torch-fp32")
    with pytest.raises(EngineFailed) as caught:
        session.generate([[99]], SETTINGS[:1])
    assert caught.value.code == "engine_step_failed"
    assert len(session.generate(ROWS, SETTINGS)) == 3


@pytest.mark.parametrize("name", sorted(name for name in ENGINES.names() if not ENGINES.get(name).capabilities.writes))
def test_other_engines_say_that_they_do_not_write(folder: Path, name: str) -> None:
    with pytest.raises(EngineFailed) as caught:
        load_variant(folder, f"{name}-fp32", threads=1)
    assert caught.value.code == "engine_load_failed"
    assert "write" in str(caught.value)


def test_the_fake_writes_backwards_and_ends_as_told(tmp_path: Path) -> None:
    (tmp_path / "fake.json").write_text(json.dumps({"writes": True, "fail_token": 7}))
    session = writing(load_variant(tmp_path, "fake-fp32", threads=1), "fake-fp32")
    asked = [GenerationSettings(max_new_tokens=2), GenerationSettings(), GenerationSettings()]
    found = session.generate([[1, 2, 3], [4, 5], [6]], asked, is_wanted=lambda row: row != 1)
    assert found == [Generated((3, 2), "length"), Generated((), "cancelled"), Generated((6,), "stop")]
    with pytest.raises(EngineFailed):
        session.generate([[7]], asked[:1])
    (tmp_path / "fake.json").write_text("{}")
    with pytest.raises(InvalidInput) as caught:
        writing(load_variant(tmp_path, "fake-fp32", threads=1), "fake-fp32")
    assert caught.value.code == "generation_not_served"
