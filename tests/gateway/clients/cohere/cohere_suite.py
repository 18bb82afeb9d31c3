"""Cohere's own client, of both versions of its API."""

import os

import cohere

URL, KEY = os.environ["HANLIN_URL"], os.environ["HANLIN_KEY"]
DOCUMENTS = ["w9 w10", "good", "bad w12 w13", "w14"]


def order(results: object) -> list[int]:
    return [item.index for item in results]  # type: ignore[attr-defined]


def scores(results: object) -> list[float]:
    return [item.relevance_score for item in results]  # type: ignore[attr-defined]


def check_version_2() -> None:
    client = cohere.ClientV2(api_key=KEY, base_url=URL)
    answer = client.rerank(model="ranks", query="good", documents=DOCUMENTS)
    assert sorted(order(answer.results)) == [0, 1, 2, 3]
    assert scores(answer.results) == sorted(scores(answer.results), reverse=True)
    top = client.rerank(model="ranks", query="good", documents=DOCUMENTS, top_n=2)
    assert order(top.results) == order(answer.results)[:2]
    assert answer.meta is not None
    assert answer.meta.billed_units is not None
    assert answer.meta.billed_units.search_units == 1


def check_version_1() -> None:
    client = cohere.Client(api_key=KEY, base_url=URL)
    answer = client.rerank(model="ranks", query="good", documents=DOCUMENTS, return_documents=True)
    for item in answer.results:
        assert item.document is not None
        assert item.document.text == DOCUMENTS[item.index]
    plain = client.rerank(model="ranks", query="good", documents=[{"text": text} for text in DOCUMENTS])
    assert order(plain.results) == order(answer.results)


async def check_async() -> None:
    client = cohere.AsyncClientV2(api_key=KEY, base_url=URL)
    answer = await client.rerank(model="ranks", query="good", documents=DOCUMENTS)
    sync = cohere.ClientV2(api_key=KEY, base_url=URL).rerank(model="ranks", query="good", documents=DOCUMENTS)
    assert order(answer.results) == order(sync.results)


def check_errors_are_the_clients() -> None:
    for model, key, kind in (
        ("none-such", KEY, cohere.errors.NotFoundError),
        ("ranks", "hl_wrong", cohere.errors.UnauthorizedError),
        ("vectors", KEY, cohere.errors.UnprocessableEntityError),
    ):
        try:
            cohere.ClientV2(api_key=key, base_url=URL).rerank(model=model, query="good", documents=DOCUMENTS)
        except kind as error:
            assert error.body["error"]["code"]
        else:
            raise AssertionError(f"{model}: no error")
