"""A search as a job: the study stands in result and lineage, and the test rows are read once, for the best."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.control.job_kinds import Ingest, Tune
from hanlin.control.platform import Platform
from hanlin.errors import NotFound
from hanlin.jobs import Job, ProgressWriter
from hanlin.pipelines import train as train_module
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.tune import _Tuning
from hanlin.types import JsonObject, ModelRef

ROWS = "text,label\n" + "".join(
    f"{'好' if index % 2 else '差'}的第{index}间房{'喜欢' if index % 2 else '讨厌'},{'good' if index % 2 else 'bad'}\n"
    for index in range(240)
)
OPTIONS: JsonObject = {
    "precision": "fp32", "embedding_size": 8, "hidden_size": 8, "ngrams": False, "wide": False, "epochs": 2, "metric": "accuracy",
}  # fmt: skip
TUNE: JsonObject = {
    "dataset": "rows", "model": "lstm", "name": "mood", "options": OPTIONS, "trials": 4, "parallel": 2, "publish": False,
    "space": {"rate": {"min": 1e-4, "max": 0.05, "log": True}},
}  # fmt: skip


def claim(platform: Platform, kind: str, config: JsonObject) -> Job:
    lane = {"ingest": Ingest, "tune": Tune}[kind].lane
    platform.jobs.submit(DEFAULT_TEAM, kind, config, lane=lane)
    job = platform.jobs.claim("r", [lane], 600)
    assert job is not None
    return job


def work(platform: Platform, folder: Path, job: Job) -> JsonObject:
    workdir = folder / str(job.id)
    workdir.mkdir()
    with ProgressWriter(platform.jobs, job) as progress:
        found = PIPELINES.get(job.kind).run(JobContext(platform, job, progress, workdir), job.config)
    platform.jobs.finish(job, found)
    return found


@pytest.fixture
def tune(platform: Platform, tmp_path: Path) -> Job:
    """A claimed search over a dataset."""
    data = ROWS.encode()
    file: JsonObject = {"path": "rows.csv", "sha256": platform.blobs.put(data), "size_bytes": len(data)}
    work(platform, tmp_path, claim(platform, "ingest", {"dataset": "rows", "files": [file], "options": {}}))
    return claim(platform, "tune", TUNE)


def test_the_best_trial_becomes_a_version_whose_lineage_tells_the_study(
    platform: Platform, tmp_path: Path, tune: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read = train_module.read_split
    monkeypatch.setattr(train_module, "read_split", lambda folder, split: reads.append(split) or read(folder, split))
    found = work(platform, tmp_path, tune)
    assert reads == ["test"], "the job itself reads the test rows, once; trials are other processes"
    version = platform.registry.resolve(DEFAULT_TEAM, ModelRef("mood", version=1))
    study = version.lineage["study"]
    assert found["study"] == study
    assert [trial["state"] for trial in study["trials"]].count("complete") >= 1
    assert len(study["trials"]) == 4
    best = study["trials"][study["best"]]
    assert version.lineage["config"] | best["options"] == version.lineage["config"], "the configuration is the best trial's"
    assert version.lineage["training"]["best"] == best["value"]
    assert version.metrics["accuracy"] > 0.5
    pictures = {file.path for file in version.manifest.files if file.path.startswith("pictures/")}
    assert {"pictures/trials.svg", "pictures/trials.zh.svg", "pictures/importance.svg", "pictures/curve.svg"} <= pictures
    assert not (tmp_path / str(tune.id)).exists()
    again = work(platform, tmp_path, claim(platform, "tune", TUNE))
    assert (again["version"], again["reused"], again["study"]) == (1, True, study)


def test_trials_cannot_see_the_test_rows(platform: Platform, tmp_path: Path, tune: Job) -> None:
    """They are taken away before the search, which does not notice; what reads them does."""
    dataset = platform.registry.resolve_dataset(DEFAULT_TEAM, "rows")
    test = dataset.manifest.find("test.parquet")
    assert test is not None
    platform.blobs.delete(test.sha256)
    workdir = tmp_path / "work"
    workdir.mkdir()
    with ProgressWriter(platform.jobs, tune) as progress:
        tuning = _Tuning(JobContext(platform, tune, progress, workdir), Tune.model_validate({**TUNE, "trials": 1}))
        report = tuning.learn()
        assert report["study"]["best"] == 0
        assert sorted(path.name for path in (workdir / "rows").iterdir()) == ["manifest.json", "train.parquet", "validation.parquet"]
        with pytest.raises(NotFound):
            tuning._evaluate()
    running = platform.jobs.get(DEFAULT_TEAM, tune.id)
    assert running.state == "running"
    assert running.result["study"]["trials"][0]["state"] == "complete", "the trials so far are shown beside the running job"
    told = [event.data["code"] for event in platform.jobs.events(DEFAULT_TEAM, tune.id) if event.kind == "message"]
    assert told == ["searching_options", "trial_best"]
