"""Losses over vectors: what belongs together shall point the same way, what does not shall not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs among the different texts of a batch: each text is there once, so that twins are nobody's negatives.

    Args:
        first: for each pair the place of its anchor among the anchors. (pairs,)
        second: for each pair the place of its text among the texts. (pairs,)
        is_known: which texts belong to which anchor, of all training examples and not of this batch alone. (anchors, texts)
        negatives: for each pair the places of its own unrelated texts.
        scores: how much the texts of a pair belong together, where the examples say it. (pairs,)
    """

    first: Tensor
    second: Tensor
    is_known: Tensor
    negatives: Sequence[Sequence[int]] = ()
    scores: Tensor | None = None


Loss = Callable[[Tensor, Tensor, Batch], Tensor]  # anchors (anchors, size), texts (texts, size) → ()


@dataclass(frozen=True, slots=True)
class Contrastive:
    """Each anchor finds its text among all texts of the batch that are not known to belong to it too.

    Source: van den Oord et al., Representation Learning with Contrastive Predictive Coding (2018); multiple negatives ranking.
    """

    temperature: float
    is_symmetric: bool

    def __call__(self, anchors: Tensor, texts: Tensor, batch: Batch) -> Tensor:
        """See `Loss`."""
        scores = cosines(anchors, texts) / self.temperature
        loss = functional.cross_entropy(_only_own(scores[batch.first], batch.is_known[batch.first], batch.second), batch.second)
        if not self.is_symmetric:
            return loss
        back = _only_own(scores.T[batch.second], batch.is_known.T[batch.second], batch.first)
        return (loss + functional.cross_entropy(back, batch.first)) / 2


@dataclass(frozen=True, slots=True)
class Triplet:
    """Every anchor is nearer to its text than to an unrelated one, by a margin: to its own ones, else to the nearest of the batch.

    Source: Schroff et al., FaceNet (2015); the hardest negative of a batch as in Hermans et al., In Defense of the Triplet Loss (2017).
    """

    margin: float

    def __call__(self, anchors: Tensor, texts: Tensor, batch: Batch) -> Tensor:
        """See `Loss`."""
        scores = cosines(anchors, texts)
        right = scores[batch.first, batch.second]
        hardest = scores.masked_fill(batch.is_known, -1.0).amax(1)[batch.first]
        wrong = [scores[at, [*own]].amax() if own else None for at, own in zip(batch.first.tolist(), _all(batch), strict=True)]
        nearest = torch.stack([hardest[pair] if value is None else value for pair, value in enumerate(wrong)])
        return functional.relu(self.margin - right + nearest).mean()


@dataclass(frozen=True, slots=True)
class CoSent:
    """Pairs with higher scores have higher cosines; only the order of the scores counts.

    Source: Su, CoSENT (2022).
    """

    temperature: float

    def __call__(self, anchors: Tensor, texts: Tensor, batch: Batch) -> Tensor:
        """See `Loss`."""
        assert batch.scores is not None, "pairs without scores"
        found = functional.cosine_similarity(anchors[batch.first], texts[batch.second]) / self.temperature
        gaps = (found[:, None] - found[None, :])[batch.scores[:, None] < batch.scores[None, :]]  # of a lower pair over a higher one
        return torch.logsumexp(torch.cat([gaps.new_zeros(1), gaps]), 0)


@dataclass(frozen=True, slots=True)
class CosineError:
    """The cosine is the score: mean squared difference. Scores must be on the scale of cosines."""

    def __call__(self, anchors: Tensor, texts: Tensor, batch: Batch) -> Tensor:
        """See `Loss`."""
        assert batch.scores is not None, "pairs without scores"
        return functional.mse_loss(functional.cosine_similarity(anchors[batch.first], texts[batch.second]), batch.scores)


@dataclass(frozen=True, slots=True)
class Nested:
    """The mean of a loss over the whole vectors and over their beginnings, so that these stand alone too.

    Source: Kusupati et al., Matryoshka Representation Learning (2022).
    """

    loss: Loss
    sizes: Sequence[int]
    weights: Sequence[float]

    def __call__(self, anchors: Tensor, texts: Tensor, batch: Batch) -> Tensor:
        """See `Loss`."""
        parts = [
            weight * self.loss(anchors[:, :size], texts[:, :size], batch) for size, weight in zip(self.sizes, self.weights, strict=True)
        ]  # fmt: skip
        return torch.stack(parts).sum() / sum(self.weights)


def cosines(anchors: Tensor, texts: Tensor) -> Tensor:
    """Of each anchor with each text: (anchors, size), (texts, size) → (anchors, texts)."""
    return functional.normalize(anchors, dim=1) @ functional.normalize(texts, dim=1).T


def _only_own(scores: Tensor, is_known: Tensor, target: Tensor) -> Tensor:
    """Scores without those of other texts that are right too. All (pairs, texts), target (pairs,)."""
    is_target = functional.one_hot(target, scores.shape[1]).bool()
    return scores.masked_fill(is_known & ~is_target, float("-inf"))


def _all(batch: Batch) -> Sequence[Sequence[int]]:
    return batch.negatives or [()] * len(batch.first)
