"""What a classifier's loss is, by what its labels mean: one of them, those that apply, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.errors import InvalidInput
from hanlin.networks.classifier import TextClassifier
from hanlin.networks.heads import PretrainedClassifier
from hanlin.tasks.problems import FIGURES
from hanlin.tasks.spec import Problem
from hanlin.training.config import TrainConfig, preset
from hanlin.training.examples import Examples, class_weights, flag_weights
from hanlin.training.option_rules import check_effects

_OF_PROBLEMS = ("class_weights", "label_smoothing", "wide")  # which do nothing for some of them


def watching(config: TrainConfig, problem: Problem) -> TrainConfig:
    """The options with a figure to watch that this problem has: its main one in the place of a classifier's accuracy.

    Raises:
        InvalidInput: `invalid_training_option` for the figure of another problem, `option_without_effect` for what its loss has not.
    """
    usual = preset(config.model, config.task)
    given, before = ({name: getattr(found, name) for name in _OF_PROBLEMS} for found in (config, usual))
    check_effects(given, before, config.case._replace(problem=problem))
    choices = (*FIGURES[problem], "loss")
    if config.metric == "accuracy" and problem != "single-label":
        return replace(config, metric=choices[0])
    if config.metric not in choices:
        raise InvalidInput("invalid_training_option", name="metric", value=config.metric, right=", ".join(choices))
    return config


@dataclass(frozen=True, slots=True)
class Goal:
    """A loss and its targets.

    Args:
        weights: of the classes; of the rows that have a label, where several may apply.
        mean, spread: of the training scores, in whose unit the network learns.
    """

    problem: Problem
    weights: Tensor | None = None
    smoothing: float = 0.0
    mean: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, problem: Problem, train: Examples, *, is_balanced: bool, smoothing: float) -> Goal:
        """The goal of these training examples."""
        if problem == "regression":
            assert train.truth is not None
            return cls(problem, mean=float(train.truth.mean()), spread=max(float(train.truth.std(correction=0)), 1e-6))
        if problem == "multi-label":
            assert train.truth is not None
            return cls(problem, flag_weights(train.truth) if is_balanced else None)
        return cls(problem, class_weights(train.gold, max(train.gold) + 1) if is_balanced else None, smoothing)

    def target(self, examples: Examples, rows: Sequence[int]) -> Tensor:
        """What is right of these rows."""
        if examples.truth is None:
            return torch.tensor([examples.gold[row] for row in rows])
        return (examples.truth[torch.tensor(rows)] - self.mean) / self.spread

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss () of logits (rows, labels)."""
        if self.problem == "regression":
            return functional.mse_loss(logits, target)
        if self.problem == "multi-label":
            return functional.binary_cross_entropy_with_logits(logits, target, pos_weight=self.weights)
        return functional.cross_entropy(logits, target, weight=self.weights, label_smoothing=self.smoothing)

    def weight(self, examples: Examples, rows: Sequence[int]) -> float:
        """What the mean of `loss` over these rows counts."""
        if self.weights is None or self.problem != "single-label":
            return len(rows)
        return float(self.weights[self.target(examples, rows)].sum())

    def loss_of(self, scores: npt.NDArray[np.float64], gold: npt.NDArray[np.generic]) -> float:
        """The same of finished scores (rows, labels), without weights: what validation reports."""
        if self.problem == "regression":
            return float(np.square(scores - (gold.astype(np.float64) - self.mean) / self.spread).mean())
        if self.problem == "multi-label":
            return -float(np.log(np.clip(np.where(gold.astype(bool), scores, 1 - scores), 1e-12, None)).mean())
        return -float(np.log(np.clip(scores[np.arange(len(gold)), gold.astype(np.int64)], 1e-12, None)).mean())

    def begin(self, module: nn.Module, train: Examples) -> None:
        """Let a network for several labels begin with how often each applies, not with a half for all: few steps are then spent on the
        way to rare labels. With weights it begins with what they make of that: a half, where both sides count alike.

        Source: Lin et al., Focal Loss for Dense Object Detection (2017), 4.1, for the bias.
        """
        if self.problem != "multi-label":
            return
        assert train.truth is not None
        assert isinstance(module, TextClassifier | PretrainedClassifier), "networks with a linear layer at the end"
        chances = train.truth.float().sum(0).clamp(0.5, len(train.truth) - 0.5) / len(train.truth)  # of no label 0 or 1: logits are finite
        module.begin_at(torch.logit(chances) + (0.0 if self.weights is None else self.weights.log()))

    @torch.no_grad()
    def unscale(self, module: nn.Module) -> None:
        """Let a network that learned scores in a unit of spread answer them in their own."""
        if self.problem != "regression":
            return
        assert isinstance(module, TextClassifier | PretrainedClassifier), "networks with a linear layer at the end"
        module.rescale(self.spread, self.mean)
