"""Every command against a server that speaks the contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hanlin.client import Dataset, DatasetVersion
from hanlin.client.steps import Call


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\n好,pos\n坏,neg\n", encoding="utf-8")
    return path


def test_dataset_add_uploads_waits_and_reports(run, world, reviews: Path) -> None:
    done = run("dataset", "add", "reviews-zh", str(reviews), "--text", "text", "--label", "label", "--encoding", "gb18030")
    assert done.status == 0, done.err
    config = world.jobs["job-1"]["config"]
    assert config["options"] == {"text": "text", "label": "label", "encoding": "gb18030"}
    assert world.blobs[config["files"][0]["sha256"]] == reviews.read_bytes()
    for words in (
        "reviews-zh:1",
        "90 rows kept of 100 read",
        "duplicates 5",
        "conflicting labels 3 (a.csv:9, …), 7 rows left out",
        "leaks between splits 1",
        "a.csv",
        "no label",
        "gb18030",
    ):
        assert words in done.out
    assert re.search(r"pos\s+40\s+5\s+5\s+55\.6 %", done.out)
    assert "reading: 5/5" in done.err, "progress goes to stderr"


def test_dataset_add_as_json_is_one_document(run, world, reviews: Path) -> None:
    done = run("dataset", "add", "reviews-zh", str(reviews), "--json")
    assert done.json()["state"] == "succeeded"


def test_dataset_list_and_show(run, world) -> None:
    assert "reviews-zh" in run("dataset", "list").out
    assert run("dataset", "list", "--json").json()[0]["versions"][0]["rows"] == 90
    assert "90 rows kept" in run("dataset", "show", "reviews-zh:1").out
    missing = run("dataset", "show", "reviews-zh:9")
    assert (missing.status, "reviews-zh:9" in missing.err) == (4, True)


def test_of_several_versions_the_newest_is_shown(run, world, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = tuple(DatasetVersion(number=number, digest="d" * 64, rows=10 * number) for number in (3, 2, 1))  # as servers list them
    dataset = Dataset(name="reviews-zh", task="text-classification", versions=versions)
    monkeypatch.setattr("hanlin.client.calls.list_datasets", lambda: Call("GET", "/api/v1/datasets", lambda _: [dataset]))
    monkeypatch.setattr("hanlin.client.calls.get_dataset", lambda _: Call("GET", "/api/v1/datasets", lambda _: dataset))
    assert re.search(r"text-classification\s+3\s+30", run("dataset", "list").out)
    assert "reviews-zh:3" in run("dataset", "show", "reviews-zh").out
    assert "reviews-zh:1" in run("dataset", "show", "reviews-zh:1").out


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


def test_model_import_list_show(run, world, tmp_path: Path) -> None:
    world.results["import"] = {"model": "sentiment-zh", "version": 1}
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    done = run("model", "import", "sentiment-zh", str(tmp_path / "m"), "--task", "text-classification", "--rows", "reviews-zh")
    assert done.status == 0, done.err
    assert world.jobs["job-1"]["config"]["rows"] == "reviews-zh"
    listed = run("model", "list").out
    assert "sentiment-zh:1" in listed and "@production" in listed and "candidate" in listed
    shown = run("model", "show", "sentiment-zh@production").out
    assert re.search(r"neg\s+45\s+5", shown), "confusion matrix"
    assert "label agreement 0.995 (97.2 % … 99.9 %)" in shown
    assert "★" in shown
    assert run("model", "show", "sentiment-zh", "--json").json()["aliases"] == {"production": 1}


def test_model_publish_promote_card_notes_delete(run, world) -> None:
    assert "sentiment-zh:2 is published" in run("model", "publish", "sentiment-zh").out
    again = run("model", "publish", "sentiment-zh:1")
    assert (again.status, "published already" in again.err) == (4, True)
    assert "sentiment-zh@production now means sentiment-zh:1" in run("model", "promote", "sentiment-zh", "production").out
    assert "sentiment-zh@production is removed" in run("model", "demote", "sentiment-zh", "production").out
    assert run("model", "card", "sentiment-zh").out.startswith("# sentiment-zh")
    assert run("model", "notes", "sentiment-zh", "备注", "--json").json()["notes"] == "备注"
    assert run("model", "delete", "sentiment-zh@production").status == 2, "an alias says neither which version nor all"
    assert "sentiment-zh:2 is deleted" in run("model", "delete", "sentiment-zh:2", "--yes").out
    assert run("model", "delete", "sentiment-zh", "--json").json() == {"name": "sentiment-zh", "version": None, "state": "deleted"}


def test_a_model_without_versions_is_listed_as_empty(run, world) -> None:
    world.empty_models = [{"name": "bare", "task": "text-classification", "aliases": {}, "versions": []}]
    assert re.search(r"bare\s+no versions", run("model", "list").out)
    assert run("model", "list", "--json").json()[1]["versions"] == []
    assert run("model", "show", "bare").out == "bare · text-classification · no versions\n"
    assert run("model", "show", "bare:1").status == 4
    world.empty_datasets = ["rows"]
    assert run("dataset", "show", "rows").out == "rows · text-classification · no versions\n"
    assert run("dataset", "show", "rows:1").status == 4


def test_dataset_delete(run, world) -> None:
    refused = run("dataset", "delete", "reviews-zh:1", "--yes")
    assert (refused.status, "sentiment-zh:1" in refused.err) == (4, True)
    assert "reviews-zh:1 is deleted" in run("dataset", "delete", "reviews-zh:1", "--force").out
    done = run("dataset", "delete", "reviews-zh", "--force", "--json")
    assert done.json() == {"name": "reviews-zh", "version": None, "state": "deleted"}
    assert world.deleted == ["/api/v1/datasets/reviews-zh/versions/1", "/api/v1/datasets/reviews-zh"]
    assert run("dataset", "delete", "reviews-zh:newest").status == 2


def test_model_export_writes_verified_files(run, world, standin, tmp_path: Path) -> None:
    done = run("model", "export", "sentiment-zh", str(tmp_path / "out"))
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "variants" / "a" / "model.bin").read_bytes() == standin.FILE


def test_what_deploy_and_promote_warn_of(run, world) -> None:
    assert "Warning" not in run("deploy", "sentiment-zh", "--endpoint", "sentiment").err
    told = {"code": "labels_new", "params": {"former": "sentiment-zh:1", "new": "neutral"}, "message": "the labels differ: new are neutral"}
    world.warnings = [told]
    for words in (("deploy", "sentiment-zh:2", "--endpoint", "sentiment"), ("model", "promote", "sentiment-zh:2", "production")):
        done = run(*words)
        assert (done.status, done.err) == (0, "Warning: the labels differ: new are neutral\n")
        done = run(*words, "--json")
        assert (done.json()["warnings"], done.err) == ([told], "")


def test_deploy_endpoint_rollback_undeploy(run, world) -> None:
    done = run("deploy", "sentiment-zh@production", "--endpoint", "sentiment")
    assert "is ready" in done.out and "curl" in done.out
    assert "sentiment-zh:1" in run("endpoint", "list").out
    assert run("endpoint", "show", "sentiment", "--json").json()["state"] == "ready"
    assert "is ready" in run("rollback", "sentiment", "--no-wait").out
    again = run("rollback", "sentiment", "--to", "sentiment-zh:1")
    assert "rolled back already" in again.out
    assert world.rollbacks == [{"to": None, "expected": "dep-seen"}, {"to": "sentiment-zh:1", "expected": "dep-seen"}]
    world.lingers = 2
    gone = run("undeploy", "sentiment", "--no-wait")
    assert "is stopping" in gone.out
    assert "its counters" in gone.err, "it says what goes with it"
    assert run("undeploy", "sentiment", "--json").json() == {"endpoint": "sentiment", "state": "stopped"}
    assert world.lingers < 0, "it says so once the endpoint answers no more"


def test_endpoint_set_and_what_is_told_of_long_texts(run, world) -> None:
    assert run("endpoint", "set", "sentiment", "--long-text", "window", "--cache", "600", "--json").json()["cache_ttl_s"] == 600
    shown = run("endpoint", "show", "sentiment").out
    assert "long texts are read in windows" in shown and "answers are kept for 600 s" in shown
    assert run("endpoint", "set", "sentiment").status == 2, "nothing to set"
    assert run("endpoint", "set", "sentiment", "--long-text", "cut").status == 2
    run("deploy", "sentiment-zh", "--endpoint", "sentiment", "--long-text", "truncate")
    assert world.deployments[-1]["long_text"] == "truncate"
    assert "text 2 was too long and has been cut" in run("predict", "sentiment", "好", "坏" * 60, "--truncate").err
    assert "text 1 was too long and has been read in 3 windows" in run("predict", "sentiment", "坏" * 60, "--window").err


def test_a_trial_is_begun_shown_and_ended(run, world) -> None:
    assert "answers 10 % of the calls" in run("deploy", "sentiment-zh:2", "--endpoint", "sentiment", "--canary", "10").out
    shown = run("endpoint", "show", "sentiment").out
    assert all(part in shown for part in ("canary sentiment-zh:2", "on trial", "1,080", "neg 25 %")), shown
    assert "serves from now on" in run("endpoint", "promote", "sentiment", "--no-wait").out
    assert "copies of 100 %" in run("deploy", "sentiment-zh:2", "--endpoint", "sentiment", "--shadow", "100").out
    assert run("endpoint", "abort", "sentiment", "--json").json()["state"] == "stopped"
    assert run("endpoint", "abort", "sentiment").status == 4


def test_scale(run, world) -> None:
    assert "2-4 replicas" in run("scale", "sentiment", "--min", "2", "--max", "4").out
    assert run("scale", "sentiment", "--min", "3", "--json").json()["max_replicas"] == 3


def test_a_failed_deployment(run, world) -> None:
    world.deploy_end = "failed"
    done = run("deploy", "sentiment-zh", "--endpoint", "sentiment")
    assert (done.status, "not enough memory" in done.err) == (1, True)


def test_predict_shows_vectors_entities_and_rankings(run, world) -> None:
    done = run("predict", "vectors", "abc", "-p", "dimensions=2")
    assert re.search(r"abc\s+\+3\.0000\s+-1\.0000\s+2\s+3\.162", done.out)
    assert run("predict", "vectors", "abc", "--json").json() == [3.0, -1.0, 0.5, 0.25]
    done = run("predict", "names", "Ada lives here", "-p", "aggregation_strategy=simple")
    assert re.search(r"Ada lives here\s+Ada\s+PER\s+97\.0 %\s+0–3", done.out)
    done = run("predict", "ranker", "a", "abc", "ab", "--query", "which?", "--top-k", "2")
    assert re.search(r"abc\s+1\.0000.*ab\s+0\.5000", done.out, re.DOTALL)
    assert run("predict", "ranker", "a", "--query", "which?", "--json").json() == [{"index": 0, "score": 1.0}]
    assert run("predict", "vectors", "abc", "-p", "dimensions").status == 2


def test_predict_texts_file_and_json(run, world, tmp_path: Path) -> None:
    done = run("predict", "sentiment", "质量很好", "太坏了")
    assert re.search(r"质量很好\s+pos\s+90\.0 %", done.out)
    assert run("predict", "sentiment", "好", "--json", "--top-k", "1").json() == [{"label": "pos", "score": 0.9}]
    file = tmp_path / "texts.txt"
    file.write_text("\ufeff好\n\n" + "坏\n" * 149, encoding="utf-8")
    answers = run("predict", "sentiment", "--file", str(file), "--json").json()
    assert len(answers) == 150
    assert answers[0][0]["label"] == "pos"
    assert run("predict", "sentiment").status == 2
    assert run("predict", "sentiment", "--file", str(tmp_path / "none")).status == 2


def test_predict_reads_the_encodings_that_dataset_add_reads(run, world, tmp_path: Path) -> None:
    gbk, lines = tmp_path / "gbk.txt", "质量很好，下次还来\n质量太差，不会再来\n"
    gbk.write_bytes(lines.encode("gbk"))
    for options in ([], ["--encoding", "gb18030"]):
        shown = run("predict", "sentiment", "--file", str(gbk), *options).out
        assert "质量很好，下次还来" in shown and "质量太差，不会再来" in shown
    gbk.write_bytes("好好好好好好好\n".encode() + b"\xff\n")
    broken = run("predict", "sentiment", "--file", str(gbk), "--encoding", "utf-8")
    assert (broken.status, "gbk.txt" in broken.err, "line 2: these bytes are not utf-8" in broken.err) == (2, True, True), broken.err
    assert "there is no encoding" in run("predict", "sentiment", "--file", str(gbk), "--encoding", "klingon").err


def test_keys(run, world) -> None:
    done = run("key", "create", "--name", "app", "--scope", "predict", "--scope", "read", "--expires", "30d")
    assert done.out.strip() == "hl_" + "s" * 43, "the secret stands alone on stdout"
    assert world.keys[0]["scopes"] == ["predict", "read"]
    assert world.keys[0]["expires_at"] > "2026"
    listed = run("key", "list", "--json")
    assert "secret" not in listed.out
    assert "key key-1 is revoked" in run("key", "revoke", "key-1").out
    assert run("key", "create", "--name", "x", "--expires", "yesterday").status == 2


def test_jobs(run, world) -> None:
    run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--no-wait")
    assert "queued" in run("job", "list").out
    assert run("job", "list", "--state", "failed", "--json").json() == []
    assert run("job", "show", "job-1", "--json").json()["kind"] == "train"
    assert run("job", "logs", "job-1").out == "line one\nline two\n"
    assert run("job", "wait", "job-1", "--json").json()["state"] == "succeeded"
    assert "job-1" in run("job", "show", "job-1").out
    assert run("job", "cancel", "job-1", "--json").json()["state"] == "cancelled"
    assert run("job", "show", "nope").status == 4


def test_tasks(run, world) -> None:
    assert "accuracy" in run("task", "list").out


def test_train_sends_raw_text_by_digest_and_not_beside_vectors(run, world, reviews: Path) -> None:
    run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--no-wait", "--raw-text", str(reviews))
    assert world.blobs[world.jobs["job-1"]["config"]["raw_text"]["sha256"]] == reviews.read_bytes()
    both = run("train", "--dataset", "d", "--model", "lstm", "--name", "n", "--vectors", str(reviews), "--raw-text", str(reviews))
    assert (both.status, "raw text" in both.err) == (2, True)


def test_vectors_are_one_file(run, world, tmp_path: Path) -> None:
    done = run("train", "--dataset", "reviews-zh", "--model", "lstm", "--name", "x", "--vectors", str(tmp_path))
    assert (done.status, "is a folder" in done.err) == (2, True)
    assert world.jobs == {}
