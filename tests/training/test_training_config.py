"""Options: checked by name and range, documented, with presets; schedules and batches as pure functions."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin.errors import InvalidInput
from hanlin.tasks.text import TextSettings
from hanlin.training.batches import collate, pack, plan_epoch, plan_evaluation
from hanlin.training.config import TrainConfig, preset
from hanlin.training.option_rules import BUILT_IN, CHOICES, SCRATCH_MODELS, applies
from hanlin.training.schedules import FLOOR, rate_factor

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("model", [*SCRATCH_MODELS, "base"])
def test_a_preset_survives_its_stored_form(model: str) -> None:
    config = preset(model)
    assert TrainConfig.from_json(config.to_json(), model=model) == config


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": "3"}, "epochs"),
        ({"epochs": 3.0}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"rate": float("nan")}, "rate"),
        ({"rate": -1}, "rate"),
        ({"rate": float("inf")}, "rate"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"schedule": None}, "schedule"),
        ({"ngrams": 1}, "ngrams"),
        ({"seed": 2**64}, "seed"),
        ({"model": "gru"}, "model"),
        ({"dropout": 1}, "dropout"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TrainConfig.from_json(options, model="lstm")  # type: ignore[arg-type]
    assert caught.value.code == "invalid_training_option"
    assert name in caught.value.message


@pytest.mark.parametrize(
    ("model", "task", "pooling", "code"),
    [
        ("lstm", "text-classification", "cls", "invalid_training_option"), ("base", "embedding", "max-mean", "invalid_training_option"),
        ("transformer", "embedding", "attention", "invalid_training_option"),
        ("base", "text-classification", "attention", "option_without_effect"),
        ("lstm", "token-classification", "attention", "option_without_effect"),
    ],
)  # fmt: skip
def test_a_network_pools_by_what_it_has(model: str, task: str, pooling: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TrainConfig.from_json({"pooling": pooling}, model=model, task=task)
    assert caught.value.code == code
    assert "pooling" in caught.value.message


def test_poolings_and_directions_are_for_those_that_have_them() -> None:
    for model, task, options in (
        ("gru", "sentiment", {"pooling": "max-mean-attention", "bidirectional": False}),
        ("rnn", "token-classification", {"bidirectional": False}),
        ("base", "embedding", {"pooling": "cls"}),
    ):  # fmt: skip
        found = TrainConfig.from_json(options, model=model, task=task)  # type: ignore[arg-type]
        assert {name: getattr(found, name) for name in options} == options


@pytest.mark.parametrize(
    ("name", "near"), [("hidden", "hidden_size"), ("hiden", "hidden_size"), ("epoch", "epochs"), ("lr_schedule", "schedule")]
)
def test_an_option_that_is_none_is_told_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TrainConfig.from_json({name: 8}, model="lstm")
    assert caught.value.code == "unknown_training_option"
    assert caught.value.message == f"there is no training option '{name}'; the nearest is {near}"
    assert "batch_size" in caught.value.next_step


def test_whole_numbers_do_for_fractions_and_text_settings_are_read() -> None:
    config = TrainConfig.from_json({"rate": 1, "text": {"cleaning": ["lower"], "segmentation": "words"}}, model="lstm")
    assert config.rate == 1.0
    assert config.text == TextSettings(("lower",), "words")
    with pytest.raises(InvalidInput):
        TrainConfig.from_json({"text": {"cleaning": ["x"]}}, model="lstm")


def option_rows(page: str) -> list[tuple[str, str]]:
    """Names and defaults, row by row."""
    table = (DOCS / page).read_text(encoding="utf-8").split("| `epochs` |")[1]
    return re.findall(r"^\| (`.+?) \| (.*?) \|", "| `epochs` |" + table, flags=re.MULTILINE)


@pytest.mark.parametrize("page", ["training.md", "training.zh.md"])
def test_every_option_is_documented_and_nothing_else(page: str) -> None:
    documented = {name for names, _ in option_rows(page) for name in re.findall(r"`(\w+)`", names)}
    assert documented == {field.name for field in fields(TrainConfig)} - {"model"}


def test_the_page_says_the_defaults_of_the_presets() -> None:
    """Numbers and on or off: those of a text classification are all there, and no other than those of some task."""
    for names, default in option_rows("training.md"):
        options = [name for name in re.findall(r"`(\w+)`", names) if name not in {"text", "pooling", "schema", "task"}]
        plain = re.sub(r"\(.*?\)|`.*?`", "", default)
        said = {f"{float(one):.12g}" if one[0].isdigit() else one for one in re.findall(r"\d+(?:\.\d+)?|\bon\b|\boff\b", plain)}
        of_any = {told for task in BUILT_IN for told in defaults(options, task)}
        assert defaults(options, "text-classification") <= said <= of_any, names


def defaults(options: list[str], task: str) -> set[str]:
    """As the page tells them, of all networks for which the options do something."""
    cases = [preset(model, task) for model in CHOICES["model"]]
    values = [getattr(one, name) for name in options for one in cases if applies(name, one.case)]
    return {
        ("on" if value else "off") if isinstance(value, bool) else f"{value:.12g}" for value in values if isinstance(value, int | float)
    }


def test_the_chinese_page_says_the_same_defaults() -> None:
    """Numbers, and words in quotes."""
    pages = [
        [(names, sorted(re.findall(r"[\d.]*\d|`[^`]+`", default))) for names, default in option_rows(page)]
        for page in ("training.md", "training.zh.md")
    ]  # fmt: skip
    assert pages[0] == pages[1]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "onecycle"])
@given(total=st.integers(1, 500), warmup=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_rates_stay_within_zero_and_one_and_rise_then_fall(schedule: str, total: int, warmup: float) -> None:
    rates = [rate_factor(schedule, step, total, warmup) for step in range(total)]
    assert all(0 < rate <= 1 + 1e-9 for rate in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    if schedule != "constant":
        assert rates[top:] == sorted(rates[top:], reverse=True)
        assert rates[-1] >= FLOOR or top == total - 1


LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=200)


@given(LENGTHS, st.integers(0, 5), st.integers(16, 600), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_an_epoch_has_every_row_once_within_the_budget(lengths: list[int], epoch: int, batch_tokens: int, batch_size: int) -> None:
    batches = plan_epoch(lengths, seed=3, epoch=epoch, batch_tokens=batch_tokens, batch_size=batch_size)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 0 < len(batch) <= batch_size
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= batch_tokens
    assert batches == plan_epoch(lengths, seed=3, epoch=epoch, batch_tokens=batch_tokens, batch_size=batch_size)


def test_orders_differ_between_epochs_and_padding_is_small() -> None:
    lengths = [5 + (number * 37) % 200 for number in range(2000)]
    first, second = (plan_epoch(lengths, seed=0, epoch=epoch, batch_tokens=10**6, batch_size=32) for epoch in (0, 1))
    assert first != second
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in first)
    assert padded < 1.08 * sum(lengths)
    assert plan_evaluation([]) == pack([], [], batch_tokens=1, batch_size=1) == []


def test_collate_pads_on_the_right() -> None:
    ids, mask = collate([[5], [6, 7, 8]], 3)
    assert ids.tolist() == [[5, 3, 3], [6, 7, 8]]
    assert mask.tolist() == [[1, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("task", ["embedding", "reranking"])
def test_rankings_have_presets_of_their_own_and_no_recurrent_networks(task: str) -> None:
    found = preset("base", task)
    assert (found.batch_size, found.metric, found.wide) == (64, "ndcg", False)
    assert preset("transformer", task).layers == 2
    with pytest.raises(InvalidInput) as caught:
        TrainConfig.from_json({}, model="lstm", task=task)
    assert (caught.value.code, task in caught.value.message) == ("network_for_another_task", True)
