"""The doors for clients of Cohere and of Jina: the shapes that they send and read."""

from __future__ import annotations

import pytest

TEXTS = ["w9 w10", "bad", "w30", "good bad w12"]
BODY = {"model": "ranks", "query": "good", "documents": TEXTS}


def ranked(doors, **parameters: object) -> list[tuple[int, float]]:
    body = {"inputs": {"query": "good", "texts": TEXTS}, "parameters": parameters}
    return [(item["index"], item["score"]) for item in doors.client.post("/models/ranks", json=body).json()]


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
@pytest.mark.parametrize("more", [{}, {"top_n": 2}, {"top_n": 100}, {"top_n": None}])
def test_the_order_and_the_numbers_are_those_of_the_task(doors, path: str, more: dict) -> None:
    answer = doors.client.post(path, json=BODY | more)
    assert answer.status_code == 200
    expected = ranked(doors, **({"top_k": more["top_n"]} if more.get("top_n") else {}))
    assert [(item["index"], item["relevance_score"]) for item in answer.json()["results"]] == expected
    assert len(expected) == min(4, more.get("top_n") or 4)


def test_cohere_v2_reads_what_it_knows(doors) -> None:
    answer = doors.client.post("/v2/rerank", json=BODY).json()
    assert answer.keys() == {"id", "results", "meta"}
    assert all(item.keys() == {"index", "relevance_score"} for item in answer["results"])
    assert answer["meta"]["api_version"] == {"version": "2"}
    assert answer["meta"]["billed_units"] == {"search_units": 1}
    assert answer["meta"]["tokens"]["input_tokens"] > 4
    assert answer["id"] != doors.client.post("/v2/rerank", json=BODY).json()["id"]


def test_one_answer_serves_cohere_v1_and_jina(doors) -> None:
    objects = BODY | {"documents": [{"text": text} for text in TEXTS]}
    for body in (BODY, objects, BODY | {"return_documents": True}):
        answer = doors.client.post("/v1/rerank", json=body).json()
        assert [item["document"] for item in answer["results"]] == [{"text": TEXTS[item["index"]]} for item in answer["results"]]
        assert (answer["model"], answer["object"]) == ("ranks", "list")
        assert answer["usage"]["total_tokens"] == answer["meta"]["tokens"]["input_tokens"] > 4
        assert answer["meta"]["api_version"] == {"version": "1"}
    without = doors.client.post("/v1/rerank", json=BODY | {"return_documents": False}).json()
    assert all(item.keys() == {"index", "relevance_score"} for item in without["results"])


@pytest.mark.parametrize(
    ("path", "more", "code"),
    [
        ("/v2/rerank", {"return_documents": True}, "unknown_field"),
        ("/v2/rerank", {"max_tokens_per_doc": 5}, "field_not_taken"),
        ("/v1/rerank", {"rank_fields": ["text"]}, "field_not_taken"),
        ("/v1/rerank", {"return_documents": 1}, "invalid_parameter"),
        ("/v2/rerank", {"documents": [{"text": "good"}]}, "invalid_inputs"),
        ("/v1/rerank", {"documents": [{"text": "good", "title": "x"}]}, "invalid_inputs"),
        ("/v1/rerank", {"documents": ["good", {"text": 5}]}, "invalid_inputs"),
    ],
)
def test_what_is_not_taken_is_refused(doors, path: str, more: dict, code: str) -> None:
    answer = doors.client.post(path, json=BODY | more)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"top_n": 0}, "invalid_parameter"), ({"top_n": True}, "invalid_parameter"), ({"top_n": 2**31 + 1}, "invalid_parameter"),
        ({"top_n": 1.5}, "invalid_parameter"), ({"model": None}, "invalid_parameter"), ({"model": "sentiment"}, "endpoint_has_other_task"),
        ({"query": ""}, "invalid_query"), ({"query": 5}, "invalid_query"), ({"documents": "good"}, "invalid_ranking"),
        ({"documents": None}, "invalid_ranking"), ({"documents": []}, "empty_batch"), ({"documents": ["good", ""]}, "empty_text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(doors, path: str, more: dict, code: str) -> None:
    answer = doors.client.post(path, json=BODY | more)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
