"""The tasks this server knows."""

from __future__ import annotations

from hanlin.control.platform import Platform
from hanlin.tasks.base import TASKS, Task
from hanlin.types import Principal


def list_tasks(platform: Platform, principal: Principal) -> list[Task]:
    """Every task, by name."""
    principal.require("read")
    return [TASKS.get(name) for name in TASKS.names()]
