"""Peers: processes that take the steps of one training together. Each learns from its share of a batch; what they add up is the batch's.

All hold the same weights and take the same step, so one of them, the lead (rank 0), judges, saves and reports for all. `Alone` is a
training by one process; `Group` speaks gloo over the loopback interface. The loop knows `Peers` only: another scheduler's processes may
stand behind it. Nothing here is global.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, cast

import torch
import torch.distributed as dist
from torch import Tensor

from hanlin.errors import EngineFailed

CONNECT_S = 120.0  # until all have found each other
_PATIENCE = timedelta(hours=6)  # the lead's longest evaluation; a peer that dies is noticed at once
_LARGE_PRIME = 1_000_003


class Peers(Protocol):
    """The processes of a training, as one of them sees them. A method that speaks to the others is called by all, in the same order.

    Attributes:
        rank: which of them this is; 0 leads.
        size: how many there are.
    """

    @property
    def rank(self) -> int:
        """See the class."""
        ...

    @property
    def size(self) -> int:
        """See the class."""
        ...

    def share(self, batch: Sequence[int]) -> Sequence[int]:
        """The rows of a batch that are this process's; none where there are fewer rows than processes."""
        ...

    def reseed(self, seed: int, step: int) -> None:
        """Before a step: torch's random state becomes one that no other process has, and that does not depend on what was before."""
        ...

    def total(self, value: float) -> float:
        """The sum of all processes' values. Raises EngineFailed (`peer_lost`)."""
        ...

    def add_gradients(self, weights: Sequence[Tensor]) -> None:
        """The gradient of each weight becomes the sum of all processes'. Raises EngineFailed (`peer_lost`)."""
        ...

    def first(self, work: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What `work` finds; the lead alone does it. Raises EngineFailed (`peer_lost`)."""
        ...


class Alone:
    """One process."""

    rank, size = 0, 1

    def share(self, batch: Sequence[int]) -> Sequence[int]:
        """All rows."""
        return batch

    def reseed(self, seed: int, step: int) -> None:
        """The random state goes on; checkpoints hold it."""

    def total(self, value: float) -> float:
        """The value."""
        return value

    def add_gradients(self, weights: Sequence[Tensor]) -> None:
        """They are whole."""

    def first(self, work: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What `work` finds."""
        return work()


ALONE = Alone()


class Group:
    """Processes of one machine that meet through a file in `folder`.

    Args:
        why: asked for what became of the others when one is gone.

    Raises:
        EngineFailed: `peer_lost`, when they do not find each other.
    """

    def __init__(self, rank: int, size: int, folder: Path, *, why: Callable[[], str] = lambda: "it is gone") -> None:
        self.rank, self.size, self._why = rank, size, why
        torch_dist: Any = dist  # which has no types for these
        gloo = torch_dist.ProcessGroupGloo
        options = gloo._Options()
        options._devices = [gloo.create_device(hostname="127.0.0.1")]
        options._timeout = timedelta(seconds=CONNECT_S)
        self._group: Any = self._heard(lambda: gloo(torch_dist.FileStore(str(folder / "meeting"), size), rank, size, options))

    def share(self, batch: Sequence[int]) -> Sequence[int]:
        """See `Peers.share`: every n-th row, for rows of a batch are ordered by length."""
        return batch[self.rank :: self.size]

    def reseed(self, seed: int, step: int) -> None:
        """See `Peers.reseed`. The lead's random state goes on, as if it were alone."""
        if self.rank:
            torch.manual_seed((seed * _LARGE_PRIME + step) * _LARGE_PRIME + self.rank)

    def total(self, value: float) -> float:
        """See `Peers.total`."""
        found = torch.tensor([value], dtype=torch.float64)
        self._sum(found)
        return float(found)

    def add_gradients(self, weights: Sequence[Tensor]) -> None:
        """See `Peers.add_gradients`: what no process has a gradient of keeps none."""
        has = torch.tensor([float(weight.grad is not None) for weight in weights])
        parts = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        flat = torch.cat([has, *(part.detach().flatten() for part in parts)])
        self._sum(flat)
        is_learnt, *sums = torch.split(flat, [len(has), *(part.numel() for part in parts)])
        for weight, found, count in zip(weights, sums, is_learnt.tolist(), strict=True):
            weight.grad = found.view_as(weight).clone() if count else None

    def first(self, work: Callable[[], dict[str, float]]) -> dict[str, float]:
        """See `Peers.first`."""
        told = json.dumps(work()).encode() if self.rank == 0 else b""
        size = torch.tensor([len(told)])
        self._tell(size)
        words = torch.frombuffer(bytearray(told), dtype=torch.uint8) if told else torch.empty(int(size), dtype=torch.uint8)
        self._tell(words)
        return cast("dict[str, float]", json.loads(words.numpy().tobytes()))

    def _sum(self, tensor: Tensor) -> None:
        options = dist.AllreduceOptions()
        options.timeout = _PATIENCE
        self._heard(lambda: self._group.allreduce([tensor], options).wait())

    def _tell(self, tensor: Tensor) -> None:
        """The lead's tensor to all."""
        options = dist.BroadcastOptions()
        options.timeout = _PATIENCE
        self._heard(lambda: self._group.broadcast([tensor], options).wait())

    def _heard(self, work: Callable[[], object]) -> object:
        try:
            return work()
        except RuntimeError as error:  # a connection that closed; gloo has no kind of error of its own
            raise EngineFailed("peer_lost", problem=self._why(), details=str(error)[:500]) from error
