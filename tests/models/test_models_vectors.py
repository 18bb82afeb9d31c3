"""Word vectors: read within limits, trained here, taken by a network."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from hanlin.errors import InvalidInput
from hanlin.models.tokenizers import KINDS, SPECIALS, train_tokenizer
from hanlin.models.vectors import Vectors, read_vectors, train_vectors, write_vectors
from hanlin.networks.config import NetworkConfig
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.training.config import TrainConfig
from hanlin.training.scratch import new_network


@pytest.mark.parametrize("header", ["", "3 2\n", "\ufeff3 2\n"])
def test_both_text_formats_are_read(tmp_path: Path, header: str) -> None:
    path = tmp_path / "v.vec"
    path.write_text(header + "好 0.5 -1e-3\nthe 1 2 \nrare 3 4\n", encoding="utf-8")
    found = read_vectors(path, {"好", "the", "absent"})
    assert found.size == 2
    assert {word: vector.tolist() for word, vector in found.words.items()} == {"好": [0.5, pytest.approx(-1e-3)], "the": [1, 2]}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", 0),
        (b"other 1 2\n", 0),
        (b"a 1 2\nb 1 2 3\n", 2),
        (b"a 1 x\n", 1),
        (b"a 1 nan\n", 1),
        (b"a 1 1e99\n", 1),
        (b"b 1 2\n\xff\xfe 1 2\n", 2),
        (b"a " + b"1 " * 2000 + b"\n", 1),
        (b"a" * 70_000, 1),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_bad_files_are_refused_with_the_line(tmp_path: Path, content: bytes, line: int) -> None:
    path = tmp_path / "v.vec"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        read_vectors(path, {"a", "b"})
    assert caught.value.code == "invalid_vectors"
    assert caught.value.params["line"] == line


def test_words_that_share_neighbours_end_up_near(tmp_path: Path) -> None:
    chance = random.Random(0)
    sides = (
        {"cat": ["fur", "paw", "purr"], "dog": ["fur", "paw", "bark"]},
        {"car": ["wheel", "road", "fuel"], "bus": ["wheel", "road", "seat"]},
    )
    lines = []
    for _ in range(2000):
        side = chance.choice(sides)
        word = chance.choice(list(side))
        lines.append([word, *chance.choices(side[word], k=3)])
    found = train_vectors(lines, size=16, epochs=10)

    middle = np.mean(list(found.words.values()), axis=0)  # what all words of so small a world share

    def near(a: str, b: str) -> float:
        x, y = found.words[a] - middle, found.words[b] - middle
        return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    assert near("cat", "dog") > near("cat", "car") + 0.2
    assert near("car", "bus") > near("dog", "bus") + 0.2
    write_vectors(found, tmp_path / "v.vec")
    again = read_vectors(tmp_path / "v.vec", set(found.words))
    np.testing.assert_allclose(again.words["cat"], found.words["cat"], rtol=1e-4, atol=1e-6)
    twice = train_vectors(lines, size=16, epochs=10)
    assert (twice.words["cat"] == found.words["cat"]).all()


def test_a_network_starts_from_the_vectors(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["好 坏 一般"] * 3, "word", 100)
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    write_vectors(Vectors(6, {"好": np.arange(6, dtype=np.float32), "坏": -np.arange(6, dtype=np.float32)}), tmp_path / "v.vec")
    vectors = read_vectors(tmp_path / "v.vec", set(tokenizer.get_vocab()))
    network = new_network(TrainConfig.from_json({}, model="gru"), ("a", "b"), tmp_path, vectors)
    assert isinstance(network.config, NetworkConfig)
    assert network.config.embedding_size == 6
    table = network.embedding.tokens.weight.detach()
    row = table[tokenizer.token_to_id("好")]
    assert (row / row[1]).tolist() == pytest.approx([0, 1, 2, 3, 4, 5])
    assert (table[tokenizer.token_to_id("坏")] == -row).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_tokenizer_kind_has_its_specials_and_comes_back(tmp_path: Path, kind: str) -> None:
    texts = ["这家酒店很好 good hotel", "房间很差 bad room", "很好 good"] * 4
    size = 300 if kind == "byte-bpe" else 60  # every byte has a token of its own there
    tokenizer = train_tokenizer(texts, kind, size)  # type: ignore[arg-type]
    assert [tokenizer.token_to_id(word) for word in SPECIALS] == [0, 1]
    assert tokenizer.get_vocab_size() <= size
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    assert load_tokenizer(tmp_path / "tokenizer.json").encode(texts[0]).ids == tokenizer.encode(texts[0]).ids
    assert 1 in tokenizer.encode("龘").ids or kind in {"word", "byte-bpe"}
    assert tokenizer.encode("good").ids != [1]


def test_a_wrong_vocabulary_size_is_named() -> None:
    with pytest.raises(InvalidInput, match="vocab_size"):
        train_tokenizer(["a"], "bpe", 2)
