"""`Space`: which options of a training are searched, and between what. Checked against `TrainConfig` itself. No torch, no Optuna here."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, cast

from hanlin.errors import InvalidInput
from hanlin.training.config import TrainConfig
from hanlin.training.option_rules import NEEDS, RANGES, Case, applies
from hanlin.types import JsonObject, JsonValue, nearest, shorten

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MAX_OPTIONS = 20
MAX_CHOICES = 50
MAX_STEPS = 1_000_000  # from one bound to the other
# Options that decide how trials are judged or counted: they are the same for all trials of a study.
FIXED = frozenset({"model", "task", "text", "metric", "objective", "evaluations", "schema", "seed", "threads"})

Plain = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Between:
    """Numbers from `low` to `high`, both included; every `step`, or by magnitude where `is_log`."""

    low: float
    high: float
    step: float | None = None
    is_log: bool = False
    is_whole: bool = False

    def to_json(self) -> JsonObject:
        """The stored form."""
        kind = int if self.is_whole else float
        found: JsonObject = {"min": kind(self.low), "max": kind(self.high)}
        if self.step is not None:
            found["step"] = kind(self.step)
        return found | ({"log": True} if self.is_log else {})

    def contains(self, value: object) -> bool:
        """Whether a trial could have `value`."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        steps = 0.0 if self.step is None else (value - self.low) / self.step
        return math.isclose(steps, round(steps), abs_tol=1e-6)

    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.is_whole:
            return IntDistribution(int(self.low), int(self.high), log=self.is_log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.is_log, step=self.step)


@dataclass(frozen=True, slots=True)
class Choices:
    """One of a few values."""

    values: tuple[Plain, ...]

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {"choices": [*self.values]}

    def contains(self, value: object) -> bool:
        """Whether a trial could have `value`."""
        return any(value == choice and type(value) is type(choice) for choice in self.values)

    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


@dataclass(frozen=True, slots=True)
class Space:
    """The options of a study that vary, by name; `fixed` are those that the request states, the same in every trial."""

    model: str
    task: str
    options: Mapping[str, Between | Choices]
    fixed: JsonObject

    @classmethod
    def from_json(cls, space: JsonObject | None, *, fixed: JsonObject, model: str, task: str, problem: str = "") -> Space:
        """The space that was asked for; the default one of `model` where `space` is None.

        Args:
            space: by option `{"min", "max"}` with `step` or `log`, `{"choices": […]}`, or the list of choices alone.
            fixed: options that every trial has.
            model: `lstm`, …, or `base`.
            task: what is learnt.
            problem: of the rows of a classification, where it is known: for the default space.

        Raises:
            InvalidInput: `unknown_training_option`, `option_not_searched`, `option_searched_and_set`, `space_…`,
                `invalid_training_option` for a bound that the option itself does not take.
        """
        usual = config_of(fixed, model, task)
        if space is None:
            return cls(model, task, {name: item for name, item in default_space(usual, problem).items() if name not in fixed}, fixed)
        if not 1 <= len(space) <= MAX_OPTIONS:
            raise InvalidInput("space_size", count=len(space), limit=MAX_OPTIONS)
        found = cls(model, task, {}, fixed)
        return replace(found, options={name: _dimension(name, item, found, space) for name, item in space.items()})

    def config(self, values: Mapping[str, JsonValue]) -> TrainConfig:
        """The run with these values of the searched options, without those whose switch this trial has off.

        Raises:
            InvalidInput: they do not go together.
        """
        idle = {name for name, (switch, on) in NEEDS.items() if switch in self.options and values.get(switch, on[0]) not in on}
        return config_of({**self.fixed, **{name: value for name, value in values.items() if name not in idle}}, self.model, self.task)

    def defaults(self) -> JsonObject | None:
        """What a training without a search would have; None where that lies outside of the space."""
        usual = self.config({})
        found: JsonObject = {name: getattr(usual, name) for name in self.options}
        return found if all(item.contains(found[name]) for name, item in self.options.items()) else None

    def to_json(self) -> JsonObject:
        """The stored form of what varies."""
        return {name: item.to_json() for name, item in self.options.items()}


def config_of(options: Mapping[str, JsonValue], model: str, task: str) -> TrainConfig:
    """The preset of `model` for `task` with `options` on top. Raises InvalidInput."""
    return TrainConfig.from_json(options, model=model, task=task)


def default_space(usual: TrainConfig, problem: str = "") -> dict[str, Between | Choices]:
    """What is worth searching around `usual`, which it holds: the options that moved the figures of docs/benchmarks.md.

    Sizes and epochs go from half to twice; what does nothing there is left out (`option_rules.REACHES`).

    Args:
        problem: of the rows of a classification, where it is known.
    """
    found: dict[str, Between | Choices] = {
        "rate": Between(max(usual.rate / 5, RANGES["rate"][0]), min(usual.rate * 8, RANGES["rate"][1]), is_log=True),
        "epochs": Between(max(1, usual.epochs // 2), min(2 * max(usual.epochs, 1), int(RANGES["epochs"][1])), is_whole=True),
        "batch_size": Choices(tuple(sorted({max(1, usual.batch_size // 2), usual.batch_size, min(usual.batch_size * 2, 4096)}))),
        "hidden_size": Choices(tuple(_widths(usual))),
        "layers": Between(max(1, usual.layers // 2), min(2 * usual.layers, int(RANGES["layers"][1])), is_whole=True),
        "dropout": _share(usual.dropout, 0.3, 0.8),
        "embedding_dropout": _share(usual.embedding_dropout, 0.3, 0.8),
        "label_smoothing": _share(usual.label_smoothing, 0.15, RANGES["label_smoothing"][1]),
        "weight_decay": Between(usual.weight_decay / 10, min(usual.weight_decay * 10, 1.0), is_log=True)
        if usual.weight_decay
        else Between(0.0, 0.1),
        "layer_decay": Between(min(0.7, usual.layer_decay), 1.0),
        "head_rate": Between(min(1.0, usual.head_rate), max(20.0, usual.head_rate), is_log=True),
    }
    case = usual.case._replace(problem=problem)
    return {name: item for name, item in found.items() if applies(name, case) and not (name == "dropout" and _may_lack_dropout(case))}


def _share(usual: float, least: float, most: float) -> Between:
    """From none to twice the usual share."""
    return Between(0.0, max(usual, min(most, max(least, 2 * usual))))


def _widths(usual: TrainConfig) -> list[int]:
    """Half, the same, one and a half and twice the width, where the heads of attention divide it."""
    width, parts = usual.hidden_size, 2 * usual.heads if usual.model == "transformer" else 1
    found = {width // 2, width, width * 3 // 2, width * 2}
    return sorted(size for size in found if size == width or (2 <= size <= RANGES["hidden_size"][1] and size % parts == 0))


def _may_lack_dropout(case: Case) -> bool:
    """Llama's family drops nothing of its hidden states, and refuses to."""
    return case.model == "base" and case.task == "text-generation"


def _dimension(name: str, item: JsonValue, space: Space, beside: Collection[str]) -> Between | Choices:
    names = sorted({field.name for field in fields(TrainConfig)} - FIXED)
    if name in FIXED:
        raise InvalidInput("option_not_searched", name=shorten(name), choices=", ".join(names))
    if name not in names:
        raise InvalidInput("unknown_training_option", name=shorten(name), near=nearest(name, names), choices=", ".join(names))
    if name in space.fixed:
        raise InvalidInput("option_searched_and_set", name=shorten(name))
    found = _choices(name, item) if isinstance(item, list) else _read(name, item, getattr(space.config({}), name))
    for value in found.values if isinstance(found, Choices) else (found.to_json()["min"], found.to_json()["max"]):
        space.config({**_switched_on(name, beside), name: value})  # the option's own check
    return found


def _switched_on(name: str, beside: Collection[str]) -> dict[str, JsonValue]:
    """The switch of an option, where it is searched as well."""
    switch, on = NEEDS.get(name, ("", ()))
    return {switch: cast("JsonValue", on[0])} if switch in beside else {}


def _read(name: str, item: JsonValue, usual: object) -> Between | Choices:
    if not isinstance(item, dict) or not item.keys() <= {"min", "max", "step", "log", "choices"}:
        raise _wrong(name, "space_shape")
    if "choices" in item:
        if len(item) > 1:
            raise _wrong(name, "space_shape")
        return _choices(name, item["choices"])
    if isinstance(usual, bool | str):
        raise _wrong(name, "space_words")
    low, high, step, is_log = item.get("min"), item.get("max"), item.get("step"), item.get("log", False)
    numbers = [value for value in (low, high, *((step,) if "step" in item else ())) if _is_number(value, is_whole=isinstance(usual, int))]
    if len(numbers) < 2 + ("step" in item) or not isinstance(is_log, bool):
        raise _wrong(name, "space_numbers")
    bounds = cast("list[float]", numbers)
    if not bounds[0] < bounds[1]:
        raise _wrong(name, "space_order")
    if is_log and (bounds[0] <= 0 or step is not None):
        raise _wrong(name, "space_log")
    if len(bounds) > 2 and not 0 < bounds[2] <= bounds[1] - bounds[0] <= MAX_STEPS * bounds[2]:
        raise _wrong(name, "space_step")
    return Between(bounds[0], bounds[1], bounds[2] if len(bounds) > 2 else None, is_log, isinstance(usual, int))


def _choices(name: str, values: JsonValue) -> Choices:
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_CHOICES:
        raise _wrong(name, "space_choices")
    found = tuple(value for value in values if isinstance(value, bool | int | float | str))
    if len(found) < len(values) or len({(type(value), value) for value in found}) < len(found):
        raise _wrong(name, "space_choices")
    return Choices(found)


def _is_number(value: JsonValue | None, *, is_whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return isinstance(value, int) or not is_whole


def _wrong(name: str, code: str) -> InvalidInput:
    return InvalidInput(code, name=shorten(name), limit=MAX_CHOICES)
