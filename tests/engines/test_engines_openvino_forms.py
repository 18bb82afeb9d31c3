"""Forms of answers on the openvino engine: what is finished keeps to them, what cannot keep to one is refused."""

from __future__ import annotations

import json

import pytest
from tests.engines.test_engines_openvino_writer import VOCABULARY, greedy, make, session_of
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from hanlin.compression.base import convert
from hanlin.engines.openvino_writer import OpenvinoWriter
from hanlin.errors import InvalidInput
from hanlin.generation import Constraint

SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["name", "kind", "values"],
    "properties": {
        "name": {"type": "string", "maxLength": 8}, "kind": {"enum": ["one", "two"]},
        "values": {"type": "array", "maxItems": 3, "items": {"type": "integer", "minimum": 0, "maximum": 99}},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def speller(tmp_path_factory: pytest.TempPathFactory) -> tuple[OpenvinoWriter, Tokenizer]:
    """A decoder that has learned nothing, over bytes and some pairs of them."""
    folder = tmp_path_factory.mktemp("speller")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 8, special_tokens=["<pad>", "<begin>", "<end>"], show_progress=False, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(['{"name": "one", "kind": "two", "values": [1, 22, 3]}'] * 9, trainer)
    make(folder, "llama")
    tokenizer.save(str(folder / "tokenizer.json"))
    convert(folder, "openvino-fp32", calibration=[])
    return session_of(folder, "openvino-fp32"), tokenizer


def test_every_finished_document_keeps_to_its_schema_beside_free_rows(speller: tuple[OpenvinoWriter, Tokenizer]) -> None:
    session, tokenizer = speller
    form = Constraint("json_schema", json.dumps(SCHEMA))
    drawn = {"temperature": 2.0, "stop_ids": (2,)}
    finished = 0
    for number in range(16):
        session.admit(number, [5, 6, 7], greedy(200, seed=number, constraint=form, **drawn))
        session.admit(100 + number, [5, 6, 7], greedy(9, seed=number, **drawn))
    written: dict[int, list[int]] = {}
    while session._batch.num_rows:
        for delta in session.turn():
            written.setdefault(delta.number, []).extend(delta.ids)
            if delta.finish == "stop" and delta.number < 100:
                found = json.loads(tokenizer.decode(written[delta.number]))
                finished += 1
                assert set(found) == {"name", "kind", "values"}
                assert found["kind"] in ("one", "two")
                assert all(0 <= value <= 99 for value in found["values"]) and len(found["values"]) <= 3
    assert finished >= 8
    session._batch.pool.check_integrity()


def test_a_form_that_cannot_be_kept_to_is_refused_before_anything_is_written(speller: tuple[OpenvinoWriter, Tokenizer]) -> None:
    session, _ = speller
    wrong = greedy(9, constraint=Constraint("regex", "(?=a)b"))
    with pytest.raises(InvalidInput) as caught:
        session.generate([[5]], [wrong])
    assert caught.value.code == "constraint_refused"
    with pytest.raises(InvalidInput):
        session.admit(1, [5], wrong)
    assert session._batch.num_rows == 0


def test_a_server_warms_it_up_although_it_has_no_beams(speller: tuple[OpenvinoWriter, Tokenizer]) -> None:
    from hanlin.serving.loading import _warm_up_writing

    session, _ = speller
    _warm_up_writing(session, [5, 6, 7])
    assert session._batch.num_rows == 0
