"""vLLM's processes end with the worker whose model they compute, also where that is killed: left to themselves they outlive it.

Source: vLLM 0.32, `v1/engine/utils.py` (`CoreEngineProcManager`), `v1/executor/multiproc_executor.py` (`make_worker_process`).
"""

from __future__ import annotations

import os
from collections.abc import Callable

from hanlin.observe.orphans import die_with_parent

Run = Callable[..., None]


class Tied:
    """What a process is to run, told to it as vLLM tells it: when it reads this, before all else, it is tied to the thread that made it."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __reduce__(self) -> tuple[Callable[[int, Run], Run], tuple[int, Run]]:
        return untied, (os.getpid(), self.run)


def untied(parent: int, run: Run) -> Run:
    """What to run, in the new process. `parent` is the pid of the one that started it."""
    die_with_parent(parent)
    return run


def tie_children() -> None:
    """From now on each core that vLLM starts from this process, and each worker of such a core, dies with the thread that started it.

    Raises:
        AttributeError: vLLM has nothing of these names: its processes would be tied to nothing.
    """
    from vllm.v1.engine.core import EngineCoreProc

    _tie(EngineCoreProc, "run_engine_core", run_core)


def run_core(*arguments: object, **more: object) -> None:
    """The process of a core."""
    from vllm.v1.engine.core import EngineCoreProc
    from vllm.v1.executor.multiproc_executor import WorkerProc

    _tie(WorkerProc, "worker_main", run_worker)
    EngineCoreProc.run_engine_core(*arguments, **more)


def run_worker(*arguments: object, **more: object) -> None:
    """The process of a core's worker."""
    from vllm.v1.executor.multiproc_executor import WorkerProc

    WorkerProc.worker_main(*arguments, **more)


def _tie(owner: type, name: str, run: Run) -> None:
    getattr(owner, name)
    setattr(owner, name, Tied(run))
