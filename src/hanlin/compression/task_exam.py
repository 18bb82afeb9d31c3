"""A task whose answers a network writes, as an exam that every variant sits: the same rows, written greedily, judged by the task's figure.

What is asked may be what the version itself is for, or what its network does by a form of prompts. Knows nothing of how variants are held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hanlin.tasks.base import TASKS, Quality, Task
from hanlin.tasks.problems import main_metric_of
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject, JsonValue

ROWS_AT_ONCE = 4  # written in a step, between which the work can be given up
_GREEDY: JsonObject = {"num_beams": 1, "do_sample": False}
Call = tuple[JsonValue, JsonObject]


@dataclass(frozen=True, slots=True)
class TaskExam:
    """Questions and what is right of them.

    Attributes:
        folder: whose hanlin.json and tokenizer.json say how the task is asked for.
        gold: annotations of the rows.
        about: the names that reports tell: task, model, dataset.
    """

    folder: Path
    calls: Sequence[Call]
    gold: Sequence[str]
    about: JsonObject

    @classmethod
    def of(cls, folder: Path, questions: Sequence[JsonValue], gold: Sequence[str], about: JsonObject) -> TaskExam:
        """Of questions as `ExampleForm.question` gives them."""
        task = TASKS.get(ModelSpec.load(folder).task)
        known = {one.name for one in task.parameters}
        greedy = {name: value for name, value in _GREEDY.items() if name in known}
        asked = [task.ask(question) for question in questions]
        return cls(folder, [(inputs, parameters | greedy) for inputs, parameters in asked], gold, about)

    @property
    def task(self) -> Task:
        """What is asked."""
        return TASKS.get(self.spec.task)

    @property
    def spec(self) -> ModelSpec:
        """How it is asked, greedily."""
        return ModelSpec.load(self.folder).greedy

    @property
    def metric(self) -> str:
        """The name of the task's main figure."""
        return main_metric_of(self.task, self.spec)

    def sit(self, ask: Callable[[Sequence[Call]], Sequence[JsonValue]], on_rows: Callable[[int, int], None]) -> TaskFigure:
        """What the answers of `ask` are worth.

        Args:
            ask: answers to a few calls, in their order.
            on_rows: told how many rows are written, and how many of them since it was told last; raising out of it stops the work.
        """
        answers: list[JsonValue] = []
        for start in range(0, len(self.calls), ROWS_AT_ONCE):
            new = ask(self.calls[start : start + ROWS_AT_ONCE])
            answers += new
            on_rows(len(answers), len(new))
        return self.judge(answers)

    def judge(self, answers: Sequence[JsonValue]) -> TaskFigure:
        """Answers in their wire form, one a call."""
        found: Quality = self.task.quality(answers, self.gold, self.spec.labels)
        return TaskFigure(self.metric, found.get(self.metric), found.interval)

    def to_json(self) -> JsonObject:
        """What reports tell of it."""
        return self.about | {"metric": self.metric, "rows": len(self.gold)}


@dataclass(frozen=True, slots=True)
class TaskFigure:
    """A figure in 0..1 with its 95 % interval."""

    metric: str
    value: float
    interval: tuple[float, float]

    def lost(self, reference: TaskFigure) -> float:
        """Points against the reference's."""
        return (reference.value - self.value) * 100

    def to_json(self, reference: TaskFigure) -> JsonObject:
        """The stored form."""
        return {"metric": self.metric, "value": self.value, "interval": list(self.interval), "drop_points": self.lost(reference)}
