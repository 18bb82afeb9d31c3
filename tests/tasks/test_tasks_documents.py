"""A question about documents: passages with exact places, found by words, read on one scale."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hanlin.errors import InvalidInput
from hanlin.passages import PASSAGE_BYTES, cut_passages
from hanlin.tasks import TASKS, Limits, ModelSpec
from hanlin.tasks.documents import Document, choose_passages
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.lexical import order

TASK = TASKS.get("question-answering")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "when", "nine", "noon", "the", "shop", "opens", "at", "park"]
SPEC = ModelSpec("question-answering", ("start", "end"), 64, 0, pairs="typed", thresholds=(0.0,))


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    made = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    frame = {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    made.post_processor = processors.TemplateProcessing(**frame, special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return TextEncoder(made, SPEC)


@given(st.text(st.sampled_from("ab 。.\n九😀é"), max_size=60).flatmap(lambda text: st.integers(1, 80).map(lambda times: text * times)))
def test_passages_hold_all_that_is_said(text: str) -> None:
    found = cut_passages(text)
    bounds = [bound for place in found for bound in place]
    assert bounds == sorted(bounds)
    if any(map(str.isalnum, text)):
        assert all(len(text[start:end].encode()) <= PASSAGE_BYTES for start, end in found)
        assert "".join(filter(str.isalnum, text)) == "".join(filter(str.isalnum, "".join(text[start:end] for start, end in found)))
    else:
        assert found == [(0, len(text))]


def test_passages_end_with_sentences() -> None:
    text = "One sentence here. " * 60 + "\n\n" + "这是一句话。" * 60
    pieces = [text[start:end] for start, end in cut_passages(text)]
    assert len(pieces) == 3
    assert all(piece[-1] in ".。" for piece in pieces)


def test_words_find_in_both_languages() -> None:
    passages = ["The park is green.", "The shop opens at nine.", "商店九点开门。", "公园很大。"]
    assert order("When does the shop open?", passages)[0] == 1
    assert order("商店几点开门？", passages)[0] == 2
    assert order("?", passages) == [0, 1, 2, 3]


def test_the_best_passages_are_read_and_no_others() -> None:
    documents = [Document("a", "The park is green. " * 100), Document("b", "The shop opens at nine.", start=40)]
    (found,) = choose_passages("When does the shop open?", documents, 1)
    assert (found.document.id, found.text) == ("b", "The shop opens at nine.")
    with pytest.raises(InvalidInput) as caught:
        choose_passages("x", [Document("a", "word. " * 700_000)], 1)
    assert caught.value.code == "too_many_passages"


def asked(encoder: TextEncoder, documents: list, marks: dict[str, float], **parameters: object) -> object:
    """The answer of a network that says of each token what `marks` says of its word; 0 of others, `[CLS]` of each row."""
    request = TASK.check({"question": "when", "documents": documents}, parameters, limits=Limits())
    encoded = TASK.encode(request, encoder, SPEC)
    longest = max(map(len, encoded.rows))
    logits = np.array([[[marks.get(WORDS[id_], -9.0)] * 2 for id_ in row + [0] * (longest - len(row))] for row in encoded.rows])
    return TASK.answer(TASK.decode({"token_logits": logits}, SPEC, request.options, encoded), request)


def test_the_answer_names_its_document_and_its_place_in_it(encoder: TextEncoder) -> None:
    documents = ["the park", {"id": "hours", "text": "park . the shop opens at nine", "start": 100}, "the shop opens at noon"]
    found = asked(encoder, documents, {"nine": 5.0, "noon": 4.0, "[CLS]": 0.0})
    assert (found["answer"], found["document"], found["start"], found["end"]) == ("nine", "hours", 125, 129)
    assert found["score"] == pytest.approx(1 / (1 + np.exp(-1) + np.exp(-5)) ** 2, abs=1e-3)
    several = asked(encoder, documents, {"nine": 5.0, "noon": 4.0, "[CLS]": 0.0}, top_k=2)
    assert [(item["answer"], item["document"]) for item in several] == [("nine", "hours"), ("noon", 2)]
    none = asked(encoder, documents, {"nine": 1.0, "[CLS]": 4.0})
    assert (none["answer"], none["document"], none["start"], none["end"]) == ("", None, 0, 0)


@pytest.mark.parametrize(
    ("inputs", "parameters", "code"),
    [
        ({"question": "when", "documents": "x"}, {}, "invalid_documents"),
        ({"question": "when", "documents": []}, {}, "empty_batch"),
        ({"question": "when", "documents": ["x"] * 4097}, {}, "batch_too_large"),
        ({"question": "when", "documents": ["x", {"text": "x", "title": "y"}]}, {}, "invalid_documents"),
        ({"question": "when", "documents": ["x", {"id": True, "text": "y"}]}, {}, "invalid_documents"),
        ({"question": "when", "documents": ["x", {"id": "\ud800", "text": "y"}]}, {}, "invalid_documents"),
        ({"question": "when", "documents": ["x", {"text": "y", "start": -1}]}, {}, "invalid_documents"),
        ({"question": "when", "documents": ["x", {"text": " "}]}, {}, "empty_text"),
        ({"question": " ", "documents": ["x"]}, {}, "invalid_query"),
        ({"question": "when", "documents": ["x"]}, {"passages": 65}, "invalid_parameter"),
        ({"question": "when", "context": "x"}, {"passages": 2}, "invalid_parameter"),
        ({"question": "when", "context": "x"}, {"retriever": "faq"}, "invalid_parameter"),
        ({"question": "when", "context": "x", "documents": ["x"]}, {}, "invalid_question"),
        ([{"question": "when", "documents": ["x"]}], {}, "invalid_question"),
    ],
)
def test_what_is_wrong_is_named(inputs: object, parameters: dict, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TASK.check(inputs, parameters, limits=Limits())
    assert caught.value.code == code


def test_a_question_as_long_as_the_documents_is_ordered_as_the_formula_says() -> None:
    passages = [" ".join(f"{number:x}" for number in range(start, start + 150)) for start in range(0, 40 * 20, 20)]
    question = " ".join(passages[::7])
    counts = [Counter(passage.split()) for passage in passages]
    asked = set(question.split())
    scores = []
    for count in counts:  # of the same length all
        held = {term: sum(term in other for other in counts) for term in asked & count.keys()}
        scores.append(
            sum(math.log1p((40 - often + 0.5) / (often + 0.5)) * count[term] * 2.2 / (count[term] + 1.2) for term, often in held.items())
        )
    found = order(question, passages)
    assert sorted(found) == list(range(40))
    assert all(scores[one] >= scores[other] - 1e-9 for one, other in pairwise(found))


@pytest.mark.parametrize("sign", ["a", "汉", "😀", "。", " ", "a\u0301"])
def test_a_text_without_sentences_takes_no_square_of_its_length(sign: str) -> None:
    pieces = cut_passages(sign * 1_000_000)  # a square of it would outlast the limit of a test
    assert pieces[0][0] == 0
    assert pieces[-1][1] == len(sign) * 1_000_000
