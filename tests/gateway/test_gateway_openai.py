"""The door for clients of OpenAI's API, with the package `openai` itself, sync and async."""

from __future__ import annotations

import base64

import numpy as np
import openai
import pytest
from tests.gateway.ways import ALL_ENDPOINTS

TEXTS = ["good bad", "w9 w10 w11", "good"]


@pytest.fixture(scope="module")
def client(doors):
    with openai.OpenAI(base_url=f"{doors.url}/v1", api_key="hl_app", max_retries=0) as found:
        yield found


def unit(vectors: object) -> np.ndarray:
    found = np.array(vectors, dtype=np.float64)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def expected(doors, texts: list[str]) -> np.ndarray:
    return unit(doors.post(texts, "vectors").json())


def test_texts_become_vectors_of_length_1(doors, client) -> None:
    answer = client.embeddings.create(model="vectors", input=TEXTS)  # base64, as the client asks by itself
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert [item.object for item in answer.data] == ["embedding"] * 3
    np.testing.assert_allclose([item.embedding for item in answer.data], expected(doors, TEXTS), atol=1e-6)
    assert answer.model == "vectors"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens == 6


def test_floats_and_base64_are_the_same_numbers(doors, client) -> None:
    floats = client.embeddings.create(model="vectors", input=TEXTS, encoding_format="float", user="somebody")
    body = {"model": "vectors", "input": TEXTS, "encoding_format": "base64"}
    packed = doors.client.post("/v1/embeddings", json=body).json()
    for item, raw in zip(floats.data, packed["data"], strict=True):
        assert np.array_equal(np.frombuffer(base64.b64decode(raw["embedding"]), "<f4"), np.array(item.embedding, np.float32))


def test_a_single_text_is_a_list_of_one(doors, client) -> None:
    answer = client.embeddings.create(model="vectors", input=TEXTS[0])
    np.testing.assert_allclose([item.embedding for item in answer.data], expected(doors, TEXTS[:1]), atol=1e-6)


def test_fewer_dimensions_have_length_1_again(doors, client) -> None:
    answer = client.embeddings.create(model="vectors", input=TEXTS, dimensions=3)
    whole = np.array(doors.post(TEXTS, "vectors").json())
    np.testing.assert_allclose([item.embedding for item in answer.data], unit(whole[:, :3]), atol=1e-6)


def test_tokens_are_taken_for_those_who_tokenise_themselves(doors, client) -> None:
    rows = [[token["id"] for token in row] for row in doors.client.post("/tei/vectors/tokenize", json={"inputs": TEXTS}).json()]
    answer = client.embeddings.create(model="vectors", input=rows)
    np.testing.assert_allclose([item.embedding for item in answer.data], expected(doors, TEXTS), atol=1e-6)
    single = client.embeddings.create(model="vectors", input=rows[0])
    np.testing.assert_allclose([item.embedding for item in single.data], expected(doors, TEXTS[:1]), atol=1e-6)


async def test_async(doors) -> None:
    async with openai.AsyncOpenAI(base_url=f"{doors.url}/v1", api_key="hl_app") as client:
        answer = await client.embeddings.create(model="vectors", input=TEXTS)
        np.testing.assert_allclose([item.embedding for item in answer.data], expected(doors, TEXTS), atol=1e-6)
        assert [model.id async for model in client.models.list()] == sorted(ALL_ENDPOINTS.values())


def test_endpoints_are_listed_as_models(client) -> None:
    assert [(model.id, model.object, model.owned_by) for model in client.models.list()] == [
        (name, "model", "default") for name in sorted(ALL_ENDPOINTS.values())
    ]
    assert client.models.retrieve("vectors").id == "vectors"
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("none-such")
    assert (error.value.code, error.value.type) == ("endpoint_not_found", "not_found_error")


def test_another_team_sees_its_own_models_only(doors) -> None:
    with openai.OpenAI(base_url=f"{doors.url}/v1", api_key="hl_other") as other:
        assert list(other.models.list()) == []


@pytest.mark.parametrize(
    ("more", "kind", "code"),
    [
        ({"input": ""}, openai.UnprocessableEntityError, "empty_text"),
        ({"input": []}, openai.UnprocessableEntityError, "empty_batch"),
        ({"input": [7, 8, 5000]}, openai.UnprocessableEntityError, "unknown_token_id"),
        ({"input": [[7, 8], [-3]]}, openai.UnprocessableEntityError, "invalid_token_ids"),
        ({"input": [[7, 8], ["good"]]}, openai.UnprocessableEntityError, "invalid_inputs"),
        ({"input": [[7, 8], []]}, openai.UnprocessableEntityError, "invalid_inputs"),
        ({"input": [7, "good"]}, openai.UnprocessableEntityError, "invalid_token_ids"),
        ({"input": [True]}, openai.UnprocessableEntityError, "invalid_inputs"),
        ({"input": "good " * 65}, openai.APIStatusError, "text_too_long"),
        ({"model": "none-such"}, openai.NotFoundError, "endpoint_not_found"),
        ({"model": "sentiment"}, openai.UnprocessableEntityError, "endpoint_has_other_task"),
        ({"dimensions": 9}, openai.UnprocessableEntityError, "too_many_dimensions"),
        ({"dimensions": "9"}, openai.UnprocessableEntityError, "invalid_parameter"),
        ({"encoding_format": "int8"}, openai.UnprocessableEntityError, "invalid_parameter"),
        ({"user": 5}, openai.UnprocessableEntityError, "invalid_parameter"),
        ({"extra_body": {"inptu": 1}}, openai.UnprocessableEntityError, "unknown_field"),
        ({"extra_body": {"model": 5}}, openai.UnprocessableEntityError, "invalid_parameter"),
    ],
)
def test_what_is_wrong_is_told_as_the_client_expects(client, more: dict, kind: type, code: str) -> None:
    with pytest.raises(kind) as error:
        client.embeddings.create(**{"model": "vectors", "input": "good", **more})
    assert error.value.code == code
    assert error.value.type
    assert error.value.body["message"]


def test_a_wrong_key_is_told_as_the_client_expects(doors) -> None:
    with openai.OpenAI(base_url=f"{doors.url}/v1", api_key="hl_wrong") as client:
        with pytest.raises(openai.AuthenticationError) as error:
            client.embeddings.create(model="vectors", input="good")
        assert (error.value.code, error.value.type) == ("unauthenticated", "authentication_error")


def test_errors_speak_the_callers_language(doors) -> None:
    body = {"model": "vectors", "input": [5000]}
    answer = doors.client.post("/v1/embeddings", json=body, headers={"accept-language": "zh"})
    assert "词表" in answer.json()["error"]["message"]


def test_the_answer_tells_times_and_version(doors) -> None:
    answer = doors.client.post("/v1/embeddings", json={"model": "vectors", "input": "good"})
    assert answer.headers["x-hanlin-model"] == "v:1 fake-fp32"
    assert "engine;dur=" in answer.headers["server-timing"]


@pytest.mark.parametrize("page", ["doors.md", "doors.zh.md"])
def test_what_the_documents_show_runs(doors, page: str, run_shown, capsys: pytest.CaptureFixture[str]) -> None:
    run_shown(page, "## OpenAI", url=doors.url, endpoint="vectors")["client"].close()
    assert capsys.readouterr().out.startswith("2 ")


@pytest.mark.parametrize(
    ("path", "field", "more"), [("/v1/embeddings", "input", {"model": "vectors"}), ("/tei/vectors/embed", "inputs", {"normalize": False})]
)
def test_sentences_are_compared_at_no_door_that_answers_vectors(doors, path: str, field: str, more: dict) -> None:
    body = {field: {"source_sentence": "good", "sentences": ["bad"]}, **more}
    assert doors.client.post(path, json=body).status_code == 422
