"""Embedding and reranking: cutting, normalising, prompts, order; numbers that read back as the same float32."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, Limits, ModelSpec, VectorSettings
from hanlin.tasks.embedding import json_numbers
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.tokenizer import ids_of

EMBEDDING, RERANKING = TASKS.get("embedding"), TASKS.get("reranking")
PROMPTS = (("query", "ask: "), ("passage", "tell: "))
WORDS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "ask:": 4, "tell:": 5, "a": 6, "b": 7, "c": 8}


def encoder_of(spec):
    made = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    frame = {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    made.post_processor = processors.TemplateProcessing(**frame, special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return TextEncoder(made, spec)


def deaf_encoder(spec):
    """One whose tokenizer drops `~`."""
    made = encoder_of(spec)
    made.tokenizer.normalizer = normalizers.Replace("~", "")
    return made


def vectors_spec(task, **settings):
    return ModelSpec(task.name, (), 16, 0, vectors=VectorSettings(**({"dimensions": 4} | settings)))


def embed(vectors, parameters, spec, *, inputs=None):
    inputs = inputs or ["a"] * len(vectors)
    request = EMBEDDING.check(inputs, parameters, limits=Limits())
    encoded = EMBEDDING.encode(request, encoder_of(spec), spec)
    rows = EMBEDDING.decode({"embeddings": np.array(vectors, dtype=np.float32)}, spec, request.options, encoded)
    return msgspec.json.decode(msgspec.json.encode(EMBEDDING.answer(rows, request)))


def test_a_cut_vector_has_length_one_again():
    spec = vectors_spec(EMBEDDING)
    np.testing.assert_allclose(embed([[0.6, 0.0, 0.8, 0.0]], {"dimensions": 2}, spec), [[1.0, 0.0]], atol=1e-7)
    np.testing.assert_allclose(embed([[0.5, 0.5, 0.5, 0.5]], {"dimensions": 4}, spec), [[0.5] * 4], atol=1e-7)


def test_vectors_of_a_model_that_does_not_normalise_stay_until_asked():
    spec = vectors_spec(EMBEDDING, is_normalized=False)
    assert embed([[3.0, 0.0, 4.0, 0.0]], {}, spec) == [[3.0, 0.0, 4.0, 0.0]]
    assert embed([[3.0, 0.0, 4.0, 0.0]], {"normalize": False, "dimensions": 3}, spec) == [[3.0, 0.0, 4.0]]
    np.testing.assert_allclose(embed([[3.0, 0.0, 4.0, 0.0]], {"normalize": True}, spec), [[0.6, 0.0, 0.8, 0.0]], atol=1e-7)
    np.testing.assert_allclose(embed([[0.0] * 4], {"normalize": True}, spec), [[0.0] * 4])


def test_what_a_model_cannot_give_is_refused_before_it_runs():
    spec = vectors_spec(EMBEDDING, prompts=PROMPTS)
    for parameters, code in (
        ({"dimensions": 5}, "too_many_dimensions"),
        ({"normalize": False}, "always_normalized"),
        ({"prompt_name": "x"}, "invalid_parameter"),
    ):
        with pytest.raises(InvalidInput) as caught:
            embed([[1, 0, 0, 0]], parameters, spec)
        assert caught.value.code == code


TOKENS = {"output_value": "token_embeddings"}


def embed_tokens(vectors, inputs, parameters, spec):
    request = EMBEDDING.check(inputs, parameters | TOKENS, limits=Limits())
    encoded = EMBEDDING.encode(request, encoder_of(spec), spec, long_text="window")
    assert encoded.with_tokens
    rows = EMBEDDING.decode({"token_embeddings": np.array(vectors, dtype=np.float32)}, spec, request.options, encoded)
    return msgspec.json.decode(msgspec.json.encode(EMBEDDING.answer(rows, request)))


def test_vectors_of_tokens_come_as_they_are_by_text():
    spec = vectors_spec(EMBEDDING, dimensions=2)
    vectors = [[3.0, 4.0], [1.0, 0.0], [0.0, 2.0], [5.0, 0.0], [6.0, 0.0], [7.0, 0.0], [8.0, 0.0]]  # [CLS] a [SEP], [CLS] a b [SEP]
    assert embed_tokens(vectors, ["a", "a b"], {}, spec) == [vectors[:3], vectors[3:]]
    assert embed_tokens(vectors[:3], "a", {"normalize": False}, spec) == vectors[:3]
    assert embed_tokens(vectors[:3], "a", {"dimensions": 1}, spec) == [[3.0], [1.0], [0.0]]
    found = embed_tokens(vectors[:3], "a", {"normalize": True}, spec)
    np.testing.assert_allclose(found, [[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]], atol=1e-7)


def test_more_numbers_of_tokens_than_an_answer_holds_are_refused_before_they_are_computed():
    spec = vectors_spec(EMBEDDING, dimensions=50_000)
    texts = ["a"] * 14  # three tokens each
    with pytest.raises(InvalidInput) as caught:
        EMBEDDING.encode(EMBEDDING.check(texts, TOKENS, limits=Limits()), encoder_of(spec), spec)
    assert caught.value.code == "too_many_token_numbers"
    assert "2000000" in caught.value.message.replace(",", "")
    for parameters, rows in ((TOKENS, texts[:13]), (TOKENS | {"dimensions": 10}, texts), ({}, texts)):
        assert len(EMBEDDING.encode(EMBEDDING.check(rows, parameters, limits=Limits()), encoder_of(spec), spec).rows) == len(rows)


def test_tokens_have_no_windows():
    spec = vectors_spec(EMBEDDING)
    with pytest.raises(InvalidInput) as caught:
        EMBEDDING.check("a", TOKENS | {"long_text": "window"}, limits=Limits())
    assert caught.value.code == "invalid_parameter"
    with pytest.raises(InvalidInput) as caught:  # of an endpoint that reads long texts so
        EMBEDDING.encode(EMBEDDING.check("a " * 20, TOKENS, limits=Limits()), encoder_of(spec), spec, long_text="window")
    assert caught.value.code == "text_too_long"


def test_prompts_go_before_the_text():
    spec = vectors_spec(EMBEDDING, prompts=PROMPTS, default_prompt="passage")

    def row(**parameters):
        return EMBEDDING.encode(EMBEDDING.check("a", parameters, limits=Limits()), encoder_of(spec), spec).rows[0]

    assert row() == [2, WORDS["tell:"], WORDS["a"], 3]
    assert row(prompt_name="query") == [2, WORDS["ask:"], WORDS["a"], 3]


def test_numbers_read_back_as_the_same_float32():
    chance = np.random.default_rng(0)
    values = np.concatenate([chance.normal(size=500) * 10.0 ** chance.integers(-30, 30, 500), [0.0, -0.0, 1e-45]]).astype(np.float32)
    back = np.array(msgspec.json.decode(json_numbers(values)), dtype=np.float32)
    np.testing.assert_array_equal(back, values)


def rank(spec, outputs, texts, **parameters):
    request = RERANKING.check({"query": "a b", "texts": texts}, parameters, limits=Limits())
    encoded = RERANKING.encode(request, encoder_of(spec), spec)
    return RERANKING.answer(RERANKING.decode(outputs, spec, request.options, encoded), request)


def test_an_embedding_model_ranks_by_cosine():
    spec = vectors_spec(RERANKING, prompts=PROMPTS, is_normalized=False)
    vectors = np.array([[0, 5, 0, 0], [3, 0, 0, 0], [1, 1, 0, 0], [2, 0, 0, 0]], dtype=np.float32)  # the query's is the last
    found = rank(spec, {"embeddings": vectors}, ["a", "b", "c"], return_text=True)
    assert [(item["index"], item["text"]) for item in found] == [(1, "b"), (2, "c"), (0, "a")]
    assert [item["score"] for item in found] == pytest.approx([1.0, 0.5**0.5, 0.0])
    assert [item["index"] for item in rank(spec, {"embeddings": vectors}, ["a", "b", "c"], top_k=1)] == [1]
    request = RERANKING.check({"query": "a", "texts": ["b"]}, {}, limits=Limits())
    assert RERANKING.encode(request, encoder_of(spec), spec).rows == [[2, 5, 7, 3], [2, 4, 6, 3]]


def test_a_cross_encoder_reads_pairs():
    spec = ModelSpec(RERANKING.name, ("LABEL_0",), 8, 0)
    request = RERANKING.check({"query": "a b", "texts": ["c", "b c"]}, {}, limits=Limits())
    encoded = RERANKING.encode(request, encoder_of(spec), spec)
    assert encoded.rows == [[2, 6, 7, 3, 8, 3], [2, 6, 7, 3, 7, 8, 3]]
    assert encoded.types == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1, 1]]
    logits = np.array([[-1.0], [3.0]], dtype=np.float32)
    raw = rank(spec, {"logits": logits}, ["c", "b c"], raw_scores=True)
    assert [(item["index"], item["score"]) for item in raw] == [(1, 3.0), (0, -1.0)]
    assert rank(spec, {"logits": logits}, ["c", "b c"])[0]["score"] == pytest.approx(1 / (1 + np.exp(-3.0)))


def test_a_long_text_is_read_in_windows_beside_its_query():
    spec = ModelSpec(RERANKING.name, ("LABEL_0",), 8, 0)
    request = RERANKING.check({"query": "a", "texts": ["b", "b c " * 5, "c"]}, {"long_text": "window"}, limits=Limits())
    encoded = RERANKING.encode(request, encoder_of(spec), spec)
    windows = encoded.windows[1]
    assert list(encoded.windows) == [1] and len(windows) > 2
    assert len(encoded.rows) == 2 + len(windows)
    assert all(row[:3] == [2, 6, 3] and row[-1] == 3 and len(row) == 8 for row in encoded.rows[1:-1])
    assert encoded.types[1:-1] == [[0, 0, 0, 1, 1, 1, 1, 1]] * len(windows)
    read = [token for window, row in zip(windows, encoded.rows[1:-1], strict=True)
            for token in row[3 + window.own_start - window.start : 3 + window.own_end - window.start]]  # fmt: skip
    assert read == [7, 8] * 5, "every token once"
    best = RERANKING.merge(windows, [{"logits": np.array([value])} for value in (0.5, 3.0, -1.0, 2.0, 0.0)[: len(windows)]])
    assert best["logits"].tolist() == [3.0]
    with pytest.raises(InvalidInput) as caught:
        RERANKING.encode(
            RERANKING.check({"query": "a b c a", "texts": ["b " * 9]}, {"long_text": "window"}, limits=Limits()), encoder_of(spec), spec
        )
    assert caught.value.code == "text_too_long", "such a query leaves no room for windows"
    with pytest.raises(InvalidInput) as caught:
        RERANKING.encode(request, encoder_of(spec), spec, max_windows=2)
    assert caught.value.code == "too_many_windows"


def test_megabytes_of_texts_are_tokenised_by_slices_until_there_are_too_many_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanlin.tasks.encoding._SLICE_CHARACTERS", 20)
    spec = replace(vectors_spec(EMBEDDING), max_length=8)
    texts = ["a b c " * 3, "c", "b a " * 6, "a"]
    encoder, asked = encoder_of(spec), []
    monkeypatch.setattr("hanlin.tasks.encoding.ids_of", lambda tokenizer, some: asked.append(len(some)) or ids_of(tokenizer, some))
    sliced = encoder.plan(texts, "window")
    assert (sliced.rows, asked) == ([row for text in texts for row in encoder.plan([text], "window").rows], [3, 1, 1, 1, 1, 1])
    asked.clear()
    with pytest.raises(InvalidInput) as caught:
        encoder.plan(texts, "window", max_windows=2)
    assert (caught.value.code, asked) == ("too_many_windows", [3])


@pytest.mark.parametrize("long_text", ["refuse", "truncate", "window"])
def test_a_pair_of_which_the_tokenizer_leaves_nothing_is_refused(long_text: str):
    """Windows over a text without tokens were once cut behind a query that alone was too long."""
    spec = ModelSpec(RERANKING.name, ("LABEL_0",), 8, 0)
    for query, texts, code, index in [
        ("a", ["b", "~"], "empty_text", 1),
        ("~", ["b"], "invalid_query", None),
        ("~" * 9, ["~"], "invalid_query", None),
    ]:
        request = RERANKING.check({"query": query, "texts": texts}, {"long_text": long_text}, limits=Limits())
        with pytest.raises(InvalidInput) as caught:
            RERANKING.encode(request, deaf_encoder(spec), spec)
        assert (caught.value.code, caught.value.params.get("index")) == (code, index)
    request = RERANKING.check({"query": "a " * 9, "texts": ["~"]}, {"long_text": long_text}, limits=Limits())
    with pytest.raises(InvalidInput) as caught:
        RERANKING.encode(request, deaf_encoder(spec), spec)
    assert caught.value.code == "empty_text"


def test_an_embedding_model_ranks_a_long_text_by_the_vector_that_embedding_answers():
    spec = vectors_spec(RERANKING)
    request = RERANKING.check({"query": "a", "texts": ["b", "b c " * 60]}, {"long_text": "window"}, limits=Limits())
    encoded = RERANKING.encode(request, encoder_of(spec), spec)
    assert list(encoded.windows) == [1]
    assert len(encoded.rows) == 1 + len(encoded.windows[1]) + 1
    rows = [{"embeddings": np.eye(4, dtype=np.float32)[number % 4]} for number in range(len(encoded.windows[1]))]
    merged = RERANKING.merge(encoded.windows[1], rows)["embeddings"]
    np.testing.assert_array_equal(merged, EMBEDDING.merge(encoded.windows[1], rows)["embeddings"])
    assert np.linalg.norm(merged) == pytest.approx(1.0)


def test_a_pair_that_is_too_long_names_its_text_or_is_cut():
    spec = ModelSpec(RERANKING.name, ("LABEL_0",), 8, 0)
    with pytest.raises(InvalidInput) as caught:
        rank(spec, {}, ["c", "b " * 20])
    assert (caught.value.code, caught.value.params["index"]) == ("text_too_long", 1)
    for query, text in (("a", "b " * 20), ("a " * 20, "b"), ("a " * 20, "b " * 20)):
        request = RERANKING.check({"query": query, "texts": [text]}, {"truncation": True}, limits=Limits())
        encoded = RERANKING.encode(request, encoder_of(spec), spec)
        (row,), (types,) = encoded.rows, encoded.types
        assert len(row) == len(types) == 8
        assert row[0] == 2
        assert row[-1] == 3
        assert row.count(3) == 2
        assert {6, 7} <= set(row)


def test_a_bad_text_is_named_by_its_index_and_a_bad_query_as_the_query():
    for inputs, code, index in (
        ({"query": "a", "texts": ["b", ""]}, "empty_text", 1),
        ({"query": " ", "texts": ["b"]}, "invalid_query", None),
        ({"query": "a", "texts": []}, "empty_batch", None),
        ({"query": "a"}, "invalid_ranking", None),
        ("a", "invalid_ranking", None),
    ):
        with pytest.raises(InvalidInput) as caught:
            RERANKING.check(inputs, {}, limits=Limits())
        assert (caught.value.code, caught.value.params.get("index")) == (code, index)


def test_a_reranker_is_probed_under_the_query_of_its_example():
    example = {"first": "how much", "text": "ten", "negatives": ["red"]}
    assert RERANKING.probe([example])[0] == {"query": "how much", "texts": ["ten"]}
    assert RERANKING.probe(["lone", example])[0] == {"query": "how much", "texts": ["lone", "ten"]}  # as beside its neighbours
    lone = RERANKING.probe(["lone", "other"])[0]
    assert lone["texts"] == ["lone", "other"]
    assert lone["query"] == RERANKING.probe(["third"])[0]["query"]
