"""The loss of preference pairs and what flows back through it: worked out by hand, and as other libraries have it."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from hanlin.training.preferred import gains_of, preference_loss


def test_the_loss_and_its_gradient_are_those_worked_out_by_hand() -> None:
    """β ((-10 + 12) - (-9 + 8)) = 0.3: -log σ(0.3) = log(1 + e^-0.3); its slope along the better logarithm is -β σ(-0.3)."""
    logs = torch.tensor([-10.0, -9.0], requires_grad=True)
    better, worse = gains_of(logs, torch.tensor([-12.0, -8.0]), 0.1)
    assert (better.item(), worse.item()) == (pytest.approx(0.2), pytest.approx(-0.1))
    loss = preference_loss(better - worse).sum()
    assert loss.item() == pytest.approx(math.log1p(math.exp(-0.3)), rel=1e-6)
    assert loss.item() == pytest.approx(0.554355, abs=1e-6)
    loss.backward()
    slope = 0.1 / (1 + math.exp(0.3))
    assert logs.grad is not None
    assert logs.grad.tolist() == pytest.approx([-slope, slope], rel=1e-5)
    assert float(preference_loss(torch.tensor(0.3), 0.1)) == pytest.approx(0.9 * 0.554355 + 0.1 * 0.854355, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_that_of_other_libraries(smoothing: float) -> None:
    """As trl writes the sigmoid loss: the ratio of the policy less that of the reference."""
    chance = torch.Generator().manual_seed(1)
    policy, reference = (torch.randn(16, generator=chance) * 20 for _ in range(2))
    logits = (policy[::2] - policy[1::2]) - (reference[::2] - reference[1::2])
    theirs = -functional.logsigmoid(0.3 * logits) * (1 - smoothing) - functional.logsigmoid(-0.3 * logits) * smoothing
    better, worse = gains_of(policy, reference, 0.3)
    torch.testing.assert_close(preference_loss(better - worse, smoothing), theirs)
