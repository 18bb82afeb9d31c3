"""A task that a version that writes is asked besides, as an exam: which rows, and how its variants do in it where they are served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hanlin.client import Hanlin
from hanlin.compression.bench_client import BenchClient
from hanlin.compression.plan import EncodedSplit
from hanlin.compression.task_exam import TaskExam, TaskFigure
from hanlin.control.job_exams import AskedTask, asked_task
from hanlin.control.job_kinds import Examining
from hanlin.datasets import read_split
from hanlin.engines import split_variant
from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.errors import InvalidInput
from hanlin.pipelines.base import JobContext
from hanlin.pipelines.data import dataset_folder, questions_of
from hanlin.registry.values import ModelVersion
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.types import JsonObject

TASK_ROWS = 40
_MAX_BATCH_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class TaskRows:
    """What a job asks besides: the task, and how many rows of it."""

    asked: AskedTask
    rows: int

    @classmethod
    def of(cls, context: JobContext, judged: ModelVersion, job: Examining) -> TaskRows | None:
        """None where it asks none. Raises as `asked_task`."""
        found = asked_task(context.platform, context.job.team_id, judged, job)
        return TaskRows(found, job.task_rows or TASK_ROWS) if found else None

    def exam(self, context: JobContext, split: str) -> TaskExam:
        """Rows of the split, evenly from the whole of it. Raises InvalidInput (`judging_rows_missing`)."""
        version, dataset = self.asked.version, self.asked.dataset
        found = read_split(dataset_folder(context, dataset), split)
        if not (count := min(self.rows, len(found))):
            raise InvalidInput("judging_rows_missing", split=split)
        chosen = [number * len(found) // count for number in range(count)]
        questions = questions_of(found, dataset, TASKS.get(version.task))
        about: JsonObject = {"task": version.task, "model": str(version), "dataset": str(dataset), "split": split}
        folder = context.platform.registry.materialize(version, context.platform.artifact_cache, variants=())
        return TaskExam.of(folder, [questions[at] for at in chosen], [found.labels[at] for at in chosen], about)


class CertifiedTask:
    """What a certificate tells of the task: the figures of the trained model and of a variant on the same test rows.

    A form of prompts that is another version's has no endpoint here, and asks the variant without a server.
    """

    def __init__(self, context: JobContext, judged: ModelVersion, variant: str, rows: TaskRows) -> None:
        self.context, self.judged, self.variant = context, judged, variant
        self.exam = rows.exam(context, "test")
        self.is_served = rows.asked.version.id == judged.id
        self.done = 0
        context.progress.message("asking_task", task=self.exam.task.name, variant=variant, rows=len(self.exam.calls))
        self.trained = self._sit_trained()
        self.found = None if self.is_served else self._sit_apart()

    def told(self, client: Hanlin, endpoint: str) -> JsonObject:
        """The certificate's part, of what `endpoint` answers where it serves the task."""
        found = self.found or self.exam.sit(lambda calls: [client.predict(endpoint, inputs, **more) for inputs, more in calls], self._tell)
        return self.exam.to_json() | found.to_json(self.trained) | {"trained_value": self.trained.value, "is_served": self.is_served}

    def _sit_trained(self) -> TaskFigure:
        session, max_rows = trained_session(self._folder(), threads=self.context.threads)
        asking = Questioner(session, self.exam.task, self.exam.spec, TextEncoder.load(self.exam.folder), _MAX_BATCH_TOKENS, max_rows)
        return self.exam.sit(lambda calls: asking.ask(calls).answers, self._tell)

    def _sit_apart(self) -> TaskFigure:
        settings = self.context.platform.settings
        held = BenchClient(
            self._folder(self.variant), self.variant, threads=self.context.threads, pad_id=self.exam.spec.pad_id,
            python=settings.pythons.get(split_variant(self.variant)[0]), memory_share=settings.vllm_memory_share,
        )  # fmt: skip
        try:
            held.wait_loaded(EncodedSplit([]))
            return self.exam.sit(lambda calls: held.answer(self.exam.folder, calls), self._tell)
        finally:
            held.close()

    def _folder(self, *variants: str) -> Path:
        platform = self.context.platform
        return platform.registry.materialize(self.judged, platform.artifact_cache, variants=variants)

    def _tell(self, _done: int, new: int) -> None:
        self.done += new
        self.context.progress.check_cancelled()
        self.context.progress.report(self.done, 2 * len(self.exam.calls), {})
