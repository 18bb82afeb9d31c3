"""The chain against brute force: every row of labels of tiny chains, with padding and holes; numpy finds the same rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from hanlin.networks.crf import LinearChainCrf
from hanlin.tasks.viterbi import viterbi

MASKS = [[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0]]


@pytest.fixture
def crf() -> LinearChainCrf:
    torch.manual_seed(3)
    chain = LinearChainCrf(3)
    for weight in chain.parameters():
        torch.nn.init.normal_(weight)
    return chain.double().requires_grad_(False)


@pytest.fixture
def scores() -> Tensor:
    return torch.randn(len(MASKS), 4, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def all_sums(crf: LinearChainCrf, own: Tensor) -> dict[tuple[int, ...], float]:
    """The sum of every row of labels over the tokens of `own` (tokens, labels)."""
    sums = {}
    for row in itertools.product(range(3), repeat=len(own)):
        steps = sum(float(crf.transitions[a, b]) for a, b in itertools.pairwise(row))
        tokens = sum(float(own[at, label]) for at, label in enumerate(row))
        sums[row] = float(crf.start[row[0]]) + steps + tokens + float(crf.end[row[-1]])
    return sums


def test_likelihood_and_best_row_are_those_of_brute_force(crf: LinearChainCrf, scores: Tensor) -> None:
    mask = torch.tensor(MASKS)
    partition, best = crf.log_partition(scores, mask), crf.decode(scores, mask)
    labels = torch.randint(3, (len(MASKS), 4), generator=torch.Generator().manual_seed(5))
    likelihood = crf.log_likelihood(scores, labels, mask)
    for number, line in enumerate(MASKS):
        own = scores[number][torch.tensor(line) > 0]
        if not len(own):
            assert (best[number], partition[number].item(), likelihood[number].item()) == ([], 0.0, 0.0)
            continue
        sums = all_sums(crf, own)
        whole = torch.tensor(list(sums.values())).double().logsumexp(0)
        gold = tuple(labels[number][torch.tensor(line) > 0].tolist())
        assert partition[number].item() == pytest.approx(whole.item(), abs=1e-5)
        assert likelihood[number].item() == pytest.approx(sums[gold] - whole.item(), abs=1e-5)
        assert tuple(best[number]) == max(sums, key=lambda row: sums[row])


def test_numpy_finds_the_same_rows(crf: LinearChainCrf, scores: Tensor) -> None:
    mask = torch.tensor(MASKS)
    rules = [weight.detach().numpy() for weight in (crf.transitions, crf.start, crf.end)]
    for row, line, best in zip(scores.numpy(), MASKS, crf.decode(scores, mask), strict=True):
        if best:
            assert viterbi(row[np.array(line) > 0], *rules) == best


def test_a_forbidden_step_is_never_taken() -> None:
    transitions = np.array([[0.0, -np.inf], [-np.inf, 0.0]])
    assert viterbi(np.array([[1.0, 0.0], [0.0, 3.0], [1.5, 0.0]]), transitions, np.zeros(2), np.zeros(2)) == [1, 1, 1]


def test_padding_gives_no_gradient_and_learning_moves_the_chain() -> None:
    chain = LinearChainCrf(2)
    own = torch.zeros(1, 4, 2, requires_grad=True)
    labels, mask = torch.tensor([[0, 1, 0, 1]]), torch.tensor([[1, 1, 1, 0]])
    optimizer = torch.optim.SGD(chain.parameters(), lr=0.5)
    for _ in range(60):
        loss = -chain.log_likelihood(own, labels, mask).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert own.grad is not None
    assert not own.grad[0, 3].any()
    assert loss.item() < 0.1
    assert chain.decode(torch.zeros(1, 5, 2), torch.ones(1, 5)) == [[0, 1, 0, 1, 0]]
