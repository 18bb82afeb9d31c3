"""Dataset versions as local folders, and the uploaded files of a job."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from hanlin.control.job_kinds import FileItem
from hanlin.datasets import Split
from hanlin.errors import Conflict, NotFound
from hanlin.pipelines.base import JobContext
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.storage.manifest import materialize
from hanlin.tasks import Task
from hanlin.types import Digest, JsonValue, shorten


def dataset_folder(context: JobContext, dataset: DatasetVersion) -> Path:
    """The verified local folder of a dataset version. Raises DataCorrupt."""
    cache = context.platform.settings.home / "cache" / "datasets"
    return materialize(dataset.manifest, context.platform.blobs, cache / dataset.manifest.digest)


def fetch_files(context: JobContext, files: Sequence[FileItem], target: Path) -> list[Path]:
    """Lays the uploaded files out below `target` under the names they had; read-only. Raises NotFound, DataCorrupt."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    paths = []
    for file in files:
        context.progress.check_cancelled()
        path = target.joinpath(*file.path.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        context.platform.blobs.get(Digest(file.sha256), path, is_shared=True)
        paths.append(path)
    return paths


def questions_of(rows: Split, dataset: DatasetVersion, task: Task) -> list[JsonValue]:
    """What a caller would ask of these rows; of another task's dataset the texts alone."""
    if dataset.task != task.name:
        return [*rows.texts]
    return [task.examples.question(text, annotation) for text, annotation in zip(rows.texts, rows.labels, strict=True)]


def dataset_of(context: JobContext, version: ModelVersion, asked: str | None) -> DatasetVersion:
    """The dataset that was asked for, else the one the version was made from.

    Raises:
        Conflict: `dataset_needed` when the version names none.
        NotFound: the dataset that was asked for; `dataset_was_deleted` when the version's own is gone.
    """
    reference = asked or version.lineage.get("dataset")
    if not isinstance(reference, str):
        raise Conflict("dataset_needed", version=str(version))
    resolve, team = context.platform.registry.resolve_dataset, context.job.team_id
    if asked:
        return resolve(team, asked)
    with contextlib.suppress(NotFound):
        found = resolve(team, reference)
        if version.is_of_rows(found.digest):  # else deleted, and made anew with other rows
            return found
    raise NotFound("dataset_was_deleted", version=str(version), dataset=shorten(reference))
