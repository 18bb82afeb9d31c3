"""Variants sit an exam, one after the other, and what each loses in it is noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from hanlin.compression.bench_client import BenchClient
from hanlin.compression.task_exam import TaskExam, TaskFigure
from hanlin.errors import EngineFailed


def examine(
    clients: Mapping[str, BenchClient], exam: TaskExam, *, on_rows: Callable[[str, int, int], None],
    on_failure: Callable[[str, EngineFailed], None],
) -> Iterator[tuple[str, TaskFigure]]:  # fmt: skip
    """The figure of each variant; one that fails is left out.

    Args:
        on_rows: told as by `TaskExam.sit`, behind the variant's name.
    """
    for name, client in clients.items():
        try:
            yield name, exam.sit(partial(client.answer, exam.folder), partial(on_rows, name))
        except EngineFailed as error:
            on_failure(name, error)
