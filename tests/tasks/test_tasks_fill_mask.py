"""Masks in texts: where they stand, what may fill them, how a text reads then; tokens that are hidden to examine a model."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, Limits, ModelSpec
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.masked_texts import MAX_PASSAGES, PASSAGE, masked_metrics, passages
from hanlin.tasks.text import TextSettings

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "mat", "on", "##s", "春", "眠", "觉", "晓", "不", "."]
TASK = TASKS.get("fill-mask")
BERT = TextSettings(("html", "control", "width", "simplify", "lower", "space"), "character")


def encoder_of(max_length: int = 16, text: TextSettings = BERT) -> tuple[TextEncoder, ModelSpec]:
    made = Tokenizer(models.WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    spec = ModelSpec("fill-mask", (), max_length, 0, text=text, mask_id=4)
    return TextEncoder(made, spec), spec


def ask(inputs, parameters=None, *, likes=(), max_length: int = 16):
    """What is answered where the network likes these words best, the first most; and the rows that it was asked."""
    encoder, spec = encoder_of(max_length)
    request = TASK.check(inputs, parameters or {}, limits=Limits())
    encoded = TASK.encode(request, encoder, spec)
    scores = np.zeros((len(encoded.rows), len(WORDS)), dtype=np.float32)
    for place, word in enumerate(likes):
        scores[:, WORDS.index(word)] = 5.0 - place
    rows = TASK.decode({"mask_logits": scores}, spec, request.options, encoded)
    return msgspec.json.decode(msgspec.json.encode(TASK.answer(rows, request))), encoded


def test_a_mask_is_filled_in_the_text_as_it_was_sent() -> None:
    found, encoded = ask("The  cat sat on the [MASK]. ", {"top_k": 2}, likes=["mat", "cat"])
    assert [item["token_str"] for item in found] == ["mat", "cat"]
    assert found[0]["sequence"] == "The  cat sat on the mat. "
    assert found[0]["token"] == WORDS.index("mat")
    assert found[0]["score"] == pytest.approx(math.exp(5) / (math.exp(5) + math.exp(4) + len(WORDS) - 2))
    assert encoded.rows == [[2, 5, 6, 7, 9, 5, 4, 16, 3]]
    assert encoded.types == [[0, 0, 0, 0, 0, 0, 1, 0, 0]]


def test_without_a_word_of_how_many_there_are_five() -> None:
    assert len(ask("the [MASK]")[0]) == 5


def test_several_masks_are_each_a_row_in_which_all_are_hidden() -> None:
    found, encoded = ask("the [MASK] sat on the <mask>", {"top_k": 1}, likes=["mat"])
    assert [[item["sequence"] for item in mask] for mask in found] == [["the mat sat on the <mask>"], ["the [MASK] sat on the mat"]]
    assert encoded.rows[0] == encoded.rows[1]
    assert [types.index(1) for types in encoded.types] == [2, 6]


def test_a_list_of_texts_is_answered_by_a_list() -> None:
    found, _ = ask(["the [MASK]", "[MASK] [MASK]"], {"top_k": 1}, likes=["cat"])
    assert found[0][0]["sequence"] == "the cat"
    assert [mask[0]["sequence"] for mask in found[1]] == ["cat [MASK]", "[MASK] cat"]


def test_chinese_is_filled_by_character() -> None:
    found, encoded = ask("春眠不[MASK]晓", {"top_k": 1}, likes=["觉"])
    assert found[0]["sequence"] == "春眠不觉晓"
    assert encoded.rows == [[2, 11, 12, 15, 4, 14, 3]]


def test_the_rest_of_a_word_closes_up() -> None:
    assert ask("the cat [MASK] sat", {"top_k": 1}, likes=["##s"])[0][0]["sequence"] == "the cats sat"


def test_cleaning_touches_no_mask() -> None:
    assert ask("<b>THE</b> [MASK] &amp; \ue000", {"top_k": 1}, likes=["cat"])[1].rows[0].count(4) == 1


def test_only_targets_are_looked_for() -> None:
    found, _ = ask("the [MASK]", {"targets": ["Cat", "sat", "cat"]}, likes=["mat", "sat"])
    assert [item["token_str"] for item in found] == ["sat", "cat"]
    assert found[0]["score"] < 0.5  # of all words, not of the targets


@pytest.mark.parametrize(("inputs", "parameters", "code"), [
    ("no mask here", {}, "no_mask"),
    (["the [MASK]", "none"], {}, "no_mask"),
    ("[MASK] " * 17, {}, "too_many_masks"),
    (["[MASK] " * 13] * 80, {}, "too_many_hidden"),
    ("the [MASK]", {"targets": ["cat mat"]}, "target_not_a_token"),
    ("the [MASK]", {"targets": ["zebra"]}, "target_not_a_token"),
    ("the [MASK]", {"top_k": 0}, "invalid_parameter"),
    ("the cat", {"targets": ["cat"], "hide_tokens": 1}, "invalid_parameter"),
    ("the cat sat on the mat the cat sat on the mat the cat [MASK]", {"truncation": False}, "text_too_long"),
    ("[MASK] " + "the cat sat " * 5 + "[MASK]", {"truncation": True}, "text_too_long"),
])  # fmt: skip
def test_what_cannot_be_filled_is_refused(inputs, parameters, code) -> None:
    with pytest.raises(InvalidInput) as caught:
        ask(inputs, parameters)
    assert caught.value.code == code
    assert caught.value.params.get("index", 0) == (1 if isinstance(inputs, list) and inputs[-1] == "none" else 0)


@pytest.mark.parametrize("policy", ["truncate", "window"])
def test_a_long_text_is_seen_around_its_masks(policy) -> None:
    late, encoded = ask("the cat sat on " * 6 + "the [MASK] on" + " the mat" * 6, {"long_text": policy, "top_k": 1}, likes=["mat"])
    assert encoded.rows[0][1:-1].count(4) == 1
    assert (len(encoded.rows[0]), encoded.rows[0][0], encoded.rows[0][-1], encoded.cut) == (16, 2, 3, (0,))
    assert encoded.rows[0][encoded.types[0].index(1)] == 4
    assert late[0]["sequence"].endswith("the mat on the mat the mat the mat the mat the mat the mat")
    early, encoded = ask("the [MASK] " + "sat on the cat " * 8, {"long_text": policy, "top_k": 1}, likes=["mat"])
    assert encoded.rows[0][:4] == [2, 5, 4, 7]
    assert early[0]["sequence"].startswith("the mat sat")


def test_hidden_tokens_tell_how_well_they_were_foreseen() -> None:
    found, encoded = ask("The cat sat on the mat.", {"hide_tokens": 3, "top_k": 2}, likes=["mat", "on"])
    assert [row[row.index(4) - 1 : row.index(4) + 2].count(4) for row in encoded.rows] == [1, 1, 1]
    assert [(item["token_str"], item["start"], item["end"]) for item in found] == [("the", 0, 3), ("sat", 8, 11), ("the", 15, 18)]
    assert {item["rank"] for item in found} == {len(WORDS)}  # all that are not liked are alike
    assert [item["token_str"] for item in found[0]["filled"]] == ["mat", "on"]


def test_figures_of_hidden_tokens() -> None:
    found = masked_metrics([0.5, 0.25, 0.125, 0.125], [1, 3, 7, 12])
    assert found.values == {"accuracy": 0.25, "top_5": 0.5, "top_10": 0.75, "perplexity": pytest.approx(2 ** (9 / 4))}


def test_passages_are_some_lines_of_all_texts() -> None:
    lines = [f"line {number} " + "word " * 20 for number in range(50)]
    found = passages(["\n".join(lines), "short", "字" * 1000])
    assert "short" in found
    assert all(len(piece) <= PASSAGE for piece in found)
    assert sum(piece.startswith("line") for piece in found) == 8
    assert len(passages([f"text {number}" for number in range(9000)])) == MAX_PASSAGES


def test_a_byte_level_vocabulary_finds_words_behind_their_space() -> None:
    letters = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {"<mask>": 0, "[UNK]": 1} | {letter: number for number, letter in enumerate(sorted(letters), 2)}
    merges = [("Ġ", "c"), ("Ġc", "a"), ("Ġca", "t")]
    vocabulary |= {"".join(pair): len(vocabulary) + number for number, pair in enumerate(merges)}
    made = Tokenizer(models.BPE(vocabulary, merges))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_special_tokens(["<mask>"])
    spec = ModelSpec("fill-mask", (), 32, 1, mask_id=0)
    request = TASK.check("a [MASK] b", {"targets": ["cat"]}, limits=Limits())
    encoded = TASK.encode(request, TextEncoder(made, spec), spec)
    found = TASK.answer(TASK.decode({"mask_logits": np.zeros((1, 300), np.float32)}, spec, request.options, encoded), request)
    assert (found[0]["token_str"], found[0]["sequence"]) == (" cat", "a cat b")
