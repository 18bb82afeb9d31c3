"""Tasks: kinds of language problem, one a file; text settings, token ids, model specs and metrics that they share.

Knows numpy and (inside functions) tokenizers, opencc and rjieba; never torch, storage or the web.
"""

from __future__ import annotations

from hanlin.tasks.base import TASKS, Limits, Scored, Task, TaskOptions, TaskRequest
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.examples import BadExample, Column, Example, ExampleForm
from hanlin.tasks.metrics import ClassScore, Metrics
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings
from hanlin.tasks.vectors import VectorSettings

__all__ = [
    "TASKS",
    "BadExample",
    "ClassScore",
    "Column",
    "Encoded",
    "Example",
    "ExampleForm",
    "Limits",
    "Metrics",
    "ModelSpec",
    "Scored",
    "Task",
    "TaskOptions",
    "TaskRequest",
    "TextSettings",
    "VectorSettings",
]
