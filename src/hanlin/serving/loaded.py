"""What loading a variant gives."""

from __future__ import annotations

from dataclasses import dataclass

from hanlin.engines.base import Session
from hanlin.tasks.base import Limits, Task
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a worker loaded, ready to answer."""

    task: Task
    spec: ModelSpec
    encoder: TextEncoder
    session: Session
    max_batch_rows: int | None
    limits: Limits
    variant: str = ""
