"""What a checkpoint holds: weights, optimizer state, running mean, best weights, random state and the place in the data order.

Files: `tensors.safetensors`, `state.json`, `tokenizer.json`. No pickle. Restoring gives the very run that was saved, bit for bit.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hanlin.errors import DataCorrupt
from hanlin.training.optimizers import Average, Masters


@dataclass(slots=True)
class Point:
    """One row of the curve. `validation` is empty between evaluations."""

    step: int
    loss: float
    rate: float
    validation: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Place:
    """Where a run stands.

    Attributes:
        step: steps done; epoch and batch name the next step's batches.
        losses: sum of the losses since the last point of the curve, and their number.
        best: the best value of the metric so far, at `best_step`; `stale` counts evaluations since.
        precision: what the run computes in; chosen once, kept on resume.
        request: digest of configuration and data; a checkpoint of another run is refused.
    """

    request: str
    precision: str
    step: int = 0
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    is_done: bool = False
    history: list[Point] = field(default_factory=list)


class RunState:
    """The moving parts of one run.

    Args:
        frozen: weights that an adapter leaves alone, where the module holds them rounded.
    """

    def __init__(
        self, module: nn.Module, masters: Masters, average: Average | None, place: Place, frozen: Mapping[str, Tensor] | None = None
    ) -> None:
        self.frozen = frozen or {}
        self.module = module
        self.masters = masters
        self.average = average
        self.place = place
        self.best: list[Tensor] = []

    @property
    def candidate(self) -> list[Tensor]:
        """The weights that would be saved now: the running mean when there is one."""
        return self.average.means if self.average else [master.detach() for master in self.masters.masters]

    def keep_best(self) -> None:
        """Remember the candidate as the best weights so far."""
        self.best = [weight.clone() for weight in self.candidate]

    def write(self, folder: Path, tokenizer: Path) -> None:
        """Fill a checkpoint folder."""
        tensors = self.masters.tensors() | {"random": torch.get_rng_state()}
        names = self.masters.names
        if self.average:
            tensors |= {f"mean/{name}": mean for name, mean in zip(names, self.average.means, strict=True)}
            tensors["mean_count"] = torch.tensor(self.average.count)
        if self.best and self.place.best_step != self.place.step:  # else the candidate of this very step is the best
            tensors |= {f"best/{name}": weight for name, weight in zip(names, self.best, strict=True)}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "tensors.safetensors")
        (folder / "state.json").write_text(json.dumps(asdict(self.place)), encoding="utf-8")
        shutil.copyfile(tokenizer, folder / "tokenizer.json")

    def read(self, folder: Path) -> None:
        """Become the run that `write` saved. Raises DataCorrupt (`checkpoint_unusable`) when the folder is not of this run."""
        try:
            place = read_place(folder)
            tensors = load_file(folder / "tensors.safetensors")
            if place.request != self.place.request:
                raise ValueError("another run")
            self.masters.restore(tensors)
            names = self.masters.names
            if self.average:
                self.average.means = [tensors[f"mean/{name}"].clone() for name in names]
                self.average.count = int(tensors["mean_count"])
            if place.best is not None and place.best_step == place.step:
                self.keep_best()
            elif place.best is not None:
                self.best = [tensors[f"best/{name}"].clone() for name in names]
            torch.set_rng_state(tensors["random"])
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise DataCorrupt("checkpoint_unusable", details=str(error)[:500]) from error
        self.place = place


def read_place(folder: Path) -> Place:
    """The place of a checkpoint. Raises ValueError, KeyError or TypeError when `state.json` is not ours."""
    values = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    values["history"] = [Point(**point) for point in values["history"]]
    return Place(**values)
