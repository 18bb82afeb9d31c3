"""The road of a pretrained encoder through a real server: raw text in, masks filled by a compressed service, a task fine-tuned from it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from hanlin.client import Hanlin
from hanlin.errors import InvalidInput

pytestmark = pytest.mark.e2e
LINES = ["the cat sat on a mat and it", "my dog ran over hills to find this", "春眠不觉晓处处闻", "床前明月光疑是地"]  # eight tokens each
TINY = {
    "epochs": 12, "batch_size": 16, "rate": 0.01, "vocab_size": 200, "hidden_size": 32, "layers": 1, "heads": 2, "max_length": 32,
    "train_length": 12, "min_count": 1, "dropout": 0.0, "precision": "fp32", "threads": 1, "patience": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def blanks(client: Hanlin, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A network pretrained on a text file, compressed and served as `blanks`."""
    chance = random.Random(1)
    file = tmp_path_factory.mktemp("texts") / "lines.txt"
    # A rare character behind each makes all of them different.
    file.write_text("".join(f"{chance.choice(LINES)} {chr(0x5000 + number)}\n" for number in range(400)), encoding="utf-8")
    client.jobs.wait(client.datasets.add("lines", file, task="fill-mask").id, timeout=120)
    config = {"dataset": "lines", "model": "transformer", "name": "blanks", "task": "fill-mask", "options": TINY}
    trained = client.jobs.wait(client.jobs.submit("train", config).id, timeout=300).result
    asked = {"model": "blanks", "dataset": "lines", "target": "latency", "variants": ["onnxruntime-fp32"]}
    compressed = client.jobs.wait(client.jobs.submit("compress", asked).id, timeout=300).result
    client.deployments.wait(client.deployments.create("blanks", "blanks"), timeout=120)
    return {"trained": trained, "compressed": compressed}


def test_it_is_measured_by_hidden_tokens_and_certified(client: Hanlin, blanks: dict) -> None:
    assert blanks["trained"]["certificate"]["is_passed"]
    metrics = client.models.get("blanks").versions[0].metrics
    assert metrics["accuracy"] > 0.1
    assert 1 < metrics["perplexity"] < 200
    assert all(row["status"] == "ok" for row in blanks["compressed"]["report"]["variants"])


def test_masks_are_filled_and_what_has_none_is_refused(client: Hanlin, blanks: dict) -> None:
    found = client.predict("blanks", "The cat [MASK] on a mat and it", top_k=3)
    assert [item["sequence"] for item in found] == [f"The cat {item['token_str']} on a mat and it" for item in found]
    assert len(found) == 3
    first, second = client.predict(
        "blanks", ["床前明<mask>光疑是地", "my [MASK] ran over hills to [MASK] this"], targets=["月", "dog", "find"]
    )
    assert {item["token_str"] for item in first} == {"月", "dog", "find"}
    assert [len(mask) for mask in second] == [3, 3]
    with pytest.raises(InvalidInput) as caught:
        client.predict("blanks", ["the [MASK]", "no mask"])
    assert (caught.value.code, caught.value.params["index"]) == ("no_mask", 1)


def test_a_batch_fills_row_by_row(client: Hanlin, blanks: dict, tmp_path: Path) -> None:
    rows = [{"text": "the cat [MASK] on a mat and it"}, {"text": "no mask"}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    job = client.jobs.wait(client.batches.submit("blanks", tmp_path / "rows.jsonl").id, timeout=120)
    client.batches.fetch(job, tmp_path / "out.jsonl")
    (found,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert found["result"][0]["sequence"].startswith("the cat ")
    client.batches.fetch(job, tmp_path / "bad.jsonl", errors=True)
    assert json.loads((tmp_path / "bad.jsonl").read_text())["error"]["code"] == "no_mask"


def test_a_task_is_fine_tuned_from_it(client: Hanlin, blanks: dict, tmp_path: Path) -> None:
    rows = [{"text": f"{LINES[number % 4]} {chr(0x5000 + number)}", "label": "en" if number % 4 < 2 else "zh"} for number in range(120)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    client.jobs.wait(client.datasets.add("tongues", tmp_path / "rows.jsonl", task="text-classification").id, timeout=120)
    options = {"epochs": 10, "batch_size": 8, "rate": 3e-3, "precision": "fp32", "threads": 1}
    config = {"dataset": "tongues", "model": "blanks", "name": "tongue", "options": options, "publish": False}
    found = client.jobs.wait(client.jobs.submit("train", config).id, timeout=300).result
    version = client.models.get("tongue").versions[0]
    assert version.metrics["accuracy"] > 0.6
    assert version.lineage["parent"].startswith("blanks:")
    assert found["version"] == 1


def test_it_learns_to_translate_in_one_command(client: Hanlin, blanks: dict, tmp_path: Path) -> None:
    """With a decoder of random weights: certified, compressed and served as any network of ours that writes; it is a base itself."""
    rows = [{"source": f"{LINES[n % 2]} {chr(0x5000 + n)}", "target": f"{LINES[2 + n % 2]}"} for n in range(160)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    client.jobs.wait(client.datasets.add("couplets", tmp_path / "rows.jsonl", task="translation").id, timeout=120)
    options = {"epochs": 12, "batch_size": 8, "rate": 3e-3, "decoder_layers": 1, "max_target_length": 16, "precision": "fp32", "threads": 1}
    config = {"dataset": "couplets", "model": "blanks", "name": "poet", "task": "translation", "options": options}
    trained = client.jobs.wait(client.jobs.submit("train", config).id, timeout=300).result
    assert trained["certificate"]["is_passed"]
    asked = {"model": "poet", "dataset": "couplets", "target": "latency", "variants": ["torch-int8"]}
    compressed = client.jobs.wait(client.jobs.submit("compress", asked).id, timeout=300).result
    assert [row["status"] for row in compressed["report"]["variants"] if row["variant"] == "torch-int8"] == ["ok"]
    client.deployments.wait(client.deployments.create("poet", "poet"), timeout=120)
    asked_texts = [f"{line} {sign}" for line in LINES[:2] for sign in ("倀", "倁")]
    for beams in (1, 4):
        found = client.predict("poet", asked_texts, num_beams=beams)
        assert [item["translation_text"] for item in found] == [LINES[2], LINES[2], LINES[3], LINES[3]]
    with pytest.raises(InvalidInput) as caught:
        client.jobs.submit("train", config | {"options": options | {"adapter": "lora"}})
    assert caught.value.code == "invalid_training_option"
    options = {"epochs": 1, "adapter": "lora", "precision": "fp32", "threads": 1}
    again = client.jobs.submit("train", config | {"model": "poet", "name": "poet-again", "options": options})
    assert client.jobs.wait(again.id, timeout=300).result["certificate"]["is_passed"]


def test_a_language_model_learns_from_the_same_texts(client: Hanlin, tmp_path: Path) -> None:
    """From a file of texts, which are only gone through on the disk."""
    chance = random.Random(2)
    (tmp_path / "lines.txt").write_text("".join(f"{chance.choice(LINES)} {chr(0x5000 + n)}\n" for n in range(300)), encoding="utf-8")
    client.jobs.wait(client.datasets.add("more-lines", tmp_path / "lines.txt", task="text-generation").id, timeout=120)
    options = {name: value for name, value in TINY.items() if name not in {"heads", "min_count", "vocab_size"}}
    config = {
        "dataset": "more-lines", "model": "gru", "name": "writer", "task": "text-generation",
        "options": {**options, "packing": True, "epochs": 4, "vocab_size": 300},
    }  # fmt: skip
    trained = client.jobs.wait(client.jobs.submit("train", config).id, timeout=300).result
    assert trained is not None
    assert trained["certificate"]["is_passed"]
    assert 0 < client.models.get("writer").versions[0].metrics["bits_per_byte"] < 8
