"""What a task teaches its networks: the contract between the one loop and the lessons, one a task, in `training/lessons/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor, nn

from hanlin.plugins import PluginRegistry
from hanlin.training.config import TrainConfig
from hanlin.training.examples import TrainData
from hanlin.training.ports import Progress

if TYPE_CHECKING:
    from hanlin.training.evaluation import Evaluation

Picture = Callable[[str], str]  # a language → SVG


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run begins with.

    Args:
        out: empty folder that becomes the artifact: tokenizer and spec are written first, weights last.
        base: folder of the weights to fine-tune; None for a network of our own.
        vectors: text file of word vectors to start from.
        raw_text: text file, one text a line, to learn such vectors from.
        found: the checkpoint that the run goes on from, whose tokenizer must be kept.
    """

    config: TrainConfig
    data: TrainData
    out: Path
    progress: Progress
    base: Path | None = None
    vectors: Path | None = None
    raw_text: Path | None = None
    found: Path | None = None


class Course(Protocol):
    """One task's examples and network in one run. Random choices come from torch's generator, so that a resumed run is the same.

    Attributes:
        module: the network in fp32, in training mode when the loop learns.
        scales: factor on the learning rate by parameter name; 1 where there is none.
        lengths: tokens of every training example, for batches of little padding.
    """

    @property
    def config(self) -> TrainConfig:
        """Options of the run."""
        ...

    @property
    def module(self) -> nn.Module:
        """See the class."""
        ...

    @property
    def scales(self) -> Mapping[str, float]:
        """See the class."""
        ...

    @property
    def lengths(self) -> Sequence[int]:
        """See the class."""
        ...

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """Mean loss () float32 over these training examples.

        Args:
            module: the network, or a copy of it in another precision.
        """
        ...

    def judge(self) -> dict[str, float]:
        """The figures of the module as it stands on the validation examples: `loss` (less is better) and those of `Task.figures`."""
        ...

    def finish(self, best: float) -> float:
        """Put what the network learned besides its weights into place and save it; the module has the best weights, in fp32.

        Args:
            best: the watched figure, greater is better.

        Returns:
            The watched figure of what was saved.
        """
        ...


@runtime_checkable
class PlansBatches(Protocol):
    """A course whose examples are too many for a list of them: it says itself which go together, see `streams.epoch_batches`."""

    def batches(self, epoch: int) -> Sequence[Sequence[int]]:
        """The batches of an epoch: numbers of training examples; the same at every call."""
        ...


@runtime_checkable
class Divided(Protocol):
    """A course whose loss over a batch follows from those over its parts: several processes may each learn from one."""

    def weight(self, rows: Sequence[int]) -> float:
        """What the mean of `loss` over these training examples counts: their number, that of their tokens, the sum of their weights."""
        ...


class Lesson(Protocol):
    """How networks learn one task."""

    def prepare(self, setting: Setting) -> Course:
        """Tokenizer and spec in `setting.out`, the network, the encoded examples.

        Raises:
            InvalidInput: examples or options that cannot be trained on.
        """
        ...

    def pictures(self, found: Evaluation) -> dict[str, Picture]:
        """Drawings of an evaluation by file name; none where a table says it all."""
        ...


LESSONS: PluginRegistry[Lesson] = PluginRegistry("lesson", package="hanlin.training.lessons", group="hanlin.lessons")
