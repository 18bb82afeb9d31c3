"""What a tokenizer answers alone: the tokens of texts with their places in the text as it was sent, and the text of tokens."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from hanlin.errors import InvalidInput
from hanlin.tasks import Limits, ModelSpec, TextSettings
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.tokenizing import decode, tokenize

LIMITS = Limits(max_items=3, max_text_bytes=300_000)
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ada", "love", "##lace", "lives", "北", "京"]


@pytest.fixture(scope="module")
def encoder():
    made = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.add_special_tokens(["[CLS]", "[SEP]"])
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return TextEncoder(made, ModelSpec("text-classification", ("no", "yes"), 10, 0, text=TextSettings(("html", "width", "space"))))


def test_tokens_come_with_their_places_in_the_text_as_it_was_sent(encoder):
    text = "<b>Ada</b> Lovelace ｌｉｖｅｓ 北京 🙂"
    (row,) = tokenize(text, {}, encoder, LIMITS).value
    assert [token["id"] for token in row] == [2, 4, 5, 6, 7, 8, 9, 1, 3]
    assert (row[0], row[-1]) == tuple(
        {"id": number, "text": name, "special": True, "start": None, "stop": None} for number, name in ((2, "[CLS]"), (3, "[SEP]"))
    )
    assert [token["text"] for token in row[1:-1]] == ["Ada", "Love", "lace", "ｌｉｖｅｓ", "北", "京", "🙂"]
    assert all(text[token["start"] : token["stop"]] == token["text"] for token in row[1:-1])


def test_special_tokens_are_left_out_when_asked(encoder):
    answered = tokenize(["ada", "love"], {"add_special_tokens": False}, encoder, LIMITS)
    assert [[token["id"] for token in row] for row in answered.value] == [[4], [5]]
    assert (answered.items, answered.tokens) == (2, 2)


def test_a_text_longer_than_the_model_takes_is_told_apart_all_the_same(encoder):
    assert tokenize("ada " * 500, {}, encoder, LIMITS).tokens == 502


def test_tokens_become_text(encoder):
    answered = decode([[2, 4, 5, 6, 3], [8, 9]], {}, encoder, LIMITS)
    assert answered.value == ["ada lovelace", "北 京"]
    assert (answered.items, answered.tokens) == (2, 7)
    assert decode([2, 4, 3], {}, encoder, LIMITS).value == ["ada"], "one list is a list of one"
    assert decode([2, 4, 3], {"skip_special_tokens": False}, encoder, LIMITS).value == ["[CLS] ada [SEP]"]


@pytest.mark.parametrize(
    ("ask", "inputs", "parameters", "code"),
    [
        (tokenize, [], {}, "empty_batch"),
        (tokenize, ["ada", ""], {}, "empty_text"),
        (tokenize, ["ada"] * 4, {}, "batch_too_large"),
        (tokenize, ["ada", 5], {}, "invalid_inputs"),
        (tokenize, "a" * 70_000, {}, "text_too_long"),
        (tokenize, "a\ud800", {}, "invalid_unicode"),
        (tokenize, "ada", {"add_special_tokens": 1}, "invalid_parameter"),
        (tokenize, "ada", {"skip_special_tokens": True}, "unknown_parameter"),
        (decode, "ada", {}, "invalid_token_ids"),
        (decode, [], {}, "empty_text"),
        (decode, [[4], []], {}, "empty_text"),
        (decode, [[4], 5], {}, "invalid_token_ids"),
        (decode, [4, True], {}, "invalid_token_ids"),
        (decode, [4, 99], {}, "unknown_token_id"),
        (decode, [[4]] * 4, {}, "batch_too_large"),
        (decode, {"a": 1}, {}, "invalid_token_ids"),
        (decode, None, {}, "invalid_token_ids"),
    ],
)
def test_what_is_wrong_is_refused(encoder, ask, inputs, parameters, code):
    with pytest.raises(InvalidInput) as caught:
        ask(inputs, parameters, encoder, LIMITS)
    assert caught.value.code == code
