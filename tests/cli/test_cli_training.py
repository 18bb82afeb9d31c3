"""`train`, `evaluate` and `compress` against a server that speaks the contract."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest


def test_train_sends_the_fields_of_the_configuration(run, world) -> None:
    world.results["train"] = {"model": "sentiment-zh", "version": 1, "metrics": {}}
    options = [
        "--epochs",
        "2",
        "--lr",
        "0.01",
        "--batch-tokens",
        "512",
        "--optimizer",
        "sgd",
        "--seed",
        "7",
        "--max-length",
        "64",
        "--tokenizer",
        "bpe",
    ]
    more = [
        "--cleaning",
        "html, space",
        "--segmentation",
        "words",
        "--class-weights",
        "balanced",
        "--patience",
        "2",
        "--metric",
        "macro_f1",
    ]
    done = run(
        "train", "--task", "text-classification", "--dataset", "reviews-zh", "--model", "lstm", "--name", "sentiment-zh", *options, *more,
        "--precision", "fp32", "--set", "hidden_size=32", "--set", "schedule=cosine", "--no-publish", "--force",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert world.jobs["job-1"]["config"] == {
        "task": "text-classification",
        "dataset": "reviews-zh",
        "model": "lstm",
        "name": "sentiment-zh",
        "seed": 7,
        "publish": False,
        "force": True,
        "options": {
            "epochs": 2,
            "rate": 0.01,
            "batch_tokens": 512,
            "optimizer": "sgd",
            "max_length": 64,
            "tokenizer": "bpe",
            "class_weights": "balanced",
            "patience": 2,
            "metric": "macro_f1",
            "precision": "fp32",
            "hidden_size": 32,
            "schedule": "cosine",
            "text": {"cleaning": ["html", "space"], "segmentation": "words"},
        },
    }
    assert "sentiment-zh:1" in done.out
    assert "accuracy 91.0 % (89.0 % … 93.0 %)" in done.out
    assert "loss" in done.err


def test_train_without_waiting(run, world) -> None:
    done = run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--no-wait")
    assert "hanlin job wait job-1" in done.out
    assert world.jobs["job-1"]["state"] == "queued"
    assert run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--no-wait", "--json").json()["id"] == "job-2"


def test_train_sends_word_vectors_by_digest(run, world, reviews: Path) -> None:
    run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--no-wait", "--vectors", str(reviews))
    assert world.blobs[world.jobs["job-1"]["config"]["vectors"]["sha256"]] == reviews.read_bytes()


def test_evaluate_shows_metrics(run, world, standin) -> None:
    world.results["evaluate"] = {"metrics": standin.METRICS}
    assert "macro F1 90.0 %" in run("evaluate", "sentiment-zh", "--dataset", "reviews-zh").out


def test_compress_shows_the_table_with_the_chosen_star(run, world, standin) -> None:
    world.results["compress"] = {"model": "sentiment-zh", "version": 1, "chosen": "openvino-int8", "report": standin.COMPRESSION}
    done = run(
        "compress", "sentiment-zh", "--budget", "0.5", "--target", "latency", "--variants", "openvino-int8, torch-fp32", "--keep-losers"
    )
    config = world.jobs["job-1"]["config"]
    assert config == {
        "model": "sentiment-zh",
        "budget": 0.5,
        "target": "latency",
        "keep_losers": True,
        "publish": True,
        "variants": ["openvino-int8", "torch-fp32"],
    }
    assert re.search(r"★\s+openvino-int8\s+90\.9 %\s+0\.10\s+1\.50\s+2\.00\s+900\s+120 MB\s+23\.0 MB\s+ok", done.out)
    assert "over budget: loses 1.20 points, budget 0.5" in done.out
    assert "failed: no such operator" in done.out
    assert "★ openvino-int8 is the best for latency within 0.5 points" in done.out
    assert "✓ certificate openvino-int8" in done.out


def test_compress_says_in_chinese_why_a_variant_is_out(run, world, standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANLIN_LANG", "zh")
    world.results["compress"] = {"model": "sentiment-zh", "version": 1, "chosen": "openvino-int8", "report": standin.COMPRESSION}
    assert "损失 1.20 个百分点，预算为 0.5" in run("compress", "sentiment-zh", "--budget", "0.5").out


def test_train_sends_raw_text_by_digest_and_not_beside_vectors(run, world, reviews: Path) -> None:
    run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--no-wait", "--raw-text", str(reviews))
    assert world.blobs[world.jobs["job-1"]["config"]["raw_text"]["sha256"]] == reviews.read_bytes()
    both = run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--vectors", str(reviews), "--raw-text", str(reviews))
    assert (both.status, "raw text" in both.err) == (2, True)


def test_vectors_are_one_file(run, world, tmp_path: Path) -> None:
    done = run("train", "--dataset", "reviews-zh", "--model", "lstm", "--name", "x", "--vectors", str(tmp_path))
    assert (done.status, "is a folder" in done.err) == (2, True)
    assert world.jobs == {}


def test_pretrain_takes_a_dataset_or_a_file(run, world, reviews: Path) -> None:
    run("pretrain", "poems:2", "--name", "reader", "--objective", "mlm+nsp", "--epochs", "2", "--set", "layers=2", "--no-wait")
    assert world.jobs["job-1"]["config"] == {
        "task": "fill-mask", "dataset": "poems:2", "model": "transformer", "name": "reader", "seed": 0, "publish": True,
        "options": {"objective": "mlm+nsp", "epochs": 2, "layers": 2},
    }  # fmt: skip
    world.results["ingest"] = {"dataset": "own-texts", "version": 3}
    done = run("pretrain", str(reviews), "--name", "own", "--model", "reader", "--no-wait")
    assert [world.jobs[name]["kind"] for name in ("job-2", "job-3")] == ["ingest", "train"]
    assert world.jobs["job-2"]["config"]["task"] == "fill-mask"
    assert (world.jobs["job-3"]["config"]["dataset"], world.jobs["job-3"]["config"]["model"]) == ("own-texts:3", "reader")
    assert "own-texts:3" in done.out


def test_pretrain_makes_language_models_too(run, world, reviews: Path) -> None:
    run("pretrain", "poems:2", "--name", "poet", "--objective", "clm", "--model", "lstm", "--no-wait")
    assert world.jobs["job-1"]["config"] == {
        "task": "text-generation", "dataset": "poems:2", "model": "lstm", "name": "poet", "seed": 0, "publish": True,
        "options": {"packing": True},
    }  # fmt: skip
    run("pretrain", str(reviews), "--name", "own", "--objective", "clm", "--no-wait")
    assert world.jobs["job-2"]["config"]["task"] == "text-generation"


def test_train_sends_a_schema_of_meanings_out_of_a_file_or_as_it_stands(run, world, tmp_path: Path) -> None:
    asked = ("train", "--task", "semantic-parsing", "--dataset", "reviews-zh", "--model", "lstm", "--name", "home", "--no-wait")
    schema = {"intents": {"light": {"color": {"enum": ["red", "青"]}}}}
    path = tmp_path / "meanings.json"
    path.write_text(json.dumps(schema), encoding="utf-8")
    for number, given in enumerate((str(path), json.dumps(schema)), 1):
        assert run(*asked, "--schema", given).status == 0
        assert world.jobs[f"job-{number}"]["config"]["options"] == {"schema": schema}
    for given in ("nowhere.json", "{", "[1]"):
        done = run(*asked, "--schema", given)
        assert (done.status, "neither a JSON object nor a JSON or TOML file" in done.err) == (2, True)
