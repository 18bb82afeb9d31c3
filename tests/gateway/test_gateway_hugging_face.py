"""The door for `huggingface_hub.InferenceClient`, with the package itself, sync and async."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import HfHubHTTPError


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client calls nobody while it is told to stay offline, not even this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


TEXTS = ["good bad", "w9 w10 w11", "good"]


@pytest.fixture(params=["hf", "models"])
def address(request: pytest.FixtureRequest) -> str:
    """The door of its own, and the task API itself."""
    return str(request.param)


def client(doors, endpoint: str, key: str = "hl_app", address: str = "hf") -> InferenceClient:
    return InferenceClient(model=f"{doors.url}/{address}/{endpoint}", token=key)


def pairs(found: object) -> list[tuple[str, float]]:
    return [(item.label, item.score) for item in found]  # type: ignore[attr-defined]


def test_texts_are_classified(doors, address: str) -> None:
    expected = [(item["label"], item["score"]) for item in doors.post("good bad").json()]
    asks = client(doors, "sentiment", address=address)
    assert pairs(asks.text_classification("good bad")) == expected
    assert pairs(asks.text_classification("good bad", top_k=1)) == expected[:1]
    raw = {"inputs": "good bad", "parameters": {"function_to_apply": "none"}}
    scores = [item["score"] for item in doors.client.post("/models/sentiment", json=raw).json()]
    assert [score for _, score in pairs(asks.text_classification("good bad", function_to_apply="none"))] == scores


def test_features_are_extracted(doors, address: str) -> None:
    asks = client(doors, "vectors", address=address)
    whole = np.array(doors.post(TEXTS, "vectors").json(), np.float32)
    assert np.array_equal(asks.feature_extraction(TEXTS), whole)
    assert np.array_equal(asks.feature_extraction(TEXTS[0]), whole[0])
    found = asks.feature_extraction(
        TEXTS, normalize=True, dimensions=3, truncate=True, truncation_direction="right", encoding_format="float"
    )
    cut = whole[:, :3]
    np.testing.assert_allclose(found, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-6)


def test_tokens_are_labelled(doors, address: str) -> None:
    told = doors.post("good w9 w10", "tags").json()
    assert told
    found = client(doors, "tags", address=address).token_classification("good w9 w10")
    assert [(item.word, item.start, item.end) for item in found] == [(item["word"], item["start"], item["end"]) for item in told]


def test_sentences_are_compared(doors, address: str) -> None:
    vectors = np.array(doors.post(TEXTS, "vectors").json(), np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = client(doors, "vectors", address=address).sentence_similarity(TEXTS[0], TEXTS[1:])
    np.testing.assert_allclose(found, unit[1:] @ unit[0], atol=1e-6)
    with pytest.raises(HfHubHTTPError) as error:
        client(doors, "sentiment").sentence_similarity("good", ["bad"])
    assert error.value.response.json()["error"]["code"] == "invalid_inputs"


CALLS: dict[str, tuple[str, dict[str, Any], object, dict[str, Any]]] = {
    "question_answering": (
        "answers", {"question": "w9", "context": "good w9 w10", "max_answer_len": 4},
        {"question": "w9", "context": "good w9 w10"}, {"max_answer_len": 4},
    ),
    "question_answering, several": (
        "answers", {"question": "w9", "context": "good w9 w10", "top_k": 2}, {"question": "w9", "context": "good w9 w10"}, {"top_k": 2},
    ),
    "fill_mask": (
        "blanks", {"text": "good [MASK]", "top_k": 2, "targets": ["good", "bad"]}, "good [MASK]", {"top_k": 2, "targets": ["good", "bad"]},
    ),
    "text_generation": ("muse", {"prompt": "good bad", "max_new_tokens": 3, "stop": ["w9"]}, "good bad",
                        {"max_new_tokens": 3, "stop": ["w9"]}),
    "text_generation, with the prompt": (
        "muse", {"prompt": "good bad", "max_new_tokens": 3, "return_full_text": True}, "good bad",
        {"max_new_tokens": 3, "return_full_text": True},
    ),
    "translation": ("tongue", {"text": "good bad", "generate_parameters": {"num_beams": 2}}, "good bad", {"num_beams": 2}),
    "summarization": ("gist", {"text": "good bad", "generate_parameters": {"max_new_tokens": 2}}, "good bad", {"max_new_tokens": 2}),
    "zero_shot_classification": (
        "vectors", {"text": "good w9", "candidate_labels": ["w20", "w30"], "hypothesis_template": "about {}", "multi_label": True},
        "good w9", {"candidate_labels": ["w20", "w30"], "hypothesis_template": "about {}", "multi_label": True},
    ),
    "text_classification": ("mood", {"text": "good bad", "top_k": 1}, "good bad", {"top_k": 1}),
    "token_classification": (
        "tags", {"text": "good w9", "aggregation_strategy": "none", "ignore_labels": ["O"]}, "good w9",
        {"aggregation_strategy": "none", "ignore_labels": ["O"]},
    ),
}  # fmt: skip


def as_told(found: Any) -> Any:
    """Of the client's values what our answers have."""
    if isinstance(found, list):
        return [as_told(item) for item in found]
    return {name: value for name, value in vars(found).items() if value is not None} if hasattr(found, "__dict__") else found


def is_within(found: Any, told: Any) -> bool:
    """Whether the client has what the task API tells, in so far as it has a word for it."""
    if isinstance(told, list):
        return isinstance(found, list) and len(found) == len(told) and all(map(is_within, found, told))
    if isinstance(found, str):
        return bool(found == told["generated_text"])
    shared = found.keys() & told.keys()
    return bool(shared) and all(found[name] == told[name] for name in shared)


@pytest.mark.parametrize("name", CALLS)
async def test_every_task_of_the_client_is_served(doors, address: str, name: str) -> None:
    """By the method of that name, sync and async, as the task API answers the same call."""
    endpoint, options, inputs, parameters = CALLS[name]
    answer = doors.client.post(f"/models/{endpoint}", json={"inputs": inputs, "parameters": parameters})
    assert answer.status_code == 200, answer.text
    method = name.partition(",")[0]
    found = as_told(getattr(client(doors, endpoint, address=address), method)(**options))
    assert is_within(found, answer.json()), (found, answer.json())
    async with AsyncInferenceClient(model=f"{doors.url}/{address}/{endpoint}", token="hl_app") as asks:
        assert as_told(await getattr(asks, method)(**options)) == found


@pytest.mark.parametrize(
    ("method", "endpoint", "options", "name"),
    [
        ("text_generation", "muse", {"prompt": "good", "watermark": True}, "watermark"),
        ("text_generation", "muse", {"prompt": "good", "best_of": 2}, "best_of"),
        ("question_answering", "answers", {"question": "w9", "context": "good", "align_to_words": True}, "align_to_words"),
        ("translation", "tongue", {"text": "good", "src_lang": "en", "tgt_lang": "zh"}, "src_lang"),
        ("summarization", "gist", {"text": "good", "generate_parameters": {"beams": 2}}, "beams"),
    ],
)
def test_a_parameter_that_is_not_known_is_refused_by_name(doors, method: str, endpoint: str, options: dict, name: str) -> None:
    with pytest.raises(HfHubHTTPError) as error:
        getattr(client(doors, endpoint), method)(**options)
    told = error.value.response.json()["error"]
    assert told["code"] == "unknown_parameter"
    assert name in told["message"]


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
