"""What is told of trials: both sides, labels bounded in number, one file that may be missing or damaged."""

from __future__ import annotations

from pathlib import Path

from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.judge import Seen
from hanlin.serving.trial_figures import MAX_LABELS, OTHER, TRIALS_FILE, Figures, TakenBack, figures_of, load_figures, save_figures

LIVE = DeploymentSpec("d1", "team", "e", "m", "m:1", "fake-fp32")
TRIED = DeploymentSpec("d2", "team", "e", "m", "m:2", "fake-fp32", role="shadow", weight=40)


def test_both_sides_are_told_under_the_endpoints_key() -> None:
    found = figures_of(TRIED, Seen(1, (0, 2), {"a": 2}, deaths=1), LIVE, Seen(0, (4, 0), {"a": 2, "b": 2}))
    assert (found.endpoint, found.role, found.weight, found.label_drift) == ("team/e", "shadow", 40, 0.5)
    assert (found.trial.version, found.trial.failed, found.trial.deaths, found.trial.latency) == ("m:2", 1, 1, (0, 2))
    assert (found.live.version, found.live.labels) == ("m:1", {"a": 2, "b": 2})


def test_labels_are_bounded_and_none_of_their_rows_is_lost() -> None:
    many = {f"label{number:03}": 1000 - number for number in range(500)}
    found = figures_of(TRIED, Seen(labels=many), LIVE, Seen(labels={"label499": 10**6, "x" * 500: 10**6}))
    names = found.trial.labels.keys() | found.live.labels.keys()
    assert len(names) == MAX_LABELS
    assert {"label499", "label000", "x" * 64, OTHER} <= names
    assert sum(found.trial.labels.values()) == sum(many.values())
    few = {f"label{number}": 1 for number in range(MAX_LABELS)}
    assert figures_of(TRIED, Seen(labels=few), LIVE, Seen()).trial.labels == few


def test_a_file_that_is_missing_or_damaged_tells_nothing(tmp_path: Path) -> None:
    assert load_figures(tmp_path) == Figures()
    told = Figures((figures_of(TRIED, Seen(), LIVE, Seen()),), (TakenBack("team/e", "canary", "trial_slow", 2),))
    save_figures(tmp_path, told)
    assert load_figures(tmp_path) == told
    (tmp_path / TRIALS_FILE).write_bytes(b'{"trials": [{}]}')
    assert load_figures(tmp_path) == Figures()
