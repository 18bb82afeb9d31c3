"""Figures of evaluations: told by name and unit, the more telling first."""

from hanlin.messages.figures import FIGURES, figure_name, figure_value, figure_with_interval, is_share, measured, progress_name
from hanlin.tasks import TASKS


def test_every_figure_of_every_task_has_a_name() -> None:
    for task in map(TASKS.get, TASKS.names()):
        assert {task.main_metric, *task.figures} <= FIGURES.keys(), task.name


def test_what_was_measured_comes_in_order_and_nothing_else() -> None:
    found = {"rows": 9, "accuracy": 0.9, "f1": 0.5, "interval": [0.4, 0.6], "ece": float("nan"), "exact": True, "perplexity": 12}
    assert measured(found) == [("f1", 0.5), ("perplexity", 12.0), ("accuracy", 0.9)]


def test_names_and_values_are_told() -> None:
    assert figure_name("f1", language="en") == "F1"
    assert figure_name("precision", language="zh-CN") == "精确率"
    assert figure_name("some_thing", language="en") == "some thing"
    assert (figure_value("f1", 0.5), figure_value("perplexity", 1234.5)) == ("50.0 %", "1,234.500")
    assert [name for name in ("f1", "perplexity", "loss") if is_share(name)] == ["f1"]


def test_figures_of_trainings_under_way_are_told_in_both_languages() -> None:
    names = ("validation_f1", "best_accuracy", "trial_chrf", "validation_loss", "rows")
    told = {language: [progress_name(name, language=language) for name in names] for language in ("en", "zh")}
    assert told["en"] == ["validation F1", "best accuracy", "chrF of the last trial", "validation loss", "rows"]
    assert told["zh"] == ["验证 F1", "最佳准确率", "最近试验的 chrF", "validation loss", "rows"]


def test_an_interval_is_of_the_figure_that_lies_in_it() -> None:
    """Bug avoided: it stood beside the first figure told: "perplexity 4,131 (3.0 % … 4.4 %)"."""
    assert figure_with_interval({"perplexity": 4131.5, "accuracy": 0.037, "interval": [0.03, 0.044]}) == "accuracy"
    assert figure_with_interval({"accuracy": 0.933, "f1": 0.0, "interval": [0.0, 0.0]}) == "f1"
    assert figure_with_interval({"accuracy": 0.5}) == figure_with_interval({"accuracy": 0.5, "interval": [0.6]}) == ""
