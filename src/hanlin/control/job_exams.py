"""The task that a compression or a certificate asks besides: whether it can be asked is looked at when the job is submitted."""

from __future__ import annotations

from dataclasses import dataclass

from hanlin.control.job_kinds import Examining
from hanlin.control.platform import Platform
from hanlin.engines import TRAINED_FILES
from hanlin.errors import Conflict, InvalidInput
from hanlin.networks.adapter import BASE_FOLDER, CONFIG_FILE
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.tasks.base import TASKS
from hanlin.types import ModelRef, TeamId, shorten

_SAME = {"config.json", "tokenizer.json", *TRAINED_FILES, CONFIG_FILE, f"{BASE_FOLDER}/config.json"}


@dataclass(frozen=True, slots=True)
class AskedTask:
    """What is asked.

    Attributes:
        version: how: what is judged itself, or a form of prompts over its weights.
        dataset: of whose rows.
    """

    version: ModelVersion
    dataset: DatasetVersion


def asked_task(platform: Platform, team: TeamId, judged: ModelVersion, job: Examining) -> AskedTask | None:
    """None where none is.

    Raises:
        InvalidInput: `task_not_written`, `task_of_other_weights`.
        Conflict: `dataset_needed`, `task_mismatch`.
        NotFound: for the version or the dataset.
    """
    if (job.task_model or job.task_dataset) is None:
        return None
    version = platform.registry.resolve(team, ModelRef.parse(job.task_model)) if job.task_model else judged
    if TASKS.get(version.task).head != "targets" and "prompt" not in version.lineage:
        raise InvalidInput("task_not_written", version=str(version), task=version.task)
    if version.id != judged.id and not _asks(version, judged) and _weights(version) != _weights(judged):
        raise InvalidInput("task_of_other_weights", version=str(version), judged=str(judged))
    reference = job.task_dataset or version.lineage.get("dataset")
    if not isinstance(reference, str):
        raise Conflict("dataset_needed", version=str(version))
    dataset = platform.registry.resolve_dataset(team, reference)
    if dataset.task != version.task:
        raise Conflict("task_mismatch", kind="dataset", name=dataset.name, task=dataset.task, other=shorten(version.task))
    return AskedTask(version, dataset)


def _asks(version: ModelVersion, judged: ModelVersion) -> bool:
    """Whether its prompts were imported over what is judged: it has the same weights, or an adapter taken into them."""
    return "prompt" in version.lineage and version.lineage.get("parent_digest") == judged.digest


def _weights(version: ModelVersion) -> dict[str, str]:
    return {file.path: file.sha256 for file in version.manifest.files if file.path in _SAME}
