"""A smaller model that guesses: turns are saved where it is right, and nothing else changes, whoever comes and whatever it says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engines.test_engines_paged_batch import LIKE, STOP, VOCABULARY, Summing, batch_over, run
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from hanlin.compression.base import convert
from hanlin.engines import load_variant
from hanlin.engines.drafting import TOKENS, Drafter
from hanlin.engines.openvino_paged import Piece
from hanlin.engines.openvino_writer import OpenvinoWriter
from hanlin.engines.token_choice import Line
from hanlin.errors import EngineFailed
from hanlin.generation import Constraint, GenerationSettings
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build_generator, save_network
from hanlin.tasks.spec import DRAFT_FOLDER

POSITIONS = 1024


def wild(ids: Sequence[int]) -> int:
    """Nothing that stood there before is of help."""
    return (sum(ids) * 31 + len(ids) ** 2 + ids[-1] * 17) % 46 + 4


def nearly(ids: Sequence[int]) -> int:
    """As the large model, but for every ninth place."""
    return 7 if len(ids) % 9 == 0 else wild(ids)


def drafter_over(small: Summing, positions: int = POSITIONS) -> Drafter:
    return Drafter(small, positions=positions, vocabulary=VOCABULARY)


def asking(length: int, temperature: float = 0.0) -> GenerationSettings:
    return GenerationSettings(max_new_tokens=length, temperature=temperature, seed=3, tells=True, likeliest=1)


@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_a_draft_that_is_nearly_right_saves_turns_and_changes_nothing(temperature: float) -> None:
    found, steps = [], []
    for drafter in (None, drafter_over(small := Summing(next_token=nearly))):
        large, written = Summing(next_token=wild), dict[int, list[int]]()
        batch = batch_over(large, drafter)
        for number in range(2):  # one after the other: the second row has nothing of the first in the drafter's blocks but what it shares
            batch.admit(number, Line(asking(150, temperature), (*LIKE[: 30 + number], 5 + number), frozenset(), 150))
            run(batch, written)
            batch.pool.check_integrity()
        found.append(written)
        steps.append(len(large.read))
    assert found[0] == found[1]
    assert [len(each) for each in found[0].values()] == [150, 150]
    if not temperature:
        assert steps[1] < 0.45 * steps[0]
        assert max(small.read) <= len(LIKE), "what it holds is not read again"


def test_rows_that_come_amid_guesses_are_written_as_alone() -> None:
    large, small = Summing(next_token=wild), Summing(next_token=nearly)
    batch, written = batch_over(large, drafter_over(small)), dict[int, list[int]]()
    alone = dict[int, list[int]]()
    rows = {0: tuple(LIKE), 1: tuple(LIKE[:9]), 2: (5, 6, 7)}
    for number, row in rows.items():
        plain = batch_over(Summing(next_token=wild))
        plain.admit(number, Line(asking(60), row, frozenset({STOP}), 60))
        run(plain, alone)
    batch.admit(0, Line(asking(60), rows[0], frozenset({STOP}), 60))
    for _ in range(3):
        for delta in batch.turn():
            written.setdefault(delta.number, []).extend(delta.ids)
    assert len(written[0]) > 3, "several a turn"
    asked = len(small.read)
    for number in (1, 2):
        batch.admit(number, Line(asking(60), rows[number], frozenset({STOP}), 60))
    while 1 not in written:
        for delta in batch.turn():
            written.setdefault(delta.number, []).extend(delta.ids)
    assert len(small.read) == asked, "nobody guesses beside others"
    run(batch, written)
    assert written == alone
    batch.pool.check_integrity()


def test_a_draft_that_is_wrong_is_given_up_for_a_while_and_one_that_fails_ends_its_turn() -> None:
    large, small = Summing(next_token=wild), Summing(next_token=lambda ids: wild(ids) % 40 + 5)
    batch = batch_over(large, drafter_over(small))
    batch.admit(0, Line(asking(300), tuple(LIKE), frozenset(), 300))
    run(batch, {})
    assert 0 < len(small.read) < 150  # three for each of 300 tokens without a pause
    small.fails = True
    batch.admit(1, Line(asking(9), tuple(LIKE), frozenset(), 9))
    with pytest.raises(RuntimeError, match="told to fail"):
        run(batch, {})
    assert batch.num_rows == 0
    small.fails = False
    written = dict[int, list[int]]()
    batch.admit(2, Line(asking(9), tuple(LIKE), frozenset(), 9))
    run(batch, written)
    assert len(written[2]) == 9
    batch.close()


@pytest.mark.parametrize(("cost_s", "is_worth_it"), [(0.1, True), (3.0, False)])
def test_a_draft_that_is_right_but_slow_is_given_up(cost_s: float, is_worth_it: bool) -> None:
    large, small = Summing(next_token=wild), Costly(next_token=wild)
    small.large, small.cost_s = large, cost_s
    batch = batch_over(large, drafter_over(small))
    batch.admit(0, Line(asking(300), tuple(LIKE), frozenset(), 300))
    run(batch, {})
    assert (len(large.read) < 120, len(small.read) < 60) == (is_worth_it, not is_worth_it)


class Costly(Summing):
    """Whose steps take time of the large one's clock."""

    large: Summing
    cost_s: float

    def step(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        self.large.now_s += self.cost_s
        return super().step(pieces)


def test_a_drafter_knows_its_bounds() -> None:
    small = Summing(size=40, next_token=wild)
    drafter = drafter_over(small, positions=1100)
    assert drafter.draft([4, 5], 3) == [], "a turn without is timed first"
    drafter.costs.note(1.0, is_drafted=False)
    long_row = [4 + place % 40 for place in range(1090)]
    assert drafter.draft(long_row, 3) == drafter.draft(long_row, 3) == [], "it reads a piece a turn"
    guess = drafter.draft(long_row, 3)
    assert guess == [wild(long_row), wild([*long_row, guess[0]]), wild([*long_row, *guess[:2]])]
    assert small.read == [512, 512, 66, 1, 1]
    assert len(drafter.draft([*long_row, *guess, *guess, 9], 3)) == TOKENS
    assert len(drafter.draft([*long_row, *[5] * 10], 3)) == 1, "one place is left"
    assert drafter.draft([*long_row, *[5] * 11], 3) == []
    assert drafter.draft([4, VOCABULARY, 5], 3) == [] == drafter.draft([4, 5], 0)
    assert drafter.draft([4, 5], 9) == drafter.draft([4, 5], TOKENS) != []


WORDS = ["<pad>", "<begin>", "<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())]


def make(folder: Path, *, layers: int, seed: int, words: Sequence[str] = WORDS, variant: str = "openvino-fp32") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    config = NetworkConfig(
        "hanlin-decoder", embedding_size=64, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, positions="rotary",
        vocab_size=len(WORDS), hidden_size=64, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=96,
    )  # fmt: skip
    network = build_generator(config)
    for weights in network.parameters():
        weights.data *= 1.3
    save_network(network, folder)
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    convert(folder, variant, calibration=[[5, 6, 7]])
    return folder


def session_of(folder: Path) -> OpenvinoWriter:
    session = load_variant(folder, "openvino-fp32", threads=1)
    assert isinstance(session, OpenvinoWriter)
    return session


def test_a_decoder_with_a_draft_in_its_folder_writes_what_it_writes_without(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain", layers=2, seed=5)
    other = make(tmp_path / "other", layers=1, seed=6)
    asked = [
        GenerationSettings(max_new_tokens=60, stop_ids=()), GenerationSettings(max_new_tokens=60, temperature=0.9, top_k=9, seed=4),
        GenerationSettings(max_new_tokens=40, constraint=Constraint("regex", "[a-f]{20,30}z")),
    ]  # fmt: skip
    alone = session_of(plain)
    expected = [alone.generate([[1, 5, 9, 7]], [each])[0] for each in asked]
    alone.close()
    for number, draft in enumerate((plain, other)):
        both = tmp_path / f"both{number}"
        shutil.copytree(plain, both)
        shutil.copytree(draft, both / DRAFT_FOLDER)
        session = session_of(both)
        drafter = session._batch._drafter
        assert drafter is not None
        for _ in range(9):  # as if a turn without guesses took minutes: it guesses whenever it may
            drafter.costs.note(200.0, is_drafted=False)
        for each, right in zip(asked, expected, strict=True):
            (found,) = session.generate([[1, 5, 9, 7]], [each])
            assert (found.ids, found.finish) == (right.ids, right.finish)
            assert found.score == pytest.approx(right.score, abs=1e-3)
        assert len(drafter._held) > 4, "it has guessed"
        session.close()


def test_a_draft_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain", layers=1, seed=5)
    draft = plain / DRAFT_FOLDER
    make(draft, layers=1, seed=5, words=[*WORDS[:3], *reversed(WORDS[3:])])
    with pytest.raises(EngineFailed, match="another vocabulary"):
        load_variant(plain, "openvino-fp32", threads=1)
    shutil.copy(plain / "tokenizer.json", draft / "tokenizer.json")
    session_of(plain).close()
    shutil.move(draft / "variants", tmp_path / "aside")
    with pytest.raises(EngineFailed, match="no variant of this engine"):
        load_variant(plain, "openvino-fp32", threads=1)
    config = json.loads((draft / "config.json").read_text())
    (draft / "config.json").write_text(json.dumps(config | {"hanlin_head": {"output": "logits"}}))
    with pytest.raises(EngineFailed, match="does not write"):
        load_variant(plain, "openvino-fp32", threads=1)
