"""A question about documents: endpoints that search choose the passages, each by a call of its own, and the reader answers."""

from __future__ import annotations

import pytest

DOCUMENTS = [{"id": "a", "text": "w9 w10"}, "bad", {"id": "c", "text": "w30 w31", "start": 50}, "good bad w12"]


def ask(doors, documents: object = DOCUMENTS, question: object = "good", **parameters: object):
    body = {"inputs": {"question": question, "documents": documents}, "parameters": parameters}
    return doors.client.post("/models/answers", json=body)


def text_of(document: object) -> str:
    return document["text"] if isinstance(document, dict) else str(document)


def best(doors, endpoint: str, count: int) -> list[int]:
    """Places of the best documents, by a call of one's own."""
    texts = list(map(text_of, DOCUMENTS))
    if endpoint == "ranks":
        ranking = {"inputs": {"query": "good", "texts": texts}, "parameters": {"top_k": count}}
        return [item["index"] for item in doors.client.post("/models/ranks", json=ranking).json()]
    scores = doors.client.post("/models/vectors", json={"inputs": {"source_sentence": "good", "sentences": texts}}).json()
    return sorted(range(len(texts)), key=lambda place: -scores[place])[:count]


@pytest.mark.parametrize("endpoint", ["ranks", "vectors"])
def test_the_reader_reads_what_the_retriever_found(doors, endpoint: str) -> None:
    (place,) = best(doors, endpoint, 1)
    found = ask(doors, retriever=endpoint, passages=1)
    assert found.status_code == 200, found.text
    alone = ask(doors, [DOCUMENTS[place]]).json()
    answer = found.json()
    assert answer.pop("document") == (DOCUMENTS[place]["id"] if isinstance(DOCUMENTS[place], dict) else place)
    alone.pop("document")
    assert answer == alone
    assert found.headers["x-hanlin-model"].startswith("answers:1")


def test_a_reranker_orders_the_candidates(doors) -> None:
    candidates = best(doors, "vectors", 2)
    order = [place for place in best(doors, "ranks", 4) if place in candidates]
    found = ask(doors, retriever="vectors", reranker="ranks", candidates=2, passages=1).json()
    alone = ask(doors, [DOCUMENTS[order[0]]]).json()
    assert (found["answer"], found["score"]) == (alone["answer"], alone["score"])


def test_places_are_those_of_the_whole_document(doors) -> None:
    long = {"id": "long", "text": "w50 w51. " * 300 + "good w70 w71."}
    assert ask(doors, [long, "bad"], retriever="ranks", passages=64).status_code == 200
    for parameters in ({"retriever": "ranks"}, {"retriever": "vectors"}, {}):
        found = ask(doors, [long], passages=2, **parameters).json()
        assert found["answer"] == long["text"][found["start"] : found["end"]]


def test_every_search_is_a_call_that_is_counted(doors) -> None:
    def calls(endpoint: str) -> float:
        lines = doors.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("hanlin_worker_calls") and f'{endpoint}"' in line)

    before = [calls(endpoint) for endpoint in ("vectors", "ranks", "answers")]
    assert ask(doors, retriever="vectors", reranker="ranks").status_code == 200
    many = [f"w{number}" for number in range(7, 39)]  # one more than fits beside the question
    assert len(many) == 32
    assert ask(doors, many, retriever="vectors").status_code == 200
    after = [calls(endpoint) for endpoint in ("vectors", "ranks", "answers")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 1, 2]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"retriever": "nowhere"}, "invalid_parameter"),
        ({"retriever": ".private"}, "invalid_parameter"),
        ({"retriever": "sentiment"}, "invalid_parameter"),
        ({"retriever": "answers"}, "invalid_parameter"),
        ({"reranker": "vectors"}, "invalid_parameter"),
        ({"retriever": 5}, "invalid_parameter"),
        ({"retriever": "ranks", "passages": 0}, "invalid_parameter"),
        ({"retriever": "ranks", "candidates": True}, "invalid_parameter"),
        ({"retriever": "ranks", "beams": 2}, "unknown_parameter"),
        ({"candidates": 5}, "invalid_parameter"),
    ],
)
def test_what_cannot_search_is_refused(doors, parameters: dict, code: str) -> None:
    found = ask(doors, **parameters)
    assert (found.status_code, found.json()["error"]["code"]) == (422, code), found.text


@pytest.mark.parametrize(
    ("documents", "question", "code"),
    [
        ({}, "good", "invalid_documents"),
        ([], "good", "empty_batch"),
        (["good", " "], "good", "empty_text"),
        (["good", 5], "good", "invalid_inputs"),
        ([{"id": "a"}], "good", "invalid_documents"),
        ([{"text": "good", "title": "x"}], "good", "invalid_documents"),
        (["good"], "", "invalid_query"),
        (["good"], ["x"], "invalid_query"),
    ],
)
@pytest.mark.parametrize("retriever", [None, "ranks"])
def test_what_is_wrong_with_documents_is_told_alike(doors, documents: object, question: object, code: str, retriever) -> None:
    found = ask(doors, documents, question, retriever=retriever)
    assert (found.status_code, found.json()["error"]["code"]) == (422, code), found.text


def test_a_set_that_nobody_keeps_is_not_found(doors) -> None:
    found = ask(doors, "file-x", retriever="ranks")
    assert (found.status_code, found.json()["error"]["code"]) == (404, "not_found")


def test_more_passages_than_endpoints_search_are_refused_before_any_is(doors) -> None:
    found = ask(doors, ["w9. " * 250_000], retriever="ranks")
    assert (found.status_code, found.json()["error"]["code"]) == (413, "too_many_passages")


def test_a_search_that_is_refused_is_told_as_it_was(doors) -> None:
    found = ask(doors, ["good", "w9 fail"], retriever="ranks")
    assert (found.status_code, found.json()["error"]["code"]) == (500, "engine_step_failed")
    other = doors.client.post(
        "/models/answers", json={"inputs": {"question": "good", "documents": ["bad"]}, "parameters": {"retriever": "ranks"}},
        headers={"x-timeout-s": "0.000001"},
    )  # fmt: skip
    assert other.status_code == 504
