"""The road of an embedder and of a reranker through a real server: pairs in, compressed services out, called and asked for a whole file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hanlin.client import Hanlin
from hanlin.client.batches import BatchOptions

pytestmark = pytest.mark.e2e
TINY = {
    "epochs": 12, "batch_size": 16, "rate": 0.003, "hidden_size": 32, "layers": 1, "heads": 2, "max_length": 16, "dropout": 0.0,
    "tokenizer": "word", "min_count": 1, "precision": "fp32", "threads": 1,
}  # fmt: skip
VARIANTS = ["onnxruntime-fp32"]


def things(number: int) -> tuple[str, str]:
    """A question and its answer: both name the thing, neither shares another word with it."""
    return f"where is thing{number % 12} of owner{number}", f"thing{number % 12} lies on shelf{number}"


def taken_the_road(client: Hanlin, rows: Path, name: str, task: str, **options: object) -> dict:
    """What training and compression said of a small transformer, which then serves under its own name."""
    client.jobs.wait(client.datasets.add(f"{name}-rows", rows, task=task).id, timeout=120)
    config = {"dataset": f"{name}-rows", "model": "transformer", "name": name, "task": task, "options": TINY | options}
    trained = client.jobs.wait(client.jobs.submit("train", config).id, timeout=300).result
    asked = {"model": name, "dataset": f"{name}-rows", "target": "latency", "variants": VARIANTS}
    compressed = client.jobs.wait(client.jobs.submit("compress", asked).id, timeout=300).result
    client.deployments.wait(client.deployments.create(name, name), timeout=120)
    assert trained is not None
    assert compressed is not None
    return {"trained": trained, "compressed": compressed}


def test_an_embedder_takes_the_road(client: Hanlin, tmp_path: Path) -> None:
    rows = tmp_path / "pairs.csv"
    rows.write_text("question,answer\n" + "".join(f"{first},{second}\n" for first, second in map(things, range(120))))
    said = taken_the_road(client, rows, "finder", "embedding", matryoshka=[8])
    assert said["trained"]["certificate"]["is_passed"]
    assert [row["status"] for row in said["compressed"]["report"]["variants"]] == ["ok"] * 2
    version = client.models.get("finder").versions[0]
    assert version.metrics["ndcg"] > 0.5
    assert {"mrr", "recall_1", "recall_10", "interval"} <= version.metrics.keys()
    texts = ["where is thing3 of me", "thing3 lies on shelf3", "thing5 lies on shelf5"]
    whole, short = np.array(client.embed("finder", texts)), np.array(client.embed("finder", texts, dimensions=8))
    assert whole.shape == (3, 32)
    np.testing.assert_allclose(short, whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True), atol=1e-5)
    for vectors in (whole, short):  # the first eight numbers have learnt to stand alone
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    calls = tmp_path / "calls.jsonl"
    calls.write_text("\n".join(json.dumps({"inputs": text}) for text in texts))
    job = client.jobs.wait(client.batches.submit("finder", calls, BatchOptions(parameters={"dimensions": 8})).id, timeout=120)
    client.batches.fetch(job, tmp_path / "vectors.jsonl")
    found = [json.loads(line)["result"] for line in (tmp_path / "vectors.jsonl").read_text().splitlines()]
    np.testing.assert_allclose(np.array(found), short, atol=1e-5)


def test_a_reranker_takes_the_road(client: Hanlin, tmp_path: Path) -> None:
    rows = tmp_path / "triplets.jsonl"
    lines = []
    for number in range(120):
        query, text = things(number)
        lines.append({"query": query, "text": f"{text} surely", "negatives": [f"{text} perhaps", f"{things(number + 1)[1]} never"]})
    rows.write_text("\n".join(map(json.dumps, lines)))
    said = taken_the_road(client, rows, "ranker", "reranking", loss="listwise")
    assert said["trained"]["certificate"]["is_passed"]
    assert [row["status"] for row in said["compressed"]["report"]["variants"]] == ["ok"] * 2
    version = client.models.get("ranker").versions[0]
    assert version.metrics["ndcg"] > 0.8
    assert {"mrr", "recall_1", "recall_10", "interval"} <= version.metrics.keys()
    texts = ["thing3 lies on shelf3 never", "thing3 lies on shelf3 surely"]
    ranked = client.rerank("ranker", "where is thing3 of me", texts)
    assert [item.index for item in ranked] == [1, 0]
    calls = tmp_path / "calls.jsonl"
    calls.write_text(json.dumps({"inputs": {"query": "where is thing3 of me", "texts": texts[::-1]}}))
    job = client.jobs.wait(client.batches.submit("ranker", calls, BatchOptions()).id, timeout=120)
    client.batches.fetch(job, tmp_path / "rankings.jsonl")
    (line,) = (tmp_path / "rankings.jsonl").read_text().splitlines()
    assert [item["index"] for item in json.loads(line)["result"]] == [0, 1]
