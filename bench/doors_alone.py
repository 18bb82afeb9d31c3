"""What each door costs the gateway beside the task API's: one text and 32, answers of 384 numbers or of a score a text.

usage: python bench/doors_alone.py

The whole gateway without workers and without a network (`gateway_alone`): CPU time of a call, the best of many rounds. Prints a
Markdown table.
"""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from pathlib import Path

import numpy as np
import uvloop

from gateway_alone import LABELS, TOGETHER, NoRouter, through_protocol
from hanlin.gateway.app import create_app
from hanlin.gateway.dataplane import Dataplane
from hanlin.serving.router import Request, Result
from hanlin.serving.routes import EndpointRoute
from hanlin.serving.wire import Answer, ReplicaInfo
from hanlin.settings import Settings
from hanlin.tasks.embedding import json_numbers
from hanlin.types import JsonObject, KeyId, Principal, TeamId

TEXT = "what a lovely film this was " * 4
ANYONE = Principal(TeamId("default"), KeyId("any"), frozenset({"predict"}))
GENERATOR = np.random.default_rng(1)


class AnyKey:
    """Lets everyone in."""

    def authenticate(self, header: str | None) -> Principal:
        return ANYONE


class TaskRouter(NoRouter):
    """Answers for an endpoint of one task."""

    def __init__(self, task: str, body: bytes, items: int) -> None:
        super().__init__()
        self._info = ReplicaInfo("m:1", "fake-fp32", task, LABELS, 256, 256, 2**20, ("en",))
        self._answer = Answer(1, body, items, 20 * items, 0.1, 0.1, 1.0)

    def route(self, key: str) -> EndpointRoute:
        return EndpointRoute("m", "m:1", "fake-fp32", "ready", info=self._info)

    async def submit(self, key: str, request: Request) -> Result:
        await asyncio.sleep(0)
        return Result(self._answer, self._info)


def calls(texts: list[str]) -> list[tuple[str, str, str, JsonObject]]:
    """Door, task, path and body."""
    ranked: JsonObject = {"model": "m", "query": TEXT, "documents": list(texts)}
    return [
        ("task API", "embedding", "/models/m", {"inputs": list(texts)}),
        ("OpenAI, floats", "embedding", "/v1/embeddings", {"input": list(texts), "model": "m"}),
        ("OpenAI, base64", "embedding", "/v1/embeddings", {"input": list(texts), "model": "m", "encoding_format": "base64"}),
        ("TEI", "embedding", "/tei/m/embed", {"inputs": list(texts)}),
        ("task API", "reranking", "/models/m", {"inputs": {"query": TEXT, "texts": list(texts)}}),
        ("Cohere v2", "reranking", "/v2/rerank", ranked),
        ("Cohere v1, Jina", "reranking", "/v1/rerank", ranked),
        ("TEI", "reranking", "/tei/m/rerank", {"query": TEXT, "texts": list(texts)}),
    ]


def answer_of(task: str, items: int) -> bytes:
    """As a worker writes it."""
    if task == "embedding":
        return json_numbers(GENERATOR.normal(size=(items, 384)).astype(np.float32))
    return json.dumps([{"index": index, "score": float(GENERATOR.random())} for index in range(items)]).encode()


def microseconds(home: Path, task: str, path: str, body: JsonObject, items: int) -> float:
    """Of one call."""
    settings = Settings(home=home)
    app = create_app(Dataplane(AnyKey(), settings=settings, router=TaskRouter(task, answer_of(task, items), items)))
    content = json.dumps(body).encode()
    lines = (
        f"POST {path} HTTP/1.1",
        "host: x",
        "authorization: Bearer a",
        "content-type: application/json",
        f"content-length: {len(content)}",
    )
    head = "\r\n".join((*lines, "", ""))
    return uvloop.run(through_protocol(app, settings, [head.encode() + content] * TOGETHER))


def main() -> None:
    """Measures and prints."""
    logging.getLogger("hanlin.access").setLevel(logging.ERROR)
    print("| task | door | 1 text | 32 texts |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as home:
        for one, many in zip(calls([TEXT]), calls([TEXT] * 32), strict=True):
            costs = [microseconds(Path(home), *call[1:], items) for call, items in ((one, 1), (many, 32))]
            print(f"| {one[1]} | {one[0]} | {costs[0]:.0f} | {costs[1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
