"""A linear-chain conditional random field: the likelihood of a whole row of labels, where each label cares for the one before it.

Source: Lafferty et al., Conditional Random Fields (2001). Serving finds the best row with `tasks/viterbi.py`, which needs no torch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LinearChainCrf(nn.Module):
    """Scores of neighbouring labels, beside those that a network gives every token.

    A mask may have holes: tokens that it leaves out have no label, and those around them are neighbours.

    Attributes:
        start: of a row's first label, (labels,).
        transitions: from a label (row) to the next (column), (labels, labels).
        end: of a row's last label, (labels,).
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(num_labels))
        self.transitions = nn.Parameter(torch.zeros(num_labels, num_labels))
        self.end = nn.Parameter(torch.zeros(num_labels))

    def log_likelihood(self, scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """The logarithm of the chance of each row's labels.

        Args:
            scores: (batch, length, labels) of each token, any real numbers.
            labels: (batch, length) int64; whatever stands where `mask` is 0 means nothing.
            mask: (batch, length) 1 or 0.

        Returns:
            (batch,), at most 0; 0 for a row without tokens.
        """
        return self.score(scores, labels, mask) - self.log_partition(scores, mask)

    def score(self, scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """The sum of all scores along each row's labels, (batch,). Arguments as of `log_likelihood`."""
        labels = labels.masked_fill(mask == 0, 0)
        own = scores.gather(2, labels[:, :, None]).squeeze(2)  # (batch, length)
        total, before, has_begun = scores.new_zeros(len(scores)), labels[:, 0], mask[:, 0] < 0
        for at in range(scores.shape[1]):
            now, is_here = labels[:, at], mask[:, at] > 0
            step = torch.where(has_begun, self.transitions[before, now], self.start[now])
            total = total + torch.where(is_here, step + own[:, at], 0.0)
            before, has_begun = torch.where(is_here, now, before), has_begun | is_here
        return total + torch.where(has_begun, self.end[before], 0.0)

    def log_partition(self, scores: Tensor, mask: Tensor) -> Tensor:
        """The logarithm of the sum over all rows of labels, (batch,): the forward algorithm."""
        sums, has_begun = scores.new_zeros(scores[:, 0].shape), mask[:, :1] < 0  # (batch, labels), (batch, 1)
        for at in range(scores.shape[1]):
            is_here = mask[:, at, None] > 0
            passed = (sums[:, :, None] + self.transitions).logsumexp(1)  # (batch, labels)
            sums = torch.where(is_here, torch.where(has_begun, passed, self.start) + scores[:, at], sums)
            has_begun = has_begun | is_here
        return torch.where(has_begun[:, 0], (sums + self.end).logsumexp(1), 0.0)

    @torch.no_grad()
    def decode(self, scores: Tensor, mask: Tensor) -> list[list[int]]:
        """The best row of labels of each row, one label for each token of the mask: the Viterbi algorithm."""
        best, has_begun = scores.new_zeros(scores[:, 0].shape), mask[:, :1] < 0
        stay = torch.arange(scores.shape[2], device=scores.device).expand_as(best)
        steps: list[Tensor] = []  # where each label's best row came from, (batch, labels)
        for at in range(scores.shape[1]):
            is_here = mask[:, at, None] > 0
            passed, came = (best[:, :, None] + self.transitions).max(1)
            best = torch.where(is_here, torch.where(has_begun, passed, self.start) + scores[:, at], best)
            steps.append(torch.where(is_here & has_begun, came, stay))
            has_begun = has_begun | is_here
        last = (best + self.end).argmax(1, keepdim=True)  # (batch, 1)
        path = [last]
        for came in reversed(steps[1:]):
            path.append(came.gather(1, path[-1]))
        rows = torch.cat(path[::-1], 1)  # (batch, length)
        return [row[here > 0].tolist() for row, here in zip(rows, mask, strict=True)]
