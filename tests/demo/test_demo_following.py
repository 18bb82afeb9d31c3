"""A story that was broken off goes on with its job, and tells how far it is where there is no terminal."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hanlin.client.value import JsonObject
from hanlin.client.values import Job, JobEvent
from hanlin.control.job_kinds import check_job
from hanlin.demo import scene
from hanlin.demo.following import find_open, run_job
from hanlin.demo.narrator import Narrator, ProgressLines
from hanlin.demo.story import STEPS
from hanlin.settings import Settings

CONFIG: JsonObject = {"task": "text-classification", "dataset": "d", "model": "lstm", "name": "m", "seed": 0}
STORED = check_job("train", CONFIG).model_dump(mode="json")


def job(job_id: str, state: str, **changes: object) -> Job:
    progress = {"step": 75, "total": 100}
    return Job.model_validate({"id": job_id, "kind": "train", "state": state, "config": STORED | changes, "progress": progress})


class Jobs:
    """The client's part about jobs."""

    def __init__(self, *there: Job) -> None:
        self.there = there
        self.followed = ""

    def list(self, *, limit: int) -> list[Job]:
        return list(self.there)[:limit]

    def submit(self, kind: str, config: JsonObject) -> Job:
        return job("new", "queued")

    def wait(self, job_id: str, *, on_event: object) -> Job:
        assert callable(on_event)
        on_event(JobEvent(seq=1, kind="message", message="evaluating on 9 test rows"))
        on_event(JobEvent(seq=2, kind="progress", step=1, total=2))
        self.followed = job_id
        return job(job_id, "succeeded").model_copy(update={"result": {"version": 1}})


@pytest.fixture(autouse=True)
def _signals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene.signal, "signal", lambda *_: None)


@pytest.mark.parametrize(
    ("there", "followed"),
    [
        ((), "new"),
        ((job("second", "queued"), job("first", "running"), job("old", "succeeded")), "first"),
        ((job("failed", "failed"), job("other", "running", options={"epochs": 1}), job("forced", "queued", force=True)), "new"),
    ],
)
def test_only_an_equal_job_that_has_not_ended_is_gone_on_with(there: tuple[Job, ...], followed: str, capsys) -> None:
    jobs = Jobs(*there)
    client = SimpleNamespace(jobs=jobs)
    assert run_job(Narrator("en", steps=STEPS), client, "train", CONFIG) == {"version": 1}  # type: ignore[arg-type]
    assert jobs.followed == followed
    out = capsys.readouterr().out
    assert ("continuing first, 75 %" in out) == (followed == "first")
    assert "       evaluating on 9 test rows\n" in out


def test_what_the_server_fills_in_makes_no_other_job() -> None:
    stored = check_job("compress", {"model": "m"}).completed(Settings(compression_rows=64)).model_dump(mode="json")
    there = Job.model_validate({"id": "there", "kind": "compress", "state": "running", "config": stored})
    client = SimpleNamespace(jobs=Jobs(there))
    assert stored["rows"] == 64
    assert find_open(client, "compress", {"model": "m"}) == there  # type: ignore[arg-type]
    assert find_open(client, "compress", {"model": "m", "rows": 65}) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", ["step 60/100, 60 %  loss 0.5", "step 80/100, 80 %, about 30 s left  loss 0.5"]),
        ("zh", ["第 60/100 步，60 %  loss 0.5", "第 80/100 步，80 %，约剩 30 秒  loss 0.5"]),
    ],
)
def test_without_a_terminal_a_line_comes_now_and_then(language: str, told: list[str], capsys) -> None:
    now_s = 0.0
    lines = ProgressLines(Narrator(language, steps=STEPS), clock=lambda: now_s)
    for now_s, done in ((1.0, 1), (29.0, 50), (40.0, 60), (41.0, 61), (70.0, 80)):  # noqa: B007 - the clock reads it
        lines.update(done, 100, "loss 0.5")
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == told


def test_a_story_that_is_broken_off_says_that_the_work_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path, capsys) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scene, "DemoServer", interrupt)
    assert scene.play(tmp_path, port=None, serve=True, is_fresh=False) == 130
    assert f"{tmp_path} keeps what is done" in capsys.readouterr().out


@pytest.mark.parametrize("environ", [None, "8123"])
def test_a_port_that_is_named_is_taken_in_a_home_of_its_own_too(environ: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []

    def serve(_: object, *, port: int) -> None:
        ports.append(port)
        raise KeyboardInterrupt

    monkeypatch.setattr(scene, "DemoServer", serve)
    monkeypatch.setattr(scene, "free_port", lambda: 7)
    monkeypatch.delenv("HANLIN_PORT", raising=False)
    if environ:
        monkeypatch.setenv("HANLIN_PORT", environ)
    scene.play(None, port=None, serve=False, is_fresh=True)
    assert ports == [8123 if environ else 7]
