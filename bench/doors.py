"""What each door costs beside the task API's: one text and 32, answers of 384 numbers or of a score a text.

usage: python bench/doors.py [--seconds 3] [--rounds 3] [--only cost|fake|real] [--doors gRPC,TEI]

First the whole gateway without workers and without a network (`gateway_alone`): CPU time of a call, the best of many rounds. Then real
processes over the `fake` engine, which takes no time at all, so that nothing hides what a door costs: 64 clients, one text a call, doors
in turn; of several readings the best, which neighbours disturbed least, and how far the shares of the rounds lie apart. Last the same over
all-MiniLM-L6-v2 (OpenVINO, in bf16 where the processor has it), as users have it.
Prints Markdown tables. `--only` measures one part, `--doors` some doors of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import uvloop

from embedder import embedder, usual_variant
from gateway_alone import LABELS, TOGETHER, NoRouter, through_protocol
from hanlin.datasets import bundled
from hanlin.gateway.app import create_app
from hanlin.gateway.dataplane import Dataplane
from hanlin.serving.router import Request, Result
from hanlin.serving.routes import EndpointRoute
from hanlin.serving.wire import Answer, ReplicaInfo
from hanlin.settings import Settings
from hanlin.tasks.embedding import json_numbers
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.vectors import VectorSettings
from hanlin.types import JsonObject, KeyId, Principal, TeamId
from servers import BUILD, Server, drive, free_ports
from serving_hot_path import wait_for_key
from texts import write_bodies

REAL = usual_variant()
PARTS = {"fake": "an engine that takes no time", "real": "all-MiniLM-L6-v2"}
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


def tensor(name: str, texts: list[str]) -> JsonObject:
    return {"name": name, "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}


def calls(texts: list[str]) -> list[tuple[str, str, str, JsonObject]]:
    """Door, task, path and body; endpoints have the names of their tasks."""
    ranked: JsonObject = {"model": "reranking", "query": TEXT, "documents": list(texts)}
    asked: JsonObject = {"input": list(texts), "model": "embedding"}
    return [
        ("task API", "embedding", "/models/embedding", {"inputs": list(texts)}),
        ("OpenAI, floats", "embedding", "/v1/embeddings", asked),
        ("OpenAI, base64", "embedding", "/v1/embeddings", asked | {"encoding_format": "base64"}),
        ("TEI", "embedding", "/tei/embedding/embed", {"inputs": list(texts)}),
        ("Hugging Face", "embedding", "/hf/embedding", {"inputs": list(texts)}),
        ("Open Inference", "embedding", "/v2/models/embedding/infer", {"inputs": [tensor("text", texts)]}),
        ("task API", "reranking", "/models/reranking", {"inputs": {"query": TEXT, "texts": list(texts)}}),
        ("Cohere v2", "reranking", "/v2/rerank", ranked),
        ("Cohere v1, Jina", "reranking", "/v1/rerank", ranked),
        ("TEI", "reranking", "/tei/reranking/rerank", {"query": TEXT, "texts": list(texts)}),
        ("Open Inference", "reranking", "/v2/models/reranking/infer", {"inputs": [tensor("query", [TEXT]), tensor("text", texts)]}),
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


def fake_models(folder: Path) -> dict[str, list[str]]:
    """An embedding model and a ranker whose engine takes no time."""
    vectors = ModelSpec(task="embedding", labels=(), max_length=256, pad_id=0, vectors=VectorSettings(384, is_normalized=False))
    ranks = ModelSpec(task="reranking", labels=("relevance",), max_length=256, pad_id=0)
    for name, spec, fake in (("embedding", vectors, {"dimensions": 384}), ("reranking", ranks, {})):
        (folder / name).mkdir()
        shutil.copy(bundled.minilm(BUILD / "packages") / "tokenizer.json", folder / name)
        spec.save(folder / name)
        (folder / name / "fake.json").write_text(json.dumps(fake))
    return {name: [str(folder / name), "fake-fp32"] for name in ("embedding", "reranking")}


def rates(scratch: Path, models: dict[str, list[str]], options: argparse.Namespace) -> dict[tuple[str, str], list[float]]:
    """Answers a second of each door of the tasks that there are models of, a reading a round."""
    home, (port, grpc_port) = scratch / "home", free_ports(2)
    command = [sys.executable, str(Path(__file__).with_name("our_server.py")), str(home), str(port), json.dumps(models)]
    read: dict[tuple[str, str], list[float]] = {}
    asked = [call for call in calls([TEXT]) if call[1] in models and (not options.doors or call[0] in {"task API", *options.doors})]
    with Server([*command, f"grpc_port={grpc_port}"], port=port, log=scratch / "server.log") as server:
        key = wait_for_key(home)
        for door, task, path, body in asked * options.rounds:
            server.wait_ready(path, json.dumps(body).encode(), {"Authorization": f"Bearer {key}"}, timeout_s=60)
            bodies = write_bodies(scratch / "bodies.jsonl", [body] * 64)
            told = drive(port, path, bodies, headers=[f"authorization: Bearer {key}"], clients=64, seconds=options.seconds)
            read.setdefault((task, door), []).append(float(str(told["rate"])))
            if door == "task API" and (not options.doors or "gRPC" in options.doors):
                read.setdefault((task, "gRPC"), []).append(grpc_rate(grpc_port, task, scratch, key=key, seconds=options.seconds))
    return read


def grpc_rate(port: int, task: str, scratch: Path, *, key: str, seconds: float) -> float:
    """Answers a second of the same call over gRPC."""
    from hanlin.gateway.proto import open_inference_pb2 as pb

    inputs = [
        pb.ModelInferRequest.InferInputTensor(
            name=name, datatype="BYTES", shape=[1], contents=pb.InferTensorContents(bytes_contents=[TEXT.encode()])
        )
        for name in (["query", "text"] if task == "reranking" else ["text"])
    ]
    message = scratch / "message"
    message.write_bytes(pb.ModelInferRequest(model_name=task, inputs=inputs).SerializeToString())
    command = [sys.executable, str(Path(__file__).with_name("grpc_load.py")), f"--port={port}", f"--message={message}"]
    command += ["--method=/inference.GRPCInferenceService/ModelInfer", f"--header=authorization: Bearer {key}", f"--seconds={seconds}"]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, timeout=600).stdout)["rate"])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load")
    parser.add_argument("--quick", action="store_true", help="loads of a second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("cost", *PARTS))
    parser.add_argument("--doors", type=lambda text: text.split(","), default=[])
    options = parser.parse_args()
    options.seconds = 1.0 if options.quick else options.seconds
    logging.getLogger("hanlin.access").setLevel(logging.ERROR)
    if options.only in {None, "cost"}:
        show_costs()
    for part in [part for part in PARTS if options.only in {None, part}]:
        print(f"\n{PARTS[part]}\n\n| task | door | requests/s | of the task API's | median of the rounds | in each |")
        print("|---|---|---|---|---|---|")
        with tempfile.TemporaryDirectory() as scratch:
            models = {"embedding": [str(embedder(REAL)), REAL]} if part == "real" else fake_models(Path(scratch))
            found = rates(Path(scratch), models, options)
        for (task, door), read in found.items():
            beside = found[task, "task API"]
            shares = [one / other for one, other in zip(read, beside, strict=True)]
            each = ", ".join(f"{share:.0%}" for share in shares)
            print(f"| {task} | {door} | {max(read):,.0f} | {max(read) / max(beside):.0%} | {median(shares):.0%} | {each} |", flush=True)


def show_costs() -> None:
    """Of each door without workers and without a network."""
    print("| task | door | 1 text | 32 texts |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as home:
        for one, many in zip(calls([TEXT]), calls([TEXT] * 32), strict=True):
            costs = [microseconds(Path(home), *call[1:], items) for call, items in ((one, 1), (many, 32))]
            print(f"| {one[1]} | {one[0]} | {costs[0]:.0f} | {costs[1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
