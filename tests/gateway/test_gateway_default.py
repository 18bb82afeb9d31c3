"""Addresses that name no endpoint: the operator's default one, or the only one that fits; and `/rerank`, which two protocols share."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_the_only_endpoint_that_fits_is_meant(make_stack, tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "home")
    try:
        assert code(stack.client.post("/embed", json={"inputs": "good"})) == (404, "no_default_endpoint")
        stack.add_model("v:1", task="embedding", labels=(), dimensions=8)
        stack.wait_state(stack.deploy("v:1", "vectors"), "ready")
        assert stack.client.post("/embed", json={"inputs": "good"}).status_code == 200
        compared = stack.client.post("/similarity", json={"inputs": {"source_sentence": "good", "sentences": ["good", "bad"]}})
        assert compared.json()[0] == pytest.approx(1.0)
        assert stack.client.get("/health").status_code == 200
        for path, more in {"/v1/embeddings": {"input": "good"}, "/v2/rerank": {"query": "good", "documents": ["bad"]}}.items():
            assert code(stack.client.post(path, json={"model": "", **more})) == (404, "endpoint_not_found"), "no default is meant"
        assert stack.client.get("/info").json()["model_type"] == {"embedding": {"pooling": "unknown"}}
        stack.add_model("m:1")
        stack.wait_state(stack.deploy("m:1", "sentiment"), "ready")
        assert stack.client.post("/embed", json={"inputs": "good"}).status_code == 200, "one classifies, one embeds"
        assert code(stack.client.get("/info")) == (404, "no_default_endpoint")
        assert code(stack.client.post("/tokenize", json={"inputs": "good"})) == (404, "no_default_endpoint")
        stack.wait_state(stack.deploy("v:1", "more-vectors"), "ready")
        answer = stack.client.post("/embed", json={"inputs": "good"})
        assert code(answer) == (404, "no_default_endpoint")
        assert "2 of yours" in answer.json()["error"]["message"]
        assert code(stack.client.post("/rerank", json={"query": "good", "texts": ["bad"]})) == (404, "no_default_endpoint")
    finally:
        stack.close()


def test_the_operators_endpoint_goes_first(make_stack, tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "home", default_endpoint="second")
    try:
        for version, endpoint, width in (("v:1", "first", 4), ("v:2", "second", 8)):
            stack.add_model(version, task="embedding", labels=(), dimensions=width)
            stack.wait_state(stack.deploy(version, endpoint), "ready")
        (vector,) = stack.client.post("/embed", json={"inputs": "good"}).json()
        assert len(vector) == 8
        assert stack.client.post("/predict", json={"inputs": "good"}).status_code == 404, "it does not classify, and nothing else does"
    finally:
        stack.close()


def test_the_plain_address_tells_two_protocols_apart(doors) -> None:
    texts = ["w9 w10", "good", "bad"]
    of_tei = doors.client.post("/rerank", json={"query": "good", "texts": texts, "return_text": True})
    assert of_tei.json() == doors.client.post("/tei/ranks/rerank", json={"query": "good", "texts": texts, "return_text": True}).json()
    body = {"query": "good", "documents": texts, "model": "ranks", "top_n": 2}
    of_cohere, expected = (doors.client.post(path, json=body).json() for path in ("/rerank", "/v1/rerank"))
    assert of_cohere["results"] == expected["results"]
    assert len(of_cohere["results"]) == 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"query": "good"}, "missing_field"),
        ({"query": "good", "texts": ["bad"], "top_n": 1}, "unknown_field"),
        ({"query": "good", "documents": ["bad"]}, "missing_field"),
        ({"query": "good", "documents": ["bad"], "model": "ranks", "raw_scores": True}, "unknown_field"),
        ({"query": "good", "documents": ["bad"], "texts": ["bad"], "model": "ranks"}, "unknown_field"),
        ({"texts": ["bad"]}, "missing_field"),
    ],
)
def test_fields_of_the_other_protocol_are_refused(doors, body: dict, expected: str) -> None:
    assert code(doors.client.post("/rerank", json=body)) == (422, expected)
