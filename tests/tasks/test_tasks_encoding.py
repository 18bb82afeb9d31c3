import json
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks import ModelSpec, TextSettings
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.padding import pad
from hanlin.tasks.tokenizer import load_tokenizer, shared_tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", "好", "吃", "房", "间"]


def tokenizer_of(pair=("[CLS]", "[SEP]")):
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    if pair:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{pair[0]} $A {pair[1]}".strip(), special_tokens=[(word, WORDS.index(word)) for word in pair if word]
        )
    return tokenizer


def encoder_of(max_length=8, text=TextSettings(("control", "simplify")), tokenizer=None):  # noqa: B008
    spec = ModelSpec("text-classification", ("no", "yes"), max_length, 0, text)
    return TextEncoder(tokenizer or tokenizer_of(), spec)


def refusal(encoder, texts, **options):
    with pytest.raises(InvalidInput) as caught:
        encoder.encode(texts, **options)
    return caught.value


def ids(*words):
    return [WORDS.index(word) for word in words]


def test_cleans_then_frames_with_special_tokens():
    assert encoder_of().encode(["ab\u200bc", "房間"]) == [ids("[CLS]", "a", "b", "c", "[SEP]"), ids("[CLS]", "房", "间", "[SEP]")]


def test_one_text_or_many_give_the_same_rows():
    encoder = encoder_of(128)
    texts = ["abc", "好吃", "x" * 50, "房間 ok"]
    assert encoder.encode(texts) == [encoder.encode([text])[0] for text in texts]


def test_padding_and_truncation_of_the_file_are_ignored(tmp_path):
    tokenizer = tokenizer_of()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    ModelSpec("text-classification", ("no", "yes"), 8, 0).save(tmp_path)
    assert TextEncoder.load(tmp_path).encode(["abcdef"]) == [ids("[CLS]", *"abcdef", "[SEP]")]


def test_too_long_is_refused_with_index_length_and_limit():
    error = refusal(encoder_of(), ["abc", "abcdefg"])
    assert (error.code, error.params["index"], error.params["length"], error.params["limit"]) == ("text_too_long", 1, 9, 8)
    assert encoder_of().encode(["abcdef"])  # exactly the limit


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("[CLS]", "[SEP]"), ids("[CLS]", *"abc", "[SEP]")), (("", "[SEP]"), ids(*"abcd", "[SEP]")), (("[CLS]", ""), ids("[CLS]", *"abcd")),
        (None, ids(*"abcde")),
    ],
)  # fmt: skip
def test_truncation_keeps_the_special_tokens(pair, expected):
    encoder = encoder_of(5, tokenizer=tokenizer_of(pair))
    assert encoder.encode(["abcdefgh"], truncate=True) == [expected]
    assert encoder.encode(["ab"], truncate=True) == encoder.encode(["ab"])


def test_a_text_that_cleaning_empties_is_refused():
    encoder = encoder_of(text=TextSettings(("html",)))
    error = refusal(encoder, ["a", "<p></p>"])
    assert (error.code, error.params["index"]) == ("empty_text", 1)


def test_a_text_that_the_tokenizer_empties_is_refused():
    tokenizer = tokenizer_of()
    tokenizer.normalizer = normalizers.Replace("z", "")
    assert refusal(encoder_of(tokenizer=tokenizer), ["zz"]).code == "empty_text"


@pytest.mark.parametrize("text", [TextSettings(), TextSettings(("simplify",)), TextSettings((), "words")])
def test_c022_lone_surrogate(text):
    error = refusal(encoder_of(text=text), ["好", "a\udc00"])
    assert (error.code, error.params["index"], error.params["position"]) == ("invalid_unicode", 1, 1)


def test_a_long_text_is_judged_by_its_beginning_and_cut_alike():
    whole = "abcdefghij" * 100_000  # 1 MB
    encoder = encoder_of()
    assert refusal(encoder, [whole]).code == "text_too_long"
    assert encoder.encode([whole], truncate=True) == encoder.encode([whole[:20]], truncate=True)


def test_a_long_text_of_few_tokens_is_read_to_its_end():
    tokenizer = tokenizer_of()
    tokenizer.normalizer = normalizers.Replace(" ", "")
    encoder = encoder_of(tokenizer=tokenizer)
    text = "a" + " " * 50_000 + "b"
    assert encoder.encode([text]) == [ids("[CLS]", "a", "b", "[SEP]")]
    assert refusal(encoder, [text + "cdefgh"]).code == "text_too_long"


def test_no_room_beside_special_tokens():
    with pytest.raises(InvalidInput, match="no room"):
        encoder_of(max_length=2)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04pickle", b'{"version": "1.0"}', b"[" * 10_000])
def test_broken_tokenizer_files(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_missing_tokenizer_file(tmp_path: Path):
    with pytest.raises(InvalidInput, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_c102_a_tokenizer_that_fails_is_an_error_of_ours(tmp_path):
    # A vocabulary without the unknown token: the file loads, the first unknown character fails.
    value = json.loads(tokenizer_of().to_str())
    del value["model"]["vocab"]["[UNK]"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    ModelSpec("text-classification", ("no", "yes"), 8, 0).save(tmp_path)
    encoder = TextEncoder.load(tmp_path)
    with pytest.raises(EngineFailed) as caught:
        encoder.encode(["ZZZ"])
    assert caught.value.code == "tokenizer_failed"
    del value["model"]["vocab"]["a"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"tokenizer\.json"):
        TextEncoder.load(tmp_path)


@given(st.lists(st.lists(st.integers(1, 9), max_size=7), min_size=1, max_size=6))
def test_padding_fills_on_the_right(batch):
    arrays = pad(batch, 0)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.int64)}
    assert arrays["input_ids"].shape == arrays["attention_mask"].shape == (len(batch), max(map(len, batch)))
    for row, padded, mask in zip(batch, arrays["input_ids"], arrays["attention_mask"], strict=True):
        assert padded[: len(row)].tolist() == row
        assert not padded[len(row) :].any()
        assert mask.sum() == len(row)
        assert mask[: len(row)].all()


def test_equal_tokenizer_files_are_one_tokenizer_that_neither_pads_nor_cuts(tmp_path):
    for name, padded in (("one", True), ("same", True), ("other", False)):
        tokenizer = tokenizer_of()
        if padded:
            tokenizer.enable_padding(length=64)
            tokenizer.enable_truncation(4)
        tokenizer.save(str(tmp_path / name))
    one, other = shared_tokenizer(tmp_path / "one"), shared_tokenizer(tmp_path / "other")
    assert shared_tokenizer(tmp_path / "same") is one
    assert other is not one
    assert len(one.encode("abcabc").ids) == 8


def test_a_shared_tokenizer_goes_with_the_last_who_has_it(tmp_path):
    tokenizer_of().save(str(tmp_path / "one"))
    gone = weakref.ref(shared_tokenizer(tmp_path / "one"))
    assert gone() is None


def test_a_missing_tokenizer_is_told(tmp_path):
    with pytest.raises(InvalidInput) as caught:
        shared_tokenizer(tmp_path / "none")
    assert caught.value.code == "invalid_tokenizer"
