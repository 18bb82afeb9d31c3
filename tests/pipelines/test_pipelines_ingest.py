"""The same rows again answer the version that has them, and say so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.control.platform import Platform
from hanlin.jobs import ProgressWriter
from hanlin.pipelines.base import JobContext
from hanlin.pipelines.ingest import IngestPipeline
from hanlin.types import JsonObject

ROWS = "review,mood\n" + "".join(f"第{index}条评论 number {index},{'good' if index % 2 else 'bad'}\n" for index in range(120))


def submit(platform: Platform, content: str) -> None:
    data = content.encode()
    file: JsonObject = {"path": "rows.csv", "sha256": platform.blobs.put(data), "size_bytes": len(data)}
    config: JsonObject = {"dataset": "rows", "files": [file], "options": {"text": "review", "label": "mood"}}
    platform.jobs.submit(DEFAULT_TEAM, "ingest", config, lane="light")


def work(platform: Platform, folder: Path) -> JsonObject:
    job = platform.jobs.claim("r", ["light"], 60)
    assert job is not None
    workdir = folder / str(job.id)
    workdir.mkdir()
    with ProgressWriter(platform.jobs, job) as progress:
        found = IngestPipeline().run(JobContext(platform, job, progress, workdir), job.config)
    platform.jobs.finish(job, found)
    return found


def add(platform: Platform, folder: Path, content: str) -> JsonObject:
    submit(platform, content)
    return work(platform, folder)


def test_the_same_rows_again_are_told_from_new_ones(platform: Platform, tmp_path: Path) -> None:
    more = ROWS + "one more review,good\n"
    found = [add(platform, tmp_path, content) for content in (ROWS, ROWS, more, ROWS)]
    assert [(item["version"], item["reused"]) for item in found] == [(1, False), (1, True), (2, False), (1, True)]


def test_progress_of_a_small_file_reaches_its_end(platform: Platform, tmp_path: Path) -> None:
    add(platform, tmp_path, ROWS)
    done = platform.jobs.list(DEFAULT_TEAM)[0].progress
    assert (done.step, done.total) == (1, 1)


def test_of_two_who_ask_at_once_the_second_is_told_that_nothing_is_new(platform: Platform, tmp_path: Path) -> None:
    for _ in range(2):
        submit(platform, ROWS)
    found = [work(platform, tmp_path) for _ in range(2)]
    assert [(item["version"], item["reused"]) for item in found] == [(1, False), (1, True)]


def test_what_a_killed_attempt_stored_is_new_all_the_same(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove, home = shutil.rmtree, tmp_path / "work"
    killed_before = lambda path, **options: None if path == home else remove(path, **options)  # noqa: E731
    monkeypatch.setattr("hanlin.pipelines.ingest.shutil.rmtree", killed_before)
    submit(platform, ROWS)
    job = platform.jobs.claim("r", ["light"], 60)
    assert job is not None
    home.mkdir()
    with ProgressWriter(platform.jobs, job) as progress:
        found = [IngestPipeline().run(JobContext(platform, job, progress, home), job.config) for _ in range(2)]
    assert [item["reused"] for item in found] == [False, False]


def test_the_report_warns_of_small_splits(platform: Platform, tmp_path: Path) -> None:
    report = add(platform, tmp_path, ROWS)["report"]
    assert isinstance(report, dict)
    assert [item["code"] for item in report["warnings"]] == ["few_validation_rows", "few_test_rows"]
    assert report["columns"] == {"text": "review", "label": "mood"}


def test_other_labels_than_the_version_before_are_warned_of(platform: Platform, tmp_path: Path) -> None:
    others = ROWS.replace(",good", ",fine")
    found = [add(platform, tmp_path, content) for content in (ROWS, others, others + "yet another,fine\n")]
    warnings = [[item for item in result["report"]["warnings"] if item["code"].startswith("labels_")] for result in found]
    told = {"code": "labels_changed", "params": {"former": "rows:1", "new": "fine", "gone": "good"}}
    assert warnings == [[], [told], []]
