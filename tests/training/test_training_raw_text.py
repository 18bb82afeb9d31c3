"""Word vectors learnt from raw text carry what labelled rows never said; files are read within limits."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hanlin.datasets import Split
from hanlin.errors import InvalidInput
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.raw_text import read_texts
from hanlin.training.train import train

WORLD = {"up": ["good", "fine", "great", "lovely"], "down": ["bad", "poor", "awful", "dreadful"]}
COMPANY = {"up": ["sun", "smile", "feast", "song"], "down": ["rain", "mud", "bill", "queue"]}


def rows(words: slice, count: int, seed: int) -> Split:
    """Texts of one telling word among words that tell nothing."""
    chance = random.Random(seed)
    labels = [chance.choice(list(WORLD)) for _ in range(count)]
    noise = ["the", "a", "room", "was", "it"]
    return Split([" ".join(chance.sample([chance.choice(WORLD[label][words]), *noise], 6)) for label in labels], labels)


def raw_file(path: Path) -> Path:
    chance = random.Random(7)
    lines = []
    for _ in range(3000):
        side = chance.choice(list(WORLD))
        lines.append(" ".join(chance.sample([chance.choice(WORLD[side]), *chance.choices(COMPANY[side], k=3)], 4)))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def accuracy_on_unlabelled_words(folder: Path, raw_text: Path | None) -> float:
    data = TrainData(rows(slice(0, 2), 400, 1), rows(slice(0, 2), 60, 2), ("down", "up"))
    options = {
        "tokenizer": "word",
        "wide": False,
        "ngrams": False,
        "epochs": 3,
        "embedding_size": 16,
        "hidden_size": 16,
        "rate": 0.005,
        "average": 0,
    }
    config = TrainConfig.from_json(options, model="gru")
    train(config, data, out=folder / "out", progress=Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"), raw_text=raw_text)
    return evaluate(folder / "out", rows(slice(2, 4), 200, 3)).metrics.accuracy


def test_words_that_no_row_has_are_understood(tmp_path: Path) -> None:
    without = accuracy_on_unlabelled_words(tmp_path / "without", None)
    learnt = accuracy_on_unlabelled_words(tmp_path / "with", raw_file(tmp_path / "raw.txt"))
    assert without < 0.65
    assert learnt > 0.9


@pytest.mark.parametrize("content", [b"", b"\n \n\n"])
def test_a_file_without_words_is_told_as_such(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        accuracy_on_unlabelled_words(tmp_path, _written(tmp_path / "raw.txt", content))
    assert (caught.value.code, caught.value.params) == ("too_little_raw_text", {"lines": 0, "tokens": 0})


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("content", "line"), [(b"good\n\xff\xfe\n", 2), (b"a" * (2**20 + 1), 1)])
def test_a_bad_file_is_refused_with_the_line(tmp_path: Path, content: bytes, line: int) -> None:
    (tmp_path / "raw.txt").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        list(read_texts(tmp_path / "raw.txt", TrainConfig.from_json({}, model="gru")))
    assert (caught.value.code, caught.value.params["line"]) == ("invalid_raw_text", line)
