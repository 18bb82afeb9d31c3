"""A job's story as lines of a log: its messages, the figures of each evaluation, every tenth of the way, and its end.

Made from the events that were kept, so it can be read long after the live view has gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hanlin.jobs import Job, JobEvent
from hanlin.types import JsonValue

_RATE = "tokens_per_s"  # told with every step; says nothing of the model


def story(job: Job, events: Iterable[JobEvent], language: str) -> Iterator[str]:
    """One line for each event worth keeping, with its moment in UTC; messages in `language` (`en` or `zh`)."""
    tenth = -1
    for event in events:
        told = event.data_in(language)
        if event.kind == "message":
            line = str(told.get("message", ""))
        elif event.kind == "end":
            line = str(told.get("state", ""))
        else:
            step, total, figures = _whole(told.get("step")), _whole(told.get("total")), _figures(told.get("metrics"))
            reached = 10 * step // total if total else tenth
            if reached == tenth and "validation" not in figures:
                continue
            tenth, line = reached, f"{step}/{total or '?'} {figures}".rstrip()
        yield f"{event.created_at:%Y-%m-%d %H:%M:%SZ}  {line}"
    if error := job.error_in(language):
        yield from (str(error[part]) for part in ("message", "next") if error.get(part))


def _whole(value: JsonValue | None) -> int:
    return value if isinstance(value, int) else 0


def _figures(metrics: JsonValue | None) -> str:
    """`validation_loss=0.4132 accuracy=0.91`; rates only where there is nothing else."""
    found = {str(name): value for name, value in metrics.items()} if isinstance(metrics, Mapping) else {}
    names = [name for name in found if name != _RATE] or list(found)
    return " ".join(f"{name}={value:.4g}" for name in names if isinstance(value := found[name], int | float))
