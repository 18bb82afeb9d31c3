"""NVIDIA's `tritonclient`, http and grpc, plain and asyncio."""

from __future__ import annotations

import asyncio
import os
from urllib.parse import urlsplit

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.grpc.aio as over_grpc_aio
import tritonclient.http as over_http
import tritonclient.http.aio as over_http_aio
from tritonclient.utils import InferenceServerException

HTTP, GRPC = urlsplit(os.environ["HANLIN_URL"]).netloc, os.environ["HANLIN_GRPC"]
CLASSIFIER, EMBEDDER, RANKER, TAGGER = "sentiment", "vectors", "ranks", "tags"
TEXTS = ["The food was wonderful.", "汤是凉的 🙁", "ok"]


def key() -> dict[str, str]:
    """Anew each time: the client writes its own headers into it."""
    return {"authorization": f"Bearer {os.environ['HANLIN_KEY']}"}


def texts_of(library, texts: list[str], name: str = "text", **how: bool):
    tensor = library.InferInput(name, [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=object), **how)
    return tensor


def words(values) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values.reshape(-1)]


def refused(call, code: str) -> None:
    try:
        call()
    except InferenceServerException as error:
        assert code in str(error) or code in str(error.status()), (code, str(error), error.status())
    else:
        raise AssertionError(f"{code} was expected")


def whole(library, client, is_http: bool) -> dict[str, np.ndarray]:
    """Everything but health; gives the numbers, which all ways must share."""
    told = client.get_model_metadata(CLASSIFIER, headers=key())
    told = told if is_http else library_json(told)
    assert [item["name"] for item in told["outputs"]] == ["label", "score"], told
    assert client.is_model_ready(CLASSIFIER, headers=key())
    assert client.is_model_ready(CLASSIFIER, told["versions"][0], headers=key())
    config = client.get_model_config(CLASSIFIER, headers=key())
    assert (config if is_http else library_json(config)["config"])["backend"] == "hanlin"
    index = client.get_model_repository_index(headers=key())
    names = [item["name"] for item in (index if is_http else library_json(index)["models"])]
    assert CLASSIFIER in names, index
    stats = client.get_inference_statistics(CLASSIFIER, headers=key())
    assert (stats if is_http else library_json(stats))["model_stats"][0]["name"] == CLASSIFIER
    refused(lambda: client.load_model(CLASSIFIER, headers=key()), "403" if is_http else "PERMISSION_DENIED")
    refused(lambda: client.unload_model(CLASSIFIER, headers=key()), "403" if is_http else "PERMISSION_DENIED")
    refused(lambda: client.infer("none-such", [texts_of(library, TEXTS)], headers=key()), "404" if is_http else "NOT_FOUND")
    refused(lambda: client.infer(CLASSIFIER, [texts_of(library, [" "])], headers=key()), "422" if is_http else "INVALID_ARGUMENT")
    refused(lambda: client.infer(CLASSIFIER, [texts_of(library, TEXTS)]), "401" if is_http else "UNAUTHENTICATED")
    return read_all(lambda endpoint, inputs, **more: client.infer(endpoint, inputs, headers=key(), **more), library)


def library_json(message) -> dict:
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, preserving_proto_field_name=True)


def read_all(infer, library) -> dict[str, np.ndarray]:
    answer = infer(CLASSIFIER, [texts_of(library, TEXTS)], request_id="mine")
    labels, scores = answer.as_numpy("label"), answer.as_numpy("score")
    assert labels.shape == scores.shape and labels.shape[0] == len(TEXTS)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    best = infer(CLASSIFIER, [texts_of(library, TEXTS)], parameters={"top_k": 1}, outputs=[library.InferRequestedOutput("label")])
    assert words(best.as_numpy("label")) == words(labels[:, 0])
    vectors = infer(EMBEDDER, [texts_of(library, TEXTS)], parameters={"normalize": True}).as_numpy("embedding")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    ranks = infer(RANKER, [texts_of(library, ["How was the food?"], "query"), texts_of(library, TEXTS)])
    assert sorted(ranks.as_numpy("index").tolist()) == [0, 1, 2]
    tags = infer(TAGGER, [texts_of(library, TEXTS)], parameters={"aggregation_strategy": "simple"})
    places = [tags.as_numpy(name) for name in ("item", "start", "end")]
    for item, start, end, word in zip(*places, words(tags.as_numpy("word")), strict=True):
        assert TEXTS[item][start:end] == word
    return {"score": scores, "embedding": vectors, "rank": ranks.as_numpy("score")}


def over_http_plain() -> dict[str, np.ndarray]:
    with over_http.InferenceServerClient(HTTP) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.get_server_metadata()["name"] == "hanlin"
        found = whole(over_http, client, is_http=True)
        json_only = client.infer(
            CLASSIFIER, [texts_of(over_http, TEXTS, binary_data=False)], headers=key(),
            outputs=[over_http.InferRequestedOutput("score", binary_data=False)],
        )  # fmt: skip
        np.testing.assert_allclose(json_only.as_numpy("score"), found["score"], atol=1e-5)
        return found


def over_grpc_plain() -> dict[str, np.ndarray]:
    with over_grpc.InferenceServerClient(GRPC) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.get_server_metadata().name == "hanlin"
        refused(lambda: client.infer(CLASSIFIER, [texts_of(over_grpc, TEXTS)], headers=key(), client_timeout=1e-9), "DEADLINE_EXCEEDED")
        return whole(over_grpc, client, is_http=False)


async def over_aio(library, address: str) -> dict[str, np.ndarray]:
    async with library.InferenceServerClient(address) as client:
        assert await client.is_server_live()
        assert await client.is_model_ready(CLASSIFIER, headers=key())
        calls = [client.infer(CLASSIFIER, [texts_of(library, TEXTS)], headers=key()) for _ in range(8)]
        scores = [answer.as_numpy("score") for answer in await asyncio.gather(*calls)]
        vectors = await client.infer(EMBEDDER, [texts_of(library, TEXTS)], headers=key(), parameters={"normalize": True})
        return {"score": scores[-1], "embedding": vectors.as_numpy("embedding")}


def check_all_ways() -> None:
    first = over_http_plain()
    others = {
        "grpc": over_grpc_plain(), "http.aio": asyncio.run(over_aio(over_http_aio, HTTP)),
        "grpc.aio": asyncio.run(over_aio(over_grpc_aio, GRPC)),
    }  # fmt: skip
    for way, found in others.items():
        for name, values in found.items():
            np.testing.assert_allclose(values, first[name], atol=1e-5, err_msg=f"{way} {name}")
