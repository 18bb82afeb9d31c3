"""Language models from texts larger than memory: rows on disk, no token sees another text, runs that are killed end in the same bits."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.training.useful import useful
from torch.nn import functional

from hanlin.datasets import Split
from hanlin.errors import InvalidInput
from hanlin.networks.loading import load_model
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import canonical
from hanlin.tasks.spec import ModelSpec
from hanlin.training import train as train_module
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.continued import IGNORED, READ, ContinuedRows, continued_rows, scores_of
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.lesson import Setting
from hanlin.training.lessons.text_generation import PackedCourse
from hanlin.training.packed import PackedRows, few_of, groups, loss_of, write_rows
from hanlin.training.ports import Silent
from hanlin.training.streams import Blocks, TokenFile
from hanlin.training.train import TrainReport, train
from hanlin.types import JsonObject, JsonValue

InChild = Callable[[Callable[[], object]], int]
LINES = ["the cat sat on a mat", "my dog ran over hills to find this house", "春眠不觉晓，处处闻啼鸟", "no"]
TINY: JsonObject = {
    "epochs": 2, "hidden_size": 32, "layers": 1, "heads": 2, "vocab_size": 300, "batch_size": 4, "rate": 0.01, "max_length": 32,
    "train_length": 24, "precision": "fp32", "threads": 1, "average": 0.0, "dropout": 0.0, "embedding_dropout": 0.0, "packing": True,
}  # fmt: skip


def texts_of(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    return Split([chance.choice(LINES) for _ in range(count)], [""] * count)


ROWS = texts_of(60, 1)


def run(
    folder: Path, rows: Split = ROWS, progress: Silent | None = None, *, model: str = "transformer", **options: JsonValue
) -> TrainReport:
    config = TrainConfig.from_json({**useful(TINY, model, "text-generation"), **options}, model=model, task="text-generation")
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    return train(config, TrainData(rows, texts_of(8, 2), ()), out=folder / "out", progress=progress or Silent(), checkpoints=checkpoints)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    run(folder, epochs=12)
    return folder / "out"


def packed(made: Path, folder: Path, texts: list[str], length: int, *, end: int = 3) -> PackedRows:
    config = TrainConfig.from_json(TINY, model="transformer", task="text-generation")
    (folder / "out").mkdir()
    setting = Setting(config, TrainData(ROWS, ROWS, ()), folder / "out", Silent())
    return write_rows(setting, TextEncoder.load(made), ModelSpec.load(made), texts, end=end, length=length)


def test_every_token_of_every_text_is_learned_once(made: Path, tmp_path: Path) -> None:
    rows = packed(made, tmp_path, ROWS.texts, 10)
    tokenizer = TextEncoder.load(made).tokenizer
    expected = [[*tokenizer.encode(text, add_special_tokens=False).ids, 3] for text in ROWS.texts]
    learned: list[int] = []
    for number in range(len(rows)):
        part = rows.pieces([number])
        assert max(part.lengths) <= 10
        for ids, kinds in zip(part.ids, part.kinds, strict=True):
            assert 3 not in ids[:-1]  # what ends a text ends a piece
            learned += [token for token, kind in zip(ids, kinds, strict=True) if kind != READ]
    # A text's mark that ends a row foretells the first token in the next one, for rows share a token.
    assert learned == [token for text in expected for token in text]


def test_where_the_end_of_a_text_begins_the_next_one_it_is_read_again(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    tokens.add([7, 8, 9, 1, 5, 6, 1, 1, 4, 1])
    part = PackedRows(Blocks(tokens, 8, 7), 1, 0).pieces([0, 1])
    assert [ids.tolist() for ids in part.ids] == [[7, 8, 9, 1], [1, 5, 6, 1], [1, 1], [1, 4, 1]]
    assert [kinds.tolist() for kinds in part.kinds] == [[0, 2, 2, 2], [0, 2, 2, 2], [0, 2], [0, 2, 2]]


@pytest.mark.parametrize("model", ["transformer", "gru"])
def test_texts_of_a_row_are_read_as_they_are_read_alone(made: Path, tmp_path: Path, model: str) -> None:
    folder = made
    if model == "gru":
        run(tmp_path / "gru", model="gru", epochs=1)
        folder = tmp_path / "gru" / "out"
    module, spec, encoder = load_model(folder), ModelSpec.load(folder), TextEncoder.load(folder)
    rows = packed(folder, tmp_path, LINES, 200)
    assert len(rows) == 1
    alone = continued_rows(Split(LINES, [""] * 4), encoder, spec, end=3, longest=200)
    with torch.inference_mode():
        total, count = 0.0, 0
        for number in range(4):
            scores, gold, _ = scores_of(module, alone, [number], spec.pad_id)
            total += float(functional.cross_entropy(scores.flatten(0, 1), gold.flatten(), ignore_index=IGNORED, reduction="sum"))
            count += int((gold != IGNORED).sum())
        found = loss_of(module, rows.pieces([0]), spec.pad_id, smoothing=0.0)
    assert float(found) == pytest.approx(total / count, rel=1e-5)


def test_rows_of_nothing_but_ends_teach_nothing(made: Path, tmp_path: Path) -> None:
    module = load_model(made)
    tokens = TokenFile(tmp_path)
    tokens.add([3, 3, 3, 3])
    part = PackedRows(Blocks(tokens, 4, 3), 3, 1).pieces([0])
    assert part.ids == []
    loss = loss_of(module, part, 0, smoothing=0.0)
    loss.backward()
    assert loss.item() == 0


def test_it_learns_what_comes_next(made: Path) -> None:
    found = evaluate(made, texts_of(8, 2)).metrics
    assert found.get("accuracy") > 0.7
    assert 0 < found.get("bits_per_byte") < 2


@pytest.mark.parametrize("model", ["transformer", "lstm"])
def test_killed_it_ends_in_the_same_bits(
    tmp_path: Path, model: str, *, kill_at: type, in_child: InChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)
    options: JsonObject = {"dropout": 0.2, "epochs": 1}
    (tmp_path / "whole").mkdir(), (tmp_path / "torn").mkdir()
    whole = run(tmp_path / "whole", model=model, **options)
    for moment in (2, whole.steps - 1):
        assert in_child(lambda: run(tmp_path / "torn", ROWS, kill_at(moment), model=model, **options)) == signal.SIGKILL  # noqa: B023  # runs at once
    torn = run(tmp_path / "torn", model=model, **options)
    assert torn.history == whole.history
    weights = [(tmp_path / name / "out" / "model.safetensors").read_bytes() for name in ("whole", "torn")]
    assert weights[0] == weights[1]


def test_parts_of_a_batch_weigh_their_tokens(made: Path, tmp_path: Path) -> None:
    """So that several processes may each learn from one."""
    rows = packed(made, tmp_path, ROWS.texts[:20], 16)
    config = TrainConfig.from_json(TINY, model="transformer", task="text-generation")
    course = PackedCourse(config, load_model(made), 0, ContinuedRows([], [], 0), ContinuedRows([], [], 0), tmp_path, rows)
    parts = [[0, 1, 2], [3], [4, 5]]
    with torch.inference_mode():
        whole = course.loss(course.module, range(6))
        means = [course.weight(part) * float(course.loss(course.module, part)) for part in parts]
    assert course.weight(range(6)) == sum(map(course.weight, parts))
    assert float(whole) == pytest.approx(sum(means) / course.weight(range(6)), rel=1e-5)


class Told(list[str]):
    """Texts that can be gone through and nothing else, as a stored column is best read."""

    def __getitem__(self, place: object) -> str:  # type: ignore[override]
        raise AssertionError("a place of its own")

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()


def test_texts_are_only_gone_through(tmp_path: Path) -> None:
    report = run(tmp_path, Split(Told(ROWS.texts), Told(ROWS.labels)), epochs=1)
    assert report.steps > 3


def test_talks_are_not_packed(tmp_path: Path) -> None:
    said = canonical({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})
    with pytest.raises(InvalidInput) as refused:
        run(tmp_path, Split(["a\nb"] * 4, [said] * 4))
    assert (refused.value.code, refused.value.params["name"]) == ("invalid_training_option", "packing")


def test_like_lengths_are_read_together() -> None:
    chance = random.Random(3)
    lengths = [chance.randrange(2, 100) for _ in range(200)]
    found = groups(lengths)
    assert sorted(number for group in found for number in group) == list(range(200))
    places = sum(len(group) * max(lengths[number] for number in group) for group in found)
    assert places <= 1.25 * sum(lengths)
    assert len(found) < 40


def test_an_evaluation_reads_a_share_of_many_texts() -> None:
    texts = [f"{number:05d}" * 200 for number in range(1600)]
    found = few_of(Split(texts, [""] * 1600))
    assert len(found) == 400
    assert found.texts[:2] == [texts[0], texts[4]]
