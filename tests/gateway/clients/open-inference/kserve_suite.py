"""KServe's own clients, REST and gRPC."""

from __future__ import annotations

import asyncio
import os

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

URL, GRPC = os.environ["HANLIN_URL"], os.environ["HANLIN_GRPC"]
KEY = f"Bearer {os.environ['HANLIN_KEY']}"
CLASSIFIER, EMBEDDER = "sentiment", "vectors"
TEXTS = ["The food was wonderful.", "汤是凉的 🙁", "ok"]


def request_of(endpoint: str, **parameters: object) -> InferRequest:
    text = InferInput(name="text", shape=[len(TEXTS)], datatype="BYTES", data=TEXTS)
    return InferRequest(model_name=endpoint, infer_inputs=[text], request_id="mine", parameters=parameters or None)


def values_of(answer, name: str) -> np.ndarray:
    return next(output for output in answer.outputs if output.name == name).as_numpy()


async def over_rest() -> dict[str, np.ndarray]:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    headers = {"authorization": KEY}
    assert await client.is_server_live(URL)
    assert await client.is_server_ready(URL)
    assert await client.is_model_ready(URL, CLASSIFIER, headers=headers)
    labels = await client.infer(URL, request_of(CLASSIFIER), model_name=CLASSIFIER, headers=headers)
    vectors = await client.infer(URL, request_of(EMBEDDER, normalize=True), model_name=EMBEDDER, headers=headers)
    assert (labels.model_name, labels.id) == (CLASSIFIER, "mine")
    return {"score": values_of(labels, "score"), "embedding": values_of(vectors, "embedding")}


async def over_grpc() -> dict[str, np.ndarray]:
    client = InferenceGRPCClient(GRPC)
    headers = (("authorization", KEY),)
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert await client.is_model_ready(CLASSIFIER, headers=headers)
    labels = await client.infer(request_of(CLASSIFIER), headers=headers)
    vectors = await client.infer(request_of(EMBEDDER, normalize=True), headers=headers)
    await client.close()
    return {"score": values_of(labels, "score"), "embedding": values_of(vectors, "embedding")}


async def both() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    return await over_rest(), await over_grpc()


def check_both_ways() -> None:
    first, second = asyncio.run(both())
    np.testing.assert_allclose(first["score"].sum(axis=1), 1, atol=1e-5)
    for name, values in first.items():
        np.testing.assert_allclose(second[name], values, atol=1e-5, err_msg=name)
