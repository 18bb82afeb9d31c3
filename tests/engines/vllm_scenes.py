"""What the vllm engine is asked, and what must come of it: played by the real library where it is, and by its recording.

Each scene gets the session and the trained network's own, `torch-fp32`. Rows that have forms come alone, for nobody can tell at which turn
a form is ready.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from hanlin.engines.base import WritingSession
from hanlin.engines.vllm_writer import VllmWriter
from hanlin.errors import EngineFailed, InvalidInput
from hanlin.generation import Constraint, Delta, Generated, GenerationSettings

VOCABULARY, POSITIONS = 300, 256
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["kind", "values"],
    "properties": {
        "kind": {"enum": ["one", "two"]},
        "values": {"type": "array", "maxItems": 2, "items": {"type": "integer", "minimum": 0, "maximum": 9}},
    },
}  # fmt: skip
CALLS = {
    "before": "<call>", "behind": "</call>", "between": "", "most": 1,
    "tools": [{"name": "look", "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"],
                                              "additionalProperties": False}}],
}  # fmt: skip
Scene = Callable[[VllmWriter, WritingSession, Path], None]


def make_folder(folder: Path) -> Path:
    """A Llama that has learned nothing, over bytes and some pairs of them. vLLM's CPU build wants heads of 32 and more."""
    import transformers

    torch.manual_seed(5)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=32,
        intermediate_size=96, max_position_embeddings=POSITIONS, bos_token_id=1, eos_token_id=2, pad_token_id=0, initializer_range=0.2,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"hanlin_head": {"output": "sequences"}}))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 8, special_tokens=["<pad>", "<begin>", "<end>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(['{"name": "one", "kind": "two", "values": [1, 22, 3]}'] * 9, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def rows_of(*lengths: int) -> list[list[int]]:
    chance = np.random.default_rng(3)
    return [chance.integers(3, VOCABULARY, length).tolist() for length in lengths]


def asked(length: int, **more: object) -> GenerationSettings:
    return GenerationSettings(max_new_tokens=length, **more)  # type: ignore[arg-type]


def until(session: VllmWriter, is_enough: Callable[[list[Delta]], bool], found: list[Delta]) -> list[Delta]:
    """Turns until what was found, by then and now, is enough. How much a turn tells is left open."""
    while not is_enough(found):
        found += session.turn()
    return found


def written(found: list[Delta], number: int) -> tuple[int, ...]:
    return tuple(token for delta in found if delta.number == number for token in delta.ids)


def ended(found: list[Delta], *numbers: int) -> bool:
    return {*numbers} <= {delta.number for delta in found if delta.finish}


def tokens_and_chances(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """Greedily, the tokens of the trained network; and how it saw them coming."""
    rows = rows_of(1, 7, 33, 64)
    told = [asked(16, tells=True, likeliest=3)] * 4
    for own, other in zip(session.generate(rows, told), reference.generate(rows, told), strict=True):
        assert (own.ids, own.finish) == (other.ids, other.finish)
        assert abs(own.score - other.score) < 1e-3
        _assert_alike(own, other)


def reading(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """Rows that are read, and not written."""
    rows, reads = rows_of(5, 40), [asked(1, reads=True, likeliest=2)] * 2
    for row, own, other in zip(rows, session.generate(rows, reads), reference.generate(rows, reads), strict=True):
        assert (own.ids, own.finish, len(own.seen)) == ((), "stop", len(row) - 1)
        _assert_alike(own, other)


def rules(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """Penalties, biases, banned ids, least lengths and stops of a call's own do what they do elsewhere; unknown ids nothing."""
    row = rows_of(9)[0]
    free = reference.generate([row], [asked(12)])[0].ids
    for more in (
        {"repetition_penalty": 1.3, "presence_penalty": 0.5, "frequency_penalty": 0.7},
        {"logit_bias": ((7, 5.0),), "banned_ids": (free[0],), "min_new_tokens": 5},
        {"stop_ids": (free[3],)},
        {"stop_ids": (free[3],), "min_new_tokens": 8},
    ):
        own, other = (each.generate([row], [asked(12, **more)])[0] for each in (session, reference))
        assert (own.ids, own.finish) == (other.ids, other.finish), more
    beyond = asked(4, logit_bias=((9999, 1.0),), banned_ids=(9999,), stop_ids=(9999,))
    assert session.generate([row], [beyond])[0].ids == free[:4]


def draws(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """A row's draws are its own: the same alone and among others, others by another seed."""
    row = rows_of(12)[0]
    drawn = [asked(8, temperature=1.2, top_p=0.9, top_k=50, seed=seed) for seed in (7, 8)]
    alone = session.generate([row], drawn[:1])[0].ids
    others = session.generate([*rows_of(5, 30), row], [asked(8, temperature=1.0)] * 2 + drawn[:1])
    assert others[2].ids == alone
    assert session.generate([row], drawn[1:])[0].ids != alone


def forms(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """Whatever is drawn, what ends keeps to its form: also where all that may come was banned."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def kept_to(kind: str, text: str, **more: object) -> str:
        constraint = Constraint(kind, text)  # type: ignore[arg-type]
        found = session.generate([[5, 6, 7]], [asked(90, constraint=constraint, temperature=1.0, seed=1, **more)])[0]
        assert found.finish == "stop"
        return str(tokenizer.decode(list(found.ids)))

    assert re.fullmatch("[ab]{3}x", kept_to("regex", "[ab]{3}x", min_new_tokens=20))
    assert kept_to("lark", 'start: "ab" /[0-9]/', banned_ids=tuple(range(3, VOCABULARY)))[:2] == "ab"
    document = json.loads(kept_to("json_schema", json.dumps(SCHEMA)))
    assert document["kind"] in ("one", "two") and len(document["values"]) <= 2
    assert isinstance(json.loads(kept_to("json_object", "", stop_ids=(3,))), dict)
    call = kept_to("tool_calls", json.dumps(CALLS)).removeprefix("<call>").removesuffix("</call>")
    assert json.loads(call) in [{"name": "look", "arguments": {"on": value}} for value in (True, False)]


def forms_that_are_none(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """They end their row, and vLLM never hears of it."""
    unique = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "minItems": 2}
    for constraint in (Constraint("regex", "(?=a)b"), Constraint("json_schema", json.dumps(unique))):
        session.admit(1, [5], asked(4, constraint=constraint))
        found: list[Delta] = []
        while not found:
            found = session.turn()
        assert [(each.number, each.finish) for each in found] == [(1, "cancelled")]
        assert isinstance(found[0].error, InvalidInput)
        assert found[0].error.code == "constraint_refused"


def coming_and_going(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """Rows come at different turns, one is dropped, one is none; each ends once, as it is written alone."""
    rows = rows_of(3, 70, 5)
    lengths = (100, 10, 10)
    alone = [reference.generate([row], [asked(length, stop_ids=())])[0].ids for row, length in zip(rows, lengths, strict=True)]
    session.admit(1, rows[0], asked(100, stop_ids=()))
    found = until(session, lambda found: bool(written(found, 1)), [])
    session.admit(2, rows[1], asked(10, stop_ids=()))
    session.admit(3, [VOCABULARY], asked(10))
    found = until(session, lambda found: bool(written(found, 2)), found)
    session.admit(4, rows[2], asked(10, stop_ids=()))
    session.drop(1)
    session.drop(1)
    length = len(written(found, 1))
    found = until(session, lambda found: ended(found, 2, 4), found)
    assert 0 < len(written(found, 1)) == length < 100, "it was told of after it was dropped"
    assert written(found, 1) == alone[0][:length]
    assert [written(found, number) for number in (2, 3, 4)] == [alone[1], (), alone[2]]
    assert sorted((delta.number, delta.finish) for delta in found if delta.finish) == [(2, "length"), (3, "cancelled"), (4, "length")]
    assert [type(delta.error) for delta in found if delta.number == 3] == [EngineFailed]
    assert session.turn() == []


def known_beginnings(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """What was read is told of and changes nothing; what judges begins anew."""
    row = rows_of(200)[0]
    for number in (1, 2):
        session.admit(number, row, asked(3, stop_ids=()))
        found = until(session, lambda found, number=number: ended(found, number), [])  # type: ignore[misc]
        assert [delta.num_cached > 0 for delta in found if delta.finish] == [number == 2]
        assert written(found, number) == reference.generate([row], [asked(3, stop_ids=())])[0].ids
    assert session.generate([row], [asked(3, stop_ids=())])[0].num_cached == 0


def ends_of_positions(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """Where the positions end, rows do; a row that fills them all cannot be read."""
    full, nearly = rows_of(POSITIONS, POSITIONS - 3)
    found = session.generate([full, nearly], [asked(20, stop_ids=())] * 2)
    assert (found[0].ids, found[0].finish) == ((), "length")
    assert (len(found[1].ids), found[1].finish) == (3, "length")
    try:
        session.generate([full], [asked(1, reads=True)])
    except EngineFailed as error:
        assert error.code == "engine_step_failed"
    else:
        raise AssertionError("a row of all positions was read")


def who_leaves(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """Who is not wanted any more keeps what was written."""
    times: list[int] = []

    def is_wanted(number: int) -> bool:
        times.append(number)
        return number != 1 or times.count(1) < 6

    rows = rows_of(5, 6)
    found = session.generate(rows, [asked(12, stop_ids=()), asked(100, stop_ids=())], is_wanted=is_wanted)
    assert [each.finish for each in found] == ["length", "cancelled"]
    whole = reference.generate(rows[1:], [asked(100, stop_ids=())])[0].ids
    assert 0 < len(found[1].ids) < 100 and found[1].ids == whole[: len(found[1].ids)]


def settings_not_served(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """They are refused by name."""
    for name, value in (("num_beams", 2), ("no_repeat_ngram", 2), ("prefix", (5,)), ("adapter", 0), ("reads", True)):
        try:
            session.admit(1, [5], asked(4, **{name: value}))
        except InvalidInput as error:
            assert error.code == "setting_not_served" and name in error.message
        else:
            raise AssertionError(f"{name} was taken")
    assert session.turn() == []


def what_vllm_refuses(session: VllmWriter, reference: WritingSession, folder: Path) -> None:
    """What it says no to fails the row alone. Nothing of the kind is sent, as far as is known: the check before it is lifted here."""
    session._num_tokens = 10 * VOCABULARY
    try:
        session.admit(1, [VOCABULARY + 700], asked(4))
    finally:
        session._num_tokens = VOCABULARY
    session.admit(2, [5, 6], asked(2, stop_ids=()))
    found = until(session, lambda found: ended(found, 1, 2), [])
    assert sorted((each.number, each.finish) for each in found if each.finish) == [(1, "cancelled"), (2, "length")]
    assert [type(each.error) for each in found if each.number == 1] == [EngineFailed]


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        tokens_and_chances, reading, rules, draws, forms, forms_that_are_none, coming_and_going, known_beginnings, ends_of_positions,
        who_leaves, settings_not_served, what_vllm_refuses,
    )
}  # fmt: skip


def _assert_alike(own: Generated, other: Generated) -> None:
    np.testing.assert_allclose([each.log for each in own.seen], [each.log for each in other.seen], atol=5e-4)
    assert [each.is_first for each in own.seen] == [each.is_first for each in other.seen]
    assert [[token for token, _ in each.likeliest] for each in own.seen] == [[token for token, _ in each.likeliest] for each in other.seen]
