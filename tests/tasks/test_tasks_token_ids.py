"""Token ids in the place of texts: the same rows as the text's own, checked against the vocabulary, bounded by the endpoint's policy."""

import numpy as np
import pytest
from jsonschema_rs import Draft202012Validator
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, Limits, ModelSpec, VectorSettings
from hanlin.tasks.encoding import TextEncoder

LIMITS = Limits(max_items=4, max_text_bytes=1000)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijkl"]
CLS, SEP = 2, 3
KINDS = {
    "text-classification": ModelSpec("text-classification", ("no", "yes"), 8, 0),
    "token-classification": ModelSpec("token-classification", ("O", "B-X"), 8, 0),
    "embedding": ModelSpec("embedding", (), 8, 0, vectors=VectorSettings(4, prompts=(("query", "a b "),), default_prompt="query")),
}


@pytest.fixture(scope="module")
def tokenizer():
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)} | {"far": 50}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)])
    return made


@pytest.fixture(params=KINDS)
def kind(request, tokenizer):
    """A task, its version's spec, and the encoder."""
    spec = KINDS[request.param]
    return TASKS.get(request.param), spec, TextEncoder(tokenizer, spec)


def encoded(kind, inputs, long_text="refuse", **parameters):
    task, spec, encoder = kind
    return task.encode(task.check(inputs, parameters, limits=LIMITS), encoder, spec, long_text=long_text)


def refused(kind, inputs, long_text="refuse", **parameters):
    with pytest.raises(InvalidInput) as caught:
        encoded(kind, inputs, long_text, **parameters)
    return caught.value


def ids(*values):
    return {"token_ids": list(values)}


def test_ids_are_their_row_as_they_are(kind):
    assert encoded(kind, ids(CLS, 4, 5, SEP)).rows == [[CLS, 4, 5, SEP]]


@pytest.mark.parametrize("row", [(4,), (CLS, 4), (4, SEP), (SEP, 4, CLS), (CLS,), tuple(range(4, 14))])
def test_ids_without_the_special_tokens_may_be_another_models(kind, row):
    error = refused(kind, ["d", ids(*row)], "truncate")
    assert (error.code, error.params["index"]) == ("special_tokens_missing", 1)
    assert (error.params["before"], error.params["after"]) == ("[2]", "[3]")


def test_a_list_may_mix_texts_and_ids(kind):
    rows = encoded(kind, [ids(CLS, 4, SEP), "d", ids(CLS, 50, SEP)]).rows
    assert rows[0] == [CLS, 4, SEP]
    assert rows[1][-2:] == [7, SEP]
    assert rows[2] == [CLS, 50, SEP]


def test_one_item_is_answered_as_one(kind):
    task = kind[0]
    assert task.check(ids(4), {}, limits=LIMITS).is_single
    assert not task.check([ids(4)], {}, limits=LIMITS).is_single


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("good", "invalid_token_ids"),
        (5, "invalid_token_ids"),
        (None, "invalid_token_ids"),
        ({}, "invalid_token_ids"),
        ([True], "invalid_token_ids"),
        ([1.0], "invalid_token_ids"),
        (["4"], "invalid_token_ids"),
        ([4, None], "invalid_token_ids"),
        ([4, [5]], "invalid_token_ids"),
        ([-1], "invalid_token_ids"),
        ([2**31], "invalid_token_ids"),
        ([2**70], "invalid_token_ids"),
        ([], "empty_text"),
        ([CLS, SEP], "empty_text"),
        ([49], "unknown_token_id"),
        ([51], "unknown_token_id"),
        ([2**31 - 1], "unknown_token_id"),
    ],
)
def test_what_is_no_row_of_tokens_is_refused_by_its_place(kind, value, code):
    error = refused(kind, ["d", {"token_ids": value}])
    assert (error.code, error.params["index"]) == (code, 1)


def test_the_unknown_id_is_named_with_its_place(kind):
    error = refused(kind, ids(CLS, 4, 40, SEP))
    assert (error.params["position"], error.params["token"]) == (2, 40)


def test_other_fields_are_no_token_ids(kind):
    assert refused(kind, [{"token_ids": [4], "text": "a"}]).code == "invalid_inputs"
    assert refused(kind, [{"ids": [4]}]).code == "invalid_inputs"
    assert refused(kind, {"token_ids": [4], "more": 1}).code == "invalid_inputs"
    assert refused(kind, [ids(4), 5]).code == "invalid_inputs"
    assert refused(kind, [ids(4)] * 5).code == "batch_too_large"


LONG = (CLS, *range(4, 14), SEP)  # 12 tokens, where 8 are taken


def test_long_ids_are_refused(kind):
    error = refused(kind, ids(*LONG))
    assert (error.code, error.params["length"], error.params["limit"]) == ("text_too_long", 12, 8)


def test_long_ids_are_cut_like_the_text(kind):
    found = encoded(kind, ids(*LONG), truncation=True)
    assert found.rows == [[*LONG[:7], SEP]]
    assert found.cut == (0,)


def test_long_ids_are_read_in_the_same_windows_as_the_text(kind):
    text = " ".join(WORDS[4:14])
    if kind[0].name == "embedding":  # no prompt before it
        text = " ".join(WORDS[6:14])
    row = encoded(kind, text, "truncate").rows  # only to know that the text is longer than a row
    assert len(row[0]) == 8
    assert encoded(kind, ids(*LONG), "window") == replaced(encoded(kind, text, "window"))


def replaced(found):
    """Without what tokens stand for in a text: ids have none."""
    from dataclasses import replace

    from hanlin.tasks.encoded import Marks

    nothing = [Marks(None, [span and (0, 0) for span in marks.spans], [None] * len(marks.words)) for marks in found.marks or []]
    return replace(found, marks=nothing or None)


def test_ids_far_too_long_are_refused_before_they_are_looked_up(kind):
    assert refused(kind, ids(*[49] * 5000), "window").code == "text_too_long"


def test_tokens_have_labels_but_no_place_in_a_text(tokenizer):
    task, spec = TASKS.get("token-classification"), KINDS["token-classification"]
    encoder = TextEncoder(tokenizer, spec)
    logits = np.array([[[9, 0], [0, 9], [9, 0], [9, 0]]], dtype=np.float32)
    answers = {}
    for name, inputs in {"text": "a b", "ids": ids(CLS, 4, 5, SEP)}.items():
        request = task.check(inputs, {}, limits=LIMITS)
        rows = task.encode(request, encoder, spec)
        answers[name] = task.answer(task.decode({"token_logits": logits}, spec, request.options, rows), request)
    (of_text,), (of_ids,) = answers["text"], answers["ids"]
    assert of_ids == {**of_text, "word": None, "start": None, "end": None}
    for answer in answers.values():
        Draft202012Validator(task.shape.output).validate(answer)


def test_words_cannot_be_made_of_ids(tokenizer):
    task = TASKS.get("token-classification")
    with pytest.raises(InvalidInput) as caught:
        task.check([ids(4)], {"aggregation_strategy": "simple"}, limits=LIMITS)
    assert caught.value.code == "invalid_parameter"


def test_a_prompt_cannot_go_before_ids(tokenizer):
    task, spec = TASKS.get("embedding"), KINDS["embedding"]
    with pytest.raises(InvalidInput) as caught:
        task.encode(task.check([ids(4)], {"prompt_name": "query"}, limits=LIMITS), TextEncoder(tokenizer, spec), spec)
    assert caught.value.code == "invalid_parameter"


@pytest.mark.parametrize("inputs", [{"query": "a", "texts": [ids(4)]}, {"query": ids(4), "texts": ["a"]}])
def test_pairs_of_ids_are_refused(inputs):
    with pytest.raises(InvalidInput) as caught:
        TASKS.get("reranking").check(inputs, {}, limits=LIMITS)
    assert caught.value.code == "token_ids_not_taken"
