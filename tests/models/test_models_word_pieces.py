"""Pieces of words: the same vocabulary in every process, though hash tables are seeded anew."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hanlin.models.tokenizers import PAD, UNKNOWN, train_tokenizer

# More letters than may be kept, all equally frequent, so that ties decide; and words enough for merges.
CODE = """
import hashlib, random
from hanlin.models.tokenizers import train_tokenizer
chance = random.Random(3)
letters = [chr(0x4E00 + place) for place in range(200)]
texts = [" ".join("".join(chance.choice("abcdefgh") for _ in range(4)) for _ in range(9)) + " " + "".join(letters) for _ in range(60)]
print(hashlib.sha256(train_tokenizer(texts, {kind!r}, 150).to_str().encode()).hexdigest())
"""


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "byte-bpe", "word", "character"])
def test_two_processes_make_the_same_vocabulary(kind: str) -> None:
    code = CODE.format(kind=kind).replace("150", "400" if kind == "byte-bpe" else "150")
    found = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(3)}
    assert len(found) == 1


def test_wordpiece_says_what_goes_on_with_a_word_and_what_it_does_not_know() -> None:
    tokenizer = train_tokenizer(["low lower lowest slow"] * 9, "wordpiece", 40)
    assert (tokenizer.token_to_id(PAD), tokenizer.token_to_id(UNKNOWN)) == (0, 1)
    assert tokenizer.get_vocab_size() <= 40
    tokens = tokenizer.encode("lower [PAD] xylophone").tokens
    assert "".join(tokens[: tokens.index(PAD)]).replace("##", "") == "lower"
    assert tokens[-1] == UNKNOWN
    assert tokenizer.encode("##ow").tokens != ["##ow"], "a text that looks like a piece is no piece"


def test_bpe_joins_what_stands_together_most() -> None:
    tokenizer = train_tokenizer(["low lower lowest slow"] * 9, "bpe", 40)
    assert tokenizer.encode("low").tokens == ["low"]
    assert UNKNOWN in tokenizer.encode("low ü").tokens
