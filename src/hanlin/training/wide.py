"""Fits the wide road of a trained network: naive Bayes ratios of runs of tokens, weighed by a logistic regression.

A network learns order and context but needs many rows to learn what a rare phrase means; a linear model over phrases is the other way
round. The two are trained apart and their logits added, each times a factor that the validation rows choose (wide 0 leaves it out).
Source: Wang and Manning, Baselines and Bigrams (2012), NB-SVM with a logistic loss.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from hanlin.networks.classifier import TextClassifier
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.wide import WideRoad
from hanlin.training.batches import collate, plan_evaluation
from hanlin.training.evaluation import predict
from hanlin.training.examples import Examples

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float64]

SIZES = (1, 2, 3)
BUCKETS = 2**18  # half as many lost 0.4 points to collisions, twice as many gained 0.2 (Chinese reviews, linear model alone)
STRENGTH = 5.0  # inverse of the penalty on the weights
MIN_ROWS = 2  # a run that one row has says more of the row than of its label
MAX_LABELS = 20  # one regression a label
MAX_ROWS = 100_000  # rows to learn from; a sample of more
MAX_ITERATIONS = 200
DEEP_FACTORS = (1.0, 0.8, 0.6, 0.4, 0.2)
WIDE_FACTORS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.5)


@dataclass(frozen=True, slots=True)
class WideFound:
    """What came of it: the factors of both logits. `wide` 0: it did not help and was left out."""

    deep: float
    wide: float
    probabilities: Floats  # of the validation rows, with the wide road


def add_wide_road(
    network: TextClassifier | PretrainedClassifier, train: Examples, validation: Examples, *, pad_id: int, seed: int
) -> WideFound:
    """Give `network` a wide road fitted on `train`, mixed as serves the loss on `validation` best."""
    deep = predict(network, validation.rows, pad_id)
    if network.num_labels > MAX_LABELS:
        return WideFound(1.0, 0.0, deep)
    road = WideRoad(vocab_size=network.vocab_size, num_labels=network.num_labels, sizes=SIZES, buckets=BUCKETS)
    _fit(road, train, pad_id=pad_id, seed=seed)
    wide = predict(road, validation.rows, pad_id)
    choices = [(1.0, 0.0), *product(DEEP_FACTORS, WIDE_FACTORS)]
    best = min(choices, key=lambda factors: _loss(_together(deep, wide, factors), validation.gold))
    if best[1]:
        with torch.no_grad():
            torch._foreach_mul_([*road.parameters()], best[1])
        network.widen(road, deep=best[0])
    return WideFound(*best, _together(deep, wide, best))


def _together(deep: Floats, wide: Floats, factors: tuple[float, float]) -> Floats:
    """Probabilities of the weighed sum of logits, (rows, labels)."""
    logits = factors[0] * np.log(deep.clip(1e-12)) + factors[1] * np.log(wide.clip(1e-12))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    together: Floats = powers / powers.sum(axis=1, keepdims=True)
    return together


def _loss(probabilities: Floats, gold: Sequence[int]) -> float:
    return -float(np.log(probabilities[np.arange(len(gold)), list(gold)].clip(1e-12)).mean())


def _fit(road: WideRoad, examples: Examples, *, pad_id: int, seed: int) -> None:
    """Set the weights of `road`."""
    order = list(range(len(examples.rows)))
    if len(order) > MAX_ROWS:
        order = sorted(random.Random(seed).sample(order, MAX_ROWS))  # noqa: S311  # a sample, no secret
    rows = [examples.rows[index] for index in order]
    gold = np.array([examples.gold[index] for index in order])
    counts = _count_runs(road, rows, pad_id)
    scale = 1 / np.sqrt([max(1, len(row)) for row in rows])  # (rows,)
    weights = np.zeros((counts.shape[1], road.bias.numel()))
    bias = np.zeros(road.bias.numel())
    if road.bias.numel() == 2:
        found, offset = _regression(counts, scale, gold == 1)
        weights[:, 0], weights[:, 1], bias[:] = -found / 2, found / 2, (-offset / 2, offset / 2)
    else:
        for label in range(road.bias.numel()):
            weights[:, label], bias[label] = _regression(counts, scale, gold == label)
    parts = np.split(weights, np.cumsum([len(table.weight) for table in _tables(road)])[:-1])
    with torch.no_grad():
        for table, part in zip(_tables(road), parts, strict=True):
            table.weight.copy_(torch.from_numpy(part))
        road.bias.copy_(torch.from_numpy(bias))


def _regression(counts: csr_matrix, scale: npt.NDArray[np.float64], is_label: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Weights (columns,) and bias that tell the rows of a label from the others; zeros when all or none are."""
    from scipy.sparse import diags_array
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if is_label.all() or not is_label.any():
        return np.zeros(counts.shape[1]), 0.0
    has = counts > 0
    inside, outside = 1.0 + has[is_label].sum(0), 1.0 + has[~is_label].sum(0)
    ratios = np.asarray(np.log((inside / inside.sum()) / (outside / outside.sum()))).ravel()
    ratios[np.asarray(has.sum(0)).ravel() < MIN_ROWS] = 0.0
    # Only of runs that say something: the others' weights stay 0, and moving half a million zeros takes longer than all the rest.
    columns = np.flatnonzero(ratios) if ratios.any() else np.zeros(1, np.int64)
    features = diags_array(scale) @ counts[:, columns] @ diags_array(ratios[columns])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a bounded number of steps is wanted
        model = LogisticRegression(C=STRENGTH, max_iter=MAX_ITERATIONS).fit(features.tocsr(), is_label)
    weights = np.zeros(counts.shape[1])
    weights[columns] = model.coef_[0] * ratios[columns]
    return weights, float(model.intercept_[0])


def _count_runs(road: WideRoad, rows: Sequence[Sequence[int]], pad_id: int) -> csr_matrix:
    """How often each run stands in each row: (rows, rows of all tables together) float64."""
    from scipy.sparse import csr_matrix

    starts = np.cumsum([0, *(len(table.weight) for table in _tables(road))])
    found_rows: list[npt.NDArray[np.int64]] = []
    found_columns: list[npt.NDArray[np.int64]] = []
    for batch in plan_evaluation([len(row) for row in rows]):
        ids, mask = collate([rows[index] for index in batch], pad_id)
        places = mask.numpy().astype(bool)  # (batch, length)
        numbers = np.broadcast_to(np.array(batch)[:, None], places.shape)[places]
        for run, start in zip(road.runs(ids), starts, strict=False):
            found_rows.append(numbers)
            found_columns.append(run.numpy()[places] + start)
    row_index, column_index = np.concatenate(found_rows), np.concatenate(found_columns)
    return csr_matrix((np.ones(len(row_index)), (row_index, column_index)), shape=(len(rows), int(starts[-1])))


def _tables(road: WideRoad) -> list[torch.nn.Embedding]:
    return [table for table in road.tables if isinstance(table, torch.nn.Embedding)]
