"""Jobs of the story: an equal one that has not ended is gone on with instead of queued again, and followed to its end."""

from __future__ import annotations

from collections.abc import Mapping

from hanlin.client import Hanlin
from hanlin.client.value import JsonObject
from hanlin.client.values import Job, JobEvent
from hanlin.control.job_kinds import check_job
from hanlin.demo.narrator import Narrator


def run_job(narrator: Narrator, client: Hanlin, kind: str, config: JsonObject) -> Mapping[str, object]:
    """The result of a job that was begun before, by a story that was broken off, or of a new one. Raises the job's own error."""
    job = find_open(client, kind, config)
    if job is None:
        return follow(narrator, client, client.jobs.submit(kind, config))
    done, total = _progress(job)
    narrator.found("continuing", job=job.id, percent=100 * done // total if total else 0)
    return follow(narrator, client, job)


def find_open(client: Hanlin, kind: str, config: JsonObject) -> Job | None:
    """The oldest job of just this request that is queued or running."""
    asked = check_job(kind, config)
    by_server = {name for name in asked.filled if getattr(asked, name) is None}
    wanted = asked.model_dump(mode="json", exclude=by_server)

    def is_equal(job: Job) -> bool:
        return job.kind == kind and {name: value for name, value in job.config.items() if name not in by_server} == wanted

    equal = [job for job in client.jobs.list(limit=500) if not job.has_ended and is_equal(job)]
    return equal[-1] if equal else None


def follow(narrator: Narrator, client: Hanlin, job: Job) -> Mapping[str, object]:
    """Follows a job with its progress and messages shown; its result. Raises the job's own error."""
    done, total = _progress(job)
    with narrator.bar(done, total or None) as bar:

        def show(event: JobEvent) -> None:
            for line in event.message.splitlines():
                narrator.say(line)
            if event.kind == "progress":
                bar.update(event.step, event.total or None, live_text(event.metrics))

        ended = client.jobs.wait(job.id, on_event=show)
    return ended.result if isinstance(ended.result, dict) else {}


def _progress(job: Job) -> tuple[int, int]:
    """Steps done and steps in all; 0 is unknown."""
    return (job.progress.step, job.progress.total) if job.progress else (0, 0)


def live_text(metrics: Mapping[str, float], limit: int = 4) -> str:
    """The latest figures on one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in list(metrics.items())[:limit])
