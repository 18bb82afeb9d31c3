"""The door for `huggingface_hub.InferenceClient`, with the package itself, sync and async."""

from __future__ import annotations

import numpy as np
import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import HfHubHTTPError


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client calls nobody while it is told to stay offline, not even this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


TEXTS = ["good bad", "w9 w10 w11", "good"]


def client(doors, endpoint: str, key: str = "hl_app") -> InferenceClient:
    return InferenceClient(model=f"{doors.url}/hf/{endpoint}", token=key)


def pairs(found: object) -> list[tuple[str, float]]:
    return [(item.label, item.score) for item in found]  # type: ignore[attr-defined]


def test_texts_are_classified(doors) -> None:
    expected = [(item["label"], item["score"]) for item in doors.post("good bad").json()]
    asks = client(doors, "sentiment")
    assert pairs(asks.text_classification("good bad")) == expected
    assert pairs(asks.text_classification("good bad", top_k=1)) == expected[:1]
    raw = {"inputs": "good bad", "parameters": {"function_to_apply": "none"}}
    scores = [item["score"] for item in doors.client.post("/models/sentiment", json=raw).json()]
    assert [score for _, score in pairs(asks.text_classification("good bad", function_to_apply="none"))] == scores


def test_features_are_extracted(doors) -> None:
    asks = client(doors, "vectors")
    whole = np.array(doors.post(TEXTS, "vectors").json(), np.float32)
    assert np.array_equal(asks.feature_extraction(TEXTS), whole)
    assert np.array_equal(asks.feature_extraction(TEXTS[0]), whole[0])
    found = asks.feature_extraction(
        TEXTS, normalize=True, dimensions=3, truncate=True, truncation_direction="right", encoding_format="float"
    )
    cut = whole[:, :3]
    np.testing.assert_allclose(found, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-6)


def test_tokens_are_labelled(doors) -> None:
    told = doors.post("good w9 w10", "tags").json()
    assert told
    found = client(doors, "tags").token_classification("good w9 w10")
    assert [(item.word, item.start, item.end) for item in found] == [(item["word"], item["start"], item["end"]) for item in told]


def test_sentences_are_compared(doors) -> None:
    vectors = np.array(doors.post(TEXTS, "vectors").json(), np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = client(doors, "vectors").sentence_similarity(TEXTS[0], TEXTS[1:])
    np.testing.assert_allclose(found, unit[1:] @ unit[0], atol=1e-6)
    with pytest.raises(HfHubHTTPError) as error:
        client(doors, "sentiment").sentence_similarity("good", ["bad"])
    assert error.value.response.json()["error"]["code"] == "invalid_inputs"


async def test_async(doors) -> None:
    async with AsyncInferenceClient(model=f"{doors.url}/hf/vectors", token="hl_app") as asks:
        assert await asks.sentence_similarity(TEXTS[0], TEXTS[1:]) == client(doors, "vectors").sentence_similarity(TEXTS[0], TEXTS[1:])
        assert np.array_equal(await asks.feature_extraction(TEXTS), np.array(doors.post(TEXTS, "vectors").json(), np.float32))
    async with AsyncInferenceClient(model=f"{doors.url}/hf/tags", token="hl_app") as asks:
        assert [item.word for item in await asks.token_classification("good w9")] == [
            item["word"] for item in doors.post("good w9", "tags").json()
        ]
    async with AsyncInferenceClient(model=f"{doors.url}/hf/sentiment", token="hl_app") as asks:
        expected = [(item["label"], item["score"]) for item in doors.post("good bad").json()]
        assert pairs(await asks.text_classification("good bad")) == expected


@pytest.mark.parametrize(("text", "key", "status"), [("", "hl_app", 422), ("good " * 65, "hl_app", 413), ("good", "hl_wrong", 401)])
def test_a_refusal_is_an_error_of_the_client(doors, text: str, key: str, status: int) -> None:
    with pytest.raises(HfHubHTTPError) as error:
        client(doors, "sentiment", key).text_classification(text)
    assert error.value.response.status_code == status
    assert error.value.response.json()["error"]["code"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"inputs": "good", "normalize": True, "parameters": {"normalize": True}}, "duplicate_key"),
        ({"inputs": "good", "parameters": []}, "parameters_not_an_object"),
        ({"inputs": "good", "encoding_format": "base64"}, "invalid_parameter"),
        ({"inputs": "good", "truncation_direction": "left"}, "invalid_parameter"),
        ({"inputs": "good", "dimensions": 9}, "too_many_dimensions"),
        ({"inputs": "good", "top_k": 1}, "unknown_field"),
        ({"inputs": {"source_sentence": "good", "sentences": ["bad"]}, "normalize": True}, "invalid_parameter"),
        ({"inputs": {"source_sentence": "good", "sentences": []}}, "empty_batch"),
        ({"inputs": {"source_sentence": "good", "sentences": "bad"}}, "invalid_inputs"),
        ({"inputs": {"source_sentence": "good", "sentences": ["bad", ""]}}, "empty_text"),
        ({"inputs": {"source_sentence": None, "sentences": ["bad"]}}, "invalid_inputs"),
        ({"inputs": {"source_sentence": "good", "sentences": ["bad"], "more": 1}}, "invalid_inputs"),
    ],
)
def test_what_is_wrong_is_told(doors, body: dict, code: str) -> None:
    answer = doors.client.post("/hf/vectors", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


@pytest.mark.parametrize("page", ["doors.md", "doors.zh.md"])
def test_what_the_documents_show_runs(doors, page: str, run_shown, capsys: pytest.CaptureFixture[str]) -> None:
    run_shown(page, "## Hugging Face", url=doors.url, endpoint="vectors")
    assert capsys.readouterr().out == "2\n"
