"""The doors for clients of text-embeddings-inference: the shapes that they send and read."""

from __future__ import annotations

import numpy as np
import pytest

TEXTS = ["good bad", "w9 w10 w11", "good"]
LONG = "good " * 65


def vectors(doors, inputs: object, **parameters: object) -> np.ndarray:
    body = {"inputs": inputs, "parameters": parameters}
    return np.array(doors.client.post("/models/vectors", json=body).json())


@pytest.mark.parametrize(
    ("more", "parameters"),
    [
        ({}, {"normalize": True}), ({"normalize": None}, {"normalize": True}), ({"normalize": True}, {"normalize": True}),
        ({"normalize": False}, {}), ({"dimensions": 3}, {"normalize": True, "dimensions": 3}),
        ({"truncate": True, "truncation_direction": "Right"}, {"normalize": True}),
    ],
)  # fmt: skip
def test_embed(doors, more: dict, parameters: dict) -> None:
    answer = doors.client.post("/tei/vectors/embed", json={"inputs": TEXTS, **more})
    assert np.array_equal(answer.json(), vectors(doors, TEXTS, **parameters))
    single = doors.client.post("/tei/vectors/embed", json={"inputs": TEXTS[0], **more})
    assert np.array_equal(single.json(), vectors(doors, TEXTS[:1], **parameters))


def test_embed_all(doors) -> None:
    """A vector for each token, as the model makes it; of a single text, too, a list of one."""
    found = doors.client.post("/tei/vectors/embed_all", json={"inputs": TEXTS}).json()
    assert [len(tokens) for tokens in found] == [2, 3, 1]
    assert {len(vector) for tokens in found for vector in tokens} == {len(vectors(doors, TEXTS)[0])}
    assert doors.client.post("/tei/vectors/embed_all", json={"inputs": TEXTS[1]}).json() == [found[1]]
    for tokens, whole in zip(found, vectors(doors, TEXTS), strict=True):
        np.testing.assert_allclose(np.mean(tokens, axis=0), whole, atol=1e-5)
    cut = doors.client.post("/tei/vectors/embed_all", json={"inputs": LONG, "truncate": True})
    assert (len(cut.json()[0]), cut.headers["x-hanlin-truncated"]) == (64, "0")


def test_predict(doors) -> None:
    def ask(inputs: object, **more: object) -> object:
        return doors.client.post("/tei/sentiment/predict", json={"inputs": inputs, **more}).json()

    expected = doors.post(TEXTS).json()
    assert ask([[text] for text in TEXTS]) == expected
    assert ask(TEXTS[0]) == ask([TEXTS[0]]) == expected[0]
    raw = doors.client.post("/models/sentiment", json={"inputs": TEXTS[0], "parameters": {"function_to_apply": "none"}}).json()
    assert ask(TEXTS[0], raw_scores=True) == raw != expected[0]


def test_rerank(doors) -> None:
    body = {"query": "good", "texts": TEXTS}
    for more in ({}, {"return_text": True}, {"raw_scores": True}):
        answer = doors.client.post("/tei/ranks/rerank", json={**body, **more}).json()
        assert answer == doors.client.post("/models/ranks", json={"inputs": body, "parameters": more}).json()
        assert ("text" in answer[0]) == ("return_text" in more)


@pytest.mark.parametrize(
    ("endpoint", "path", "body"),
    [
        ("vectors", "embed", {"inputs": LONG}), ("sentiment", "predict", {"inputs": LONG}),
        ("ranks", "rerank", {"query": "good", "texts": [LONG]}),
    ],
)  # fmt: skip
def test_long_texts_are_cut_when_asked(doors, endpoint: str, path: str, body: dict) -> None:
    for more in ({}, {"truncate": False}, {"truncate": None}):
        answer = doors.client.post(f"/tei/{endpoint}/{path}", json=body | more)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "text_too_long")
    answer = doors.client.post(f"/tei/{endpoint}/{path}", json=body | {"truncate": True})
    assert (answer.status_code, answer.headers["x-hanlin-truncated"]) == (200, "0")


def test_info_tells_what_is_served(doors) -> None:
    told = {endpoint: doors.client.get(f"/tei/{endpoint}/info").json() for endpoint in ("vectors", "sentiment", "ranks")}
    names = {"id2label": {"0": "negative", "1": "positive"}, "label2id": {"negative": 0, "positive": 1}}
    assert told["sentiment"]["model_type"] == {"classifier": names}
    assert [list(one["model_type"]) for one in told.values()] == [["embedding"], ["classifier"], ["reranker"]]
    for one in told.values():
        assert (one["model_dtype"], one["max_input_length"], one["max_client_batch_size"], one["auto_truncate"]) == (
            "float32",
            64,
            32,
            False,
        )


def test_health(doors) -> None:
    assert doors.client.get("/tei/vectors/health").status_code == 200
    assert doors.client.get("/tei/vectors/health").content == b""
    assert doors.client.get("/tei/none-such/health").json()["error"]["code"] == "endpoint_not_found"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("sentiment/predict", {"inputs": ["one", "two"]}, "text_pairs_not_taken"),
        ("sentiment/predict", {"inputs": [["one", "two"]]}, "text_pairs_not_taken"),
        ("sentiment/predict", {"inputs": [["one"], []]}, "sequence_malformed"),
        ("sentiment/predict", {"inputs": ["one", "two", "three"]}, "sequence_malformed"),
        ("sentiment/predict", {"inputs": [["one"], 5]}, "invalid_inputs"),
        ("sentiment/predict", {"inputs": "one", "raw_scores": 1}, "invalid_parameter"),
        ("sentiment/embed", {"inputs": "one"}, "endpoint_has_other_task"),
        ("vectors/embed", {"inputs": "one", "truncation_direction": "Left"}, "invalid_parameter"),
        ("vectors/embed", {"inputs": "one", "truncate": "yes"}, "invalid_parameter"),
        ("vectors/embed", {"inputs": "one", "prompt_name": "none-such"}, "invalid_parameter"),
        ("vectors/embed_all", {"inputs": "one", "prompt_name": "none-such"}, "invalid_parameter"),
        ("vectors/embed_all", {"inputs": "one", "normalize": True}, "unknown_field"),
        ("sentiment/embed_all", {"inputs": "one"}, "endpoint_has_other_task"),
        ("ranks/rerank", {"query": "good", "texts": "one"}, "invalid_ranking"),
    ],
)
def test_what_is_not_taken_is_refused(doors, path: str, body: dict, code: str) -> None:
    answer = doors.client.post(f"/tei/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_what_starts_is_not_healthy(own_stack) -> None:
    """A model that takes a minute to load."""
    own_stack.add_model("slow:1", load_ms=60_000)
    own_stack.deploy("slow:1", "slow")
    for _ in range(200):
        answer = own_stack.client.get("/tei/slow/health")
        if answer.status_code != 404:
            break
        own_stack.pause()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "endpoint_starting")
    assert own_stack.client.get("/tei/slow/info").status_code == 503


def test_similarity(doors) -> None:
    vectors_of = vectors(doors, TEXTS, normalize=True)
    answer = doors.client.post("/tei/vectors/similarity", json={"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}})
    np.testing.assert_allclose(answer.json(), vectors_of[1:] @ vectors_of[0], atol=1e-6)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"inputs": TEXTS}, "invalid_inputs"),
        ({"inputs": {"source_sentence": "good"}}, "invalid_inputs"),
        ({"inputs": {"source_sentence": "good", "sentences": "bad"}}, "invalid_inputs"),
        ({"inputs": {"source_sentence": "good", "sentences": []}}, "empty_batch"),
        ({"inputs": {"source_sentence": "", "sentences": ["bad"]}}, "empty_text"),
        ({"inputs": {"source_sentence": "good", "sentences": ["bad"]}, "parameters": []}, "parameters_not_an_object"),
        ({"inputs": {"source_sentence": "good", "sentences": ["bad"]}, "parameters": {"prompt_name": "query"}}, "field_not_taken"),
        ({"inputs": {"source_sentence": "good", "sentences": ["bad"]}, "parameters": {"normalize": True}}, "unknown_field"),
        ({"inputs": {"source_sentence": "good", "sentences": ["bad"]}, "query": "good"}, "unknown_field"),
    ],
)
def test_what_cannot_be_compared_is_refused(doors, body: dict, code: str) -> None:
    answer = doors.client.post("/tei/vectors/similarity", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_a_model_without_vectors_of_tokens_says_so(own_stack) -> None:
    """One whose graph was made before there were any."""
    own_stack.add_model("old:1", task="embedding", labels=(), dimensions=4, tokens=False)
    own_stack.wait_state(own_stack.deploy("old:1", "old"), "ready")
    assert own_stack.client.post("/tei/old/embed", json={"inputs": "good"}).status_code == 200
    answer = own_stack.client.post("/tei/old/embed_all", json={"inputs": "good"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "token_embeddings_not_served")
    assert "fake-fp32" in answer.json()["error"]["message"]
