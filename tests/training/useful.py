"""Options of a small training that do something for a model and task: the others are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from hanlin.training.option_rules import Case, applies

V = TypeVar("V")


def useful(options: Mapping[str, V], model: str, task: str) -> dict[str, V]:
    return {name: value for name, value in options.items() if applies(name, Case(model, task))}
