"""What every pipeline gets and owes: the contract of a job's work, and the steps that survive a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hanlin.control.platform import Platform
from hanlin.errors import NotReady
from hanlin.jobs import Job, ProgressWriter
from hanlin.plugins import PluginRegistry
from hanlin.storage.durable import write_atomically
from hanlin.types import JsonObject, KeyId, Principal


@dataclass(frozen=True, slots=True)
class JobContext:
    """One attempt of a job. `workdir` is the job's own and outlives the attempt."""

    platform: Platform
    job: Job
    progress: ProgressWriter
    workdir: Path

    @property
    def principal(self) -> Principal:
        """The job acts for its team, with the rights it was submitted with."""
        return Principal(self.job.team_id, self.job.key_id or KeyId("system"), frozenset({"read", "write", "predict"}))

    @property
    def actor(self) -> str:
        """Who did it, for the audit trail."""
        return self.job.key_id or "system"

    @property
    def threads(self) -> int:
        """Threads for computing."""
        return self.platform.settings.engine_threads

    @property
    def server_url(self) -> str:
        """Where this home's server answers. Raises NotReady (`server_not_running`)."""
        try:
            found = json.loads((self.platform.settings.home / "run" / "server.json").read_text(encoding="utf-8"))
            return str(found["url"])
        except (OSError, ValueError, KeyError) as error:
            raise NotReady("server_not_running") from error

    def step(self, name: str, work: Callable[[], JsonObject]) -> JsonObject:
        """Does `work` unless an earlier attempt finished it; its result, as recorded.

        `work` itself must be safe to repeat: a kill may come between its end and the record of it.
        """
        self.progress.check_cancelled()
        path = self.workdir / "steps" / f"{name}.json"
        if path.is_file():
            found: JsonObject = json.loads(path.read_text(encoding="utf-8"))
            return found
        result = work()
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, json.dumps(result, ensure_ascii=False).encode())
        return result


class Pipeline(Protocol):
    """The work of one kind of job."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """Does the work and returns the job's result. Raises HanlinError; may be called again after a kill."""


PIPELINES: PluginRegistry[Pipeline] = PluginRegistry("pipeline", package="hanlin.pipelines", group="hanlin.pipelines")
