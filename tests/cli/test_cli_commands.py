"""The commands for data, models, keys and jobs against a server that speaks the contract."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from hanlin.cli.text_files import lines_of
from hanlin.client import Dataset, DatasetVersion
from hanlin.client.steps import Call


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
    assert "label agreement 99.5 % (97.2 % … 99.9 %)" in shown
    assert "★" in shown
    assert run("model", "show", "sentiment-zh", "--json").json()["aliases"] == {"production": 1}


def test_model_certify_replays_the_rows_that_are_named_and_shows_the_certificate(run, world) -> None:
    world.results["certify"] = {"model": "sentiment-zh", "version": 1, "variant": "openvino-int8", "certificate": {}}
    done = run("model", "certify", "sentiment-zh:1", "--variant", "openvino-int8", "--rows", "reviews-zh")
    assert world.jobs["job-1"]["config"] == {"model": "sentiment-zh:1", "variant": "openvino-int8", "dataset": "reviews-zh"}
    assert "✓ certificate openvino-int8" in done.out
    run("model", "certify", "sentiment-zh", "--no-wait")
    assert world.jobs["job-2"]["config"] == {"model": "sentiment-zh"}
    run("model", "certify", "sentiment-zh", "--task-dataset", "", "--no-wait")
    assert world.jobs["job-3"]["config"] == {"model": "sentiment-zh", "task_dataset": ""}, "the server says what is wrong with it"


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
    assert run("model", "delete", "sentiment-zh", "--yes", "--json").json() == {"name": "sentiment-zh", "version": None, "state": "deleted"}


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
    assert "reviews-zh:1 is deleted" in run("dataset", "delete", "reviews-zh:1", "--force", "-y").out
    done = run("dataset", "delete", "reviews-zh", "--force", "-y", "--json")
    assert done.json() == {"name": "reviews-zh", "version": None, "state": "deleted"}
    assert world.deleted == ["/api/v1/datasets/reviews-zh/versions/1", "/api/v1/datasets/reviews-zh"]
    for wrong in ("reviews-zh:newest", "reviews-zh:\u00b2", "reviews-zh:1:2", "../models/sentiment-zh", "", "reviews-zh:" + "9" * 10):
        assert run("dataset", "delete", wrong, "--force", "-y").status == 2
        assert run("dataset", "show", wrong).status == 2
    assert len(world.deleted) == 2


@pytest.mark.parametrize(
    "words", ["model delete sentiment-zh", "model delete sentiment-zh:2", "dataset delete reviews-zh:1", "dataset delete reviews-zh"]
)
@pytest.mark.parametrize("is_terminal", [False, True])
def test_nothing_is_deleted_unasked(run, world, monkeypatch, words: str, is_terminal: bool) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("y\n", is_terminal))
    for asked in (words.split(), [*words.split(), "--json"])[is_terminal:]:
        monkeypatch.setenv("HANLIN_LANG", "en")
        refused = run(*asked)
        assert (refused.status, "--yes" in refused.err, asked[2] in refused.err) == (2, True, True)
        monkeypatch.setenv("HANLIN_LANG", "zh")
        assert "请加上 `--yes`" in run(*asked).err
    assert world.deleted == []


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_who_sits_at_a_terminal_is_asked(run, world, monkeypatch, answer: str, status: int) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer, is_terminal=True))
    done = run("dataset", "delete", "reviews-zh", "--force")
    assert (done.status, "with all its versions?" in done.out + done.err, len(world.deleted)) == (status, True, status == 0)


class Terminal(io.StringIO):
    """What somebody types, or a pipe that holds the same."""

    def __init__(self, typed: str, is_terminal: bool) -> None:
        super().__init__(typed)
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def test_model_export_writes_verified_files(run, world, standin, tmp_path: Path) -> None:
    done = run("model", "export", "sentiment-zh", str(tmp_path / "out"))
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "variants" / "a" / "model.bin").read_bytes() == standin.FILE


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


def test_request_and_result_of_a_job_stand_apart(run, world) -> None:
    world.results["evaluate"] = {"model": "sentiment-zh", "version": 1, "dataset": "d:1", "metrics": {"accuracy": 0.912}}
    run("evaluate", "sentiment-zh@production")
    out = run("job", "show", "job-1").out
    request, _, result = out.partition("\nresult\n")
    assert "sentiment-zh@production" in request.partition("request\n")[2]
    assert "91.2 %" in result


def test_tasks(run, world) -> None:
    assert "accuracy" in run("task", "list").out


def test_lines_of_a_file_end_where_those_of_datasets_do(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_bytes("one\u2028still one\x0c\x85 and on\r\n\n two\rthree\n".encode())
    assert list(lines_of(path)) == ["one\u2028still one\x0c\x85 and on", " two", "three"]
