"""One thread: tiny tensors gain nothing from more, and lose much on a busy machine. And runs that are killed."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Mapping

import pytest
import torch

from hanlin.messages.said import Plain, Said
from hanlin.training.ports import Silent

torch.set_num_threads(1)


class KillAt(Silent):
    """`kill -9` to this very process after a step, or when a message comes."""

    def __init__(self, moment: int | str) -> None:
        self.moment = moment

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        self._die(step)

    def message(self, code: str, /, **params: Plain | Said) -> None:
        self._die(code)

    def _die(self, moment: int | str) -> None:
        if moment == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="session")
def kill_at() -> type[KillAt]:
    """`kill_at(7)`, `kill_at("wide_road_fitted")`: a progress that the run does not survive."""
    return KillAt


@pytest.fixture(scope="session")
def in_child() -> Callable[[Callable[[], object]], int]:
    """`in_child(action)` runs `action` in a forked process and returns its wait status."""

    def run(action: Callable[[], object]) -> int:
        gc.freeze()  # what is garbage here is not for the child to end: connections whose threads it has not
        pid = os.fork()
        if pid == 0:
            try:
                action()
            finally:
                os._exit(0)
        gc.unfreeze()
        return os.waitpid(pid, 0)[1]

    return run
