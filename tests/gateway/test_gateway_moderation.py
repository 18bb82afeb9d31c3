"""Moderation by the classifier that the operator has chosen, with the package `openai` itself, sync and async."""

from __future__ import annotations

import openai
import pytest

TEXTS = ["good bad", "good w11", "w9 w10 w11"]


@pytest.fixture(scope="module")
def client(doors):
    with openai.OpenAI(base_url=f"{doors.url}/v1", api_key="hl_app", max_retries=0) as found:
        yield found


def scores(doors, text: str) -> dict[str, float]:
    return {item["label"]: item["score"] for item in doors.post(text).json()}


@pytest.mark.parametrize("model", [openai.NOT_GIVEN, "omni-moderation-latest", "text-moderation-stable", "sentiment"])
def test_labels_are_categories_and_the_operators_ones_are_harmful(doors, client, model) -> None:
    answer = client.moderations.create(input=TEXTS, model=model)
    assert (answer.model, len(answer.results)) == ("sentiment", 3)
    for text, result in zip(TEXTS, answer.results, strict=True):
        expected = scores(doors, text)
        assert result.category_scores.model_dump(exclude_unset=True) == pytest.approx(expected)
        is_harmful = expected["negative"] >= 0.5
        assert result.categories.model_dump(exclude_unset=True) == {"negative": is_harmful, "positive": False}
        assert result.flagged == is_harmful
    assert {result.flagged for result in answer.results} == {True, False}, "texts that are all alike show nothing"


def test_a_text_and_parts_of_text_are_taken(client) -> None:
    whole = client.moderations.create(input=TEXTS[0]).results
    parts = client.moderations.create(input=[{"type": "text", "text": TEXTS[0]}]).results
    assert whole == parts
    assert len(whole) == 1


async def test_async(doors) -> None:
    async with openai.AsyncOpenAI(base_url=f"{doors.url}/v1", api_key="hl_app") as client:
        assert len((await client.moderations.create(input=TEXTS)).results) == 3


@pytest.mark.parametrize(
    ("more", "kind", "code"),
    [
        ({"model": "vectors"}, openai.NotFoundError, "endpoint_not_found"),
        ({"input": ""}, openai.UnprocessableEntityError, "empty_text"),
        ({"input": []}, openai.UnprocessableEntityError, "empty_batch"),
        ({"input": [{"type": "image_url", "image_url": {"url": "a"}}]}, openai.UnprocessableEntityError, "invalid_inputs"),
        ({"input": [{"type": "text"}]}, openai.UnprocessableEntityError, "invalid_inputs"),
        ({"extra_body": {"threshold": 1}}, openai.UnprocessableEntityError, "unknown_field"),
    ],
)
def test_what_is_wrong_is_told(client, more: dict, kind: type, code: str) -> None:
    with pytest.raises(kind) as error:
        client.moderations.create(**{"input": "good", **more})
    assert error.value.code == code


def test_without_a_choice_there_is_no_moderation(stack) -> None:
    answer = stack.client.post("/v1/moderations", json={"input": "good"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_moderation_endpoint")
