"""A search on small rows: it finds what the usual options miss, ends hopeless trials early, and goes on where it was killed."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanlin.datasets import Split, StoredSplit
from hanlin.datasets.store import write_manifest
from hanlin.errors import Cancelled, DataCorrupt, InvalidInput
from hanlin.tasks.labelled import Gold
from hanlin.tasks.spec import ModelSpec
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.ports import Silent
from hanlin.training.search.pictures import history_svg, importance_svg
from hanlin.training.search.report import SearchReport, TrialReport
from hanlin.training.search.search import MAX_ATTEMPTS, Budget, Search
from hanlin.training.search.space import Space
from hanlin.training.search.study import Study
from hanlin.training.search.worker import read_rows
from hanlin.types import JsonObject

InChild = Callable[[Callable[[], object]], int]
FILLER = list("这个房间的早餐和服务我们昨天")
# The usual rate, 0.001, is far too low for so few steps.
FIXED: JsonObject = {
    "metric": "accuracy", "precision": "fp32", "embedding_size": 16, "hidden_size": 16, "ngram_buckets": 256, "min_count": 1,
    "batch_size": 16, "epochs": 4, "threads": 1, "wide": False, "average": 0.0, "seed": 0,
}  # fmt: skip
SPACE: JsonObject = {"rate": {"min": 1e-6, "max": 0.1, "log": True}, "dropout": [0.0, 0.2, 0.4]}


def rows_of(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    texts, labels = [], []
    for number in range(count):
        words = chance.choices(FILLER, k=chance.randrange(2, 20))
        words.insert(chance.randrange(len(words)), chance.choice("好喜" if number % 2 else "差厌"))
        texts.append("".join(words))
        labels.append("good" if number % 2 else "bad")
    return Split(texts, labels)


VALIDATION = rows_of(60, 2)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset's folder without its test rows: what trials get."""
    folder = tmp_path_factory.mktemp("rows")
    for name, split in (("train", rows_of(160, 1)), ("validation", VALIDATION)):
        pq.write_table(pa.table({"text": split.texts, "label": split.labels}), folder / f"{name}.parquet")
    names = ("train", "validation", "test")
    write_manifest(
        folder, task="text-classification", labels=["bad", "good"], digests=dict.fromkeys(names, "d"), rows=dict.fromkeys(names, 1)
    )
    return folder


def study_of(
    folder: Path, *, space: JsonObject | None = None, pruner: str = "asha", request: str = "r", model: str = "lstm", **fixed: object
) -> Study:
    found = Space.from_json(space or SPACE, fixed=FIXED | fixed, model=model, task="text-classification")  # type: ignore[arg-type]
    return Study(folder / "study.sqlite", found, metric="accuracy", seed=3, pruner=pruner, request=request)  # type: ignore[arg-type]


def search(
    folder: Path, rows: Path, *, budget: Budget, study: Study | None = None, parallel: int = 1, progress: Silent | None = None,
    on_change: Callable[[SearchReport], None] = lambda _: None,
) -> SearchReport:  # fmt: skip
    study = study or study_of(folder)
    return Search(
        study, {"rows": str(rows)}, folder / "trials", budget=budget, parallel=parallel, threads=1, progress=progress or Silent(),
        on_change=on_change,
    ).run()  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, rows: Path) -> tuple[Path, SearchReport]:
    """An unbroken search of ten trials."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, search(folder, rows, budget=Budget(10))


def facts(report: SearchReport) -> list[TrialReport]:
    """The trials without what the clock says."""
    return [replace(trial, seconds=0.0) for trial in report.trials]


def test_the_search_beats_the_usual_options_where_they_are_wrong(whole) -> None:
    _folder, found = whole
    assert found.usual is found.trials[0], "what a training without a search would do is tried first"
    assert found.usual.options == {"rate": 0.001, "dropout": 0.4}
    assert found.best.value > found.usual.value + 0.2
    assert len(found.trials) == 10


def test_the_best_artifact_is_kept_and_is_what_was_measured(whole) -> None:
    folder, found = whole
    assert [path.name for path in (folder / "trials").iterdir() if path.is_dir()] == [str(found.best.number)]
    out = folder / "trials" / str(found.best.number) / "out"
    assert ModelSpec.load(out).labels == ("bad", "good")
    assert evaluate(out, VALIDATION).metrics.accuracy == pytest.approx(found.best.value)


def test_hopeless_trials_end_early(whole) -> None:
    _folder, found = whole
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert len(pruned) >= 2
    assert all(len(trial.evaluations) < 4 for trial in pruned), "it saved their other epochs"
    assert all(len(trial.evaluations) == 4 for trial in found.trials if trial.state == "complete")
    assert found.best.state == "complete"


def test_without_pruning_every_trial_runs_to_its_end(tmp_path: Path, rows: Path) -> None:
    found = search(tmp_path, rows, budget=Budget(6), study=study_of(tmp_path, pruner="none", epochs=1), parallel=2)
    assert [trial.state for trial in found.trials] == ["complete"] * 6


def write_rows(folder: Path, split: Split, labels: list[str], task: str = "text-classification") -> Path:
    for name in ("train", "validation"):
        pq.write_table(pa.table({"text": split.texts, "label": split.labels}), folder / f"{name}.parquet")
    names = ("train", "validation", "test")
    write_manifest(folder, task=task, labels=labels, digests=dict.fromkeys(names, "d"), rows=dict.fromkeys(names, 1))
    return folder


@pytest.mark.parametrize(
    ("golds", "labels", "figure"),
    [
        ([Gold("multi-label", ("bad",)), Gold("multi-label", ("bad", "good"))], ["bad", "good"], "micro_f1"),
        ([Gold("regression", score=1.0), Gold("regression", score=3.0)], [], "spearman"),
    ],
)
def test_trials_go_by_the_figure_that_their_rows_settle(tmp_path: Path, golds: list[Gold], labels: list[str], figure: str) -> None:
    """It was the share of wholly right rows of several labels, and nothing at all of scores."""
    texts = rows_of(40, 1).texts
    (tmp_path / "rows").mkdir()
    rows = write_rows(tmp_path / "rows", Split(texts, [golds[number % 2].annotation for number in range(40)]), labels)
    study = study_of(tmp_path, epochs=2, batch_size=8)
    found = search(tmp_path, rows, budget=Budget(1), study=study)
    assert found.metric == figure
    assert [len(trial.evaluations) for trial in found.trials] == [2], "each evaluation was told, so that it could end the trial"
    assert found.trials[0].value == pytest.approx(max(found.trials[0].evaluations))
    study.close()
    assert study_of(tmp_path, epochs=2, batch_size=8).metric == figure, "after a kill too"


def test_a_trial_streams_raw_text(tmp_path: Path) -> None:
    folder = write_rows(tmp_path, Split(["a b", "c d"], ["", ""]), [], task="fill-mask")
    data = read_rows(folder, is_streamed=TrainConfig.from_json({}, model="transformer", task="fill-mask").is_streamed)
    assert isinstance(data.train, StoredSplit) and isinstance(data.validation, StoredSplit)
    assert list(data.train.texts) == ["a b", "c d"]


def test_hyperband_ends_trials_early_too(tmp_path: Path) -> None:
    """Judged by what the study says of made figures: no network is needed."""
    study = study_of(tmp_path, pruner="hyperband")
    ended = []
    for worth in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2):
        number = study.next()
        assert number is not None
        study.add_attempt(number)
        goes_on = [study.report(number, step, worth) for step in (1, 2, 3, 4)]
        ended.append(not all(goes_on))
    assert not any(ended[:4])
    assert any(ended[4:])


def test_importance_names_the_option_that_decides(whole) -> None:
    _folder, found = whole
    assert found.importance["rate"] > found.importance["dropout"]
    assert sum(found.importance.values()) == pytest.approx(1.0)
    assert SearchReport.from_json(found.to_json()).to_json() == found.to_json()


def test_a_killed_search_goes_on_and_ends_as_an_unbroken_one(whole, tmp_path: Path, rows: Path, in_child: InChild) -> None:
    class DieAt(Silent):
        """Dies after the second evaluation of the third trial."""

        def check_cancelled(self) -> None:
            trials = study_of(tmp_path).report_all().trials
            if len(trials) == 3 and len(trials[2].evaluations) == 2:
                os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(lambda: search(tmp_path, rows, budget=Budget(10), progress=DieAt())) == signal.SIGKILL
    left = study_of(tmp_path).report_all()
    assert [trial.state for trial in left.trials] == ["complete", "complete", "running"]
    found = search(tmp_path, rows, budget=Budget(10))
    assert found.trials[:2] == left.trials[:2], "finished trials are kept"
    assert facts(found) == facts(whole[1]), "the killed one is taken up again: the same options, the same figures, none told twice"


def test_a_trial_without_rows_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        search(tmp_path, tmp_path / "nowhere", budget=Budget(1))
    assert caught.value.code == "no_trial_finished"
    (trial,) = study_of(tmp_path).report_all().trials
    assert (trial.state, trial.reason.code) == ("failed", "dataset_corrupt")


def test_a_trial_whose_process_keeps_dying_is_given_up(tmp_path: Path, rows: Path) -> None:
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "0").write_text("no folder of a trial", encoding="ascii")
    with pytest.raises(InvalidInput) as caught:
        search(tmp_path, rows, budget=Budget(1))
    assert caught.value.code == "no_trial_finished"
    trial = study_of(tmp_path).report_all().trials[0]
    assert (trial.state, trial.reason.code, trial.reason.params) == ("failed", "process_of_trial_died", {"attempts": MAX_ATTEMPTS})


def test_data_that_cannot_be_learnt_from_end_the_search_at_once(tmp_path: Path, rows: Path) -> None:
    poor = tmp_path / "poor"
    poor.mkdir()
    for path in rows.iterdir():
        (poor / path.name).write_bytes(path.read_bytes())
    pq.write_table(pa.table({"text": ["好", "好的"], "label": ["good", "good"]}), poor / "train.parquet")
    with pytest.raises(InvalidInput) as caught:
        search(tmp_path, poor, budget=Budget(5))
    assert caught.value.code == "nothing_to_learn"


def test_options_that_diverge_fail_their_trial_and_no_other(tmp_path: Path, rows: Path) -> None:
    wild = {"optimizer": "sgd", "clip": 0.0, "momentum": 0.99, "label_smoothing": 0.0, "batch_size": 4, "epochs": 8}
    study = study_of(tmp_path, model="rnn", space={"rate": [0.001, 10.0]}, **wild)
    found = search(tmp_path, rows, budget=Budget(5), study=study)
    assert [trial.state for trial in found.trials] == ["complete", "failed"], "two choices make two trials: none is tried twice"
    assert found.trials[1].reason.code == "diverged"
    assert found.best.number == 0


def test_time_ends_a_search_too(tmp_path: Path, rows: Path) -> None:
    found = search(tmp_path, rows, budget=Budget(100, time_s=1e-3))
    assert [trial.state for trial in found.trials] == ["complete"], "one is finished whatever the time"


def own_children() -> set[str]:
    """Processes that this one has started, by number."""
    return {child for path in Path("/proc/self/task").glob("*/children") for child in path.read_text().split()}


def test_a_cancelled_search_leaves_no_process_behind(tmp_path: Path, rows: Path) -> None:
    class Cancel(Silent):
        def check_cancelled(self) -> None:
            raise Cancelled("job_cancelled")

    before = own_children()
    with pytest.raises(Cancelled):
        search(tmp_path, rows, budget=Budget(3), progress=Cancel())
    assert own_children() <= before


def test_a_study_of_another_search_is_refused(tmp_path: Path) -> None:
    study_of(tmp_path).close()
    with pytest.raises(DataCorrupt, match="another search"):
        study_of(tmp_path, request="other")
    (tmp_path / "study.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(DataCorrupt, match="damaged"):
        study_of(tmp_path)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_pictures_show_every_trial_and_every_option(whole, language: str) -> None:
    _folder, found = whole
    history, importance = history_svg(found, language=language), importance_svg(found, language=language)
    assert history.count('r="4"') == len([trial for trial in found.trials if trial.value is not None]) + 2
    assert ("各次试验" in history) == (language == "zh")
    assert all(name in importance for name in found.importance)
    for metric, english, chinese in (("spearman", "validation Spearman", "验证 Spearman 相关"), ("loss", "validation loss", "验证损失")):
        assert (chinese if language == "zh" else english) in history_svg(replace(found, metric=metric), language=language)
    few = replace(found, importance={}, trials=())
    assert "<svg" in history_svg(few, language=language)
    assert ("too few" in importance_svg(few, language=language)) == (language == "en")
