"""The road of a tagger through a real server: spans of characters in, a compressed service out that points into the caller's text."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from hanlin.client import Hanlin
from hanlin.client.batches import BatchOptions

pytestmark = pytest.mark.e2e
TINY = {
    "epochs": 15,
    "batch_size": 8,
    "rate": 0.01,
    "hidden_size": 16,
    "embedding_size": 16,
    "ngrams": False,
    "precision": "fp32",
    "threads": 1,
    "average": 0.0,
    "min_count": 1,
}
PARTS = [("张三丰", "PER"), ("李四", "PER"), ("北京", "LOC"), ("的", ""), ("在", ""), ("了😀", ""), ("\r\n去", "")]


def rows(count: int) -> str:
    chance = random.Random(1)
    lines = []
    for number in range(count):
        text, entities = f"第{number}页", []
        for part, name in chance.choices(PARTS, k=chance.randrange(2, 6)):
            if name:
                entities.append({"start": len(text), "end": len(text) + len(part), "label": name})
            text += part
        lines.append(json.dumps({"text": text, "entities": entities}, ensure_ascii=False))
    return "\n".join(lines)


@pytest.fixture(scope="module")
def tagger(client: Hanlin, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A network trained on 200 rows, compressed and served as `tagger`."""
    path: Path = tmp_path_factory.mktemp("rows") / "names.jsonl"
    path.write_text(rows(200), encoding="utf-8")
    client.jobs.wait(client.datasets.add("names", path, task="token-classification").id, timeout=120)
    config = {"dataset": "names", "model": "lstm", "name": "tagger", "task": "token-classification", "options": TINY}
    trained = client.jobs.wait(client.jobs.submit("train", config).id, timeout=300).result
    assert trained is not None
    asked = {"model": "tagger", "dataset": "names", "target": "latency", "variants": ["onnxruntime-fp32", "openvino-fp32"]}
    compressed = client.jobs.wait(client.jobs.submit("compress", asked).id, timeout=300).result
    assert compressed is not None
    client.deployments.wait(client.deployments.create("tagger", "tagger"), timeout=120)
    return {"trained": trained, "compressed": compressed}


def test_it_is_measured_by_entities_and_certified(client: Hanlin, tagger: dict) -> None:
    assert tagger["trained"]["certificate"]["is_passed"]
    version = client.models.get("tagger").versions[0]
    assert version.metrics["f1"] > 0.8
    assert {item["label"] for item in version.metrics["per_class"]} == {"LOC", "PER"}
    assert all(row["status"] == "ok" for row in tagger["compressed"]["report"]["variants"])
    config = {"model": "tagger", "dataset": "names"}
    evaluated = client.jobs.wait(client.jobs.submit("evaluate", config).id, timeout=120).result
    assert evaluated is not None


def test_answers_point_into_the_text_as_it_was_sent(client: Hanlin, tagger: dict) -> None:
    text = "😀在北京\r\n\r\n李四去，张三丰"
    found = client.tag_tokens("tagger", text, aggregation_strategy="simple")
    assert [(item.word, item.label) for item in found] == [("北京", "LOC"), ("李四", "PER"), ("张三丰", "PER")]
    assert all(text[item.start : item.end] == item.word for item in found)
    many = client.predict("tagger", [text, "李四" * 2000], aggregation_strategy="simple", long_text="window")
    assert [item["word"] for item in many[0]] == [item.word for item in found]
    assert "李四" in {item["word"] for item in many[1]}


def test_a_batch_tags_row_by_row(client: Hanlin, tagger: dict, tmp_path: Path) -> None:
    texts = ["李四在北京", "😀\r\n去张三丰"]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps({"inputs": text}) for text in texts), encoding="utf-8")
    asked = BatchOptions(parameters={"aggregation_strategy": "simple"})
    job = client.jobs.wait(client.batches.submit("tagger", tmp_path / "rows.jsonl", asked).id, timeout=120)
    client.batches.fetch(job, tmp_path / "out.jsonl")
    found = [json.loads(line)["result"] for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [[(item["word"], item["entity_group"]) for item in row] for row in found] == [
        [("李四", "PER"), ("北京", "LOC")],
        [("张三丰", "PER")],
    ]
    assert [text[item["start"] : item["end"]] for text, row in zip(texts, found, strict=True) for item in row] == ["李四", "北京", "张三丰"]
