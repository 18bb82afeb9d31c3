"""The loop itself: a generator of (step, metrics). It computes; saving and reporting are its caller's business."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from hanlin.errors import EngineFailed
from hanlin.training.batches import plan_epoch
from hanlin.training.lesson import Course, Divided, PlansBatches
from hanlin.training.peers import ALONE, Peers
from hanlin.training.schedules import rate_factor
from hanlin.training.state import Point, RunState


def plan(course: Course, epoch: int) -> Sequence[Sequence[int]]:
    """The batches of an epoch: indices of training examples."""
    if isinstance(course, PlansBatches):
        return course.batches(epoch)
    config = course.config
    batches = plan_epoch(course.lengths, seed=config.seed, epoch=epoch, batch_tokens=config.batch_tokens, batch_size=config.batch_size)
    if config.curriculum == "length" and epoch == 0:
        batches.sort(key=lambda batch: course.lengths[batch[-1]])  # its last row is its longest
    return batches


def steps(course: Course, state: RunState, total: int, peers: Peers = ALONE) -> Iterator[tuple[int, dict[str, float]]]:
    """Run from where `state` stands to the end; after each step yield its number and what was found.

    Between two yields `state` is whole: a checkpoint of it continues exactly here. Evaluations add `validation_loss` and the like.

    Args:
        total: steps of the whole run.
        peers: that take every step with this process; a course that is not `Divided` has none.

    Raises:
        EngineFailed: `diverged`, before the bad step touches the weights; `peer_lost`.
    """
    place, config = state.place, course.config
    while place.epoch < config.epochs and not place.is_done:
        batches = plan(course, place.epoch)
        size, count = config.accumulation, count_steps(batches, config.accumulation)
        marks = {math.ceil(count * (number + 1) / config.evaluations) for number in range(config.evaluations)}
        for number in range(place.batch, count):
            group = [batches[index] for index in range(number * size, min((number + 1) * size, len(batches)))]
            loss, rate = _learn(course, state, group, total, peers)
            place.step += 1
            place.batch += 1
            place.loss_sum += loss
            place.loss_count += 1
            metrics = {"loss": loss, "rate": rate, "epoch": place.epoch + place.batch / count}
            if place.batch in marks:
                metrics |= _evaluate(course, state, rate, peers)
            elif place.loss_count >= 10:
                _add_point(state, rate, {})
            if place.batch == count:
                place.epoch, place.batch = place.epoch + 1, 0
            yield place.step, metrics
            if place.is_done:
                return
    place.is_done = True


def count_steps(batches: Sequence[Sequence[int]], accumulation: int) -> int:
    """Steps of an epoch of these batches."""
    return -(-len(batches) // accumulation)


def _learn(course: Course, state: RunState, group: Sequence[Sequence[int]], total: int, peers: Peers) -> tuple[float, float]:
    """One step on the examples of all batches of `group`, each counting alike. Returns loss and learning rate."""
    config = course.config
    state.module.train()
    peers.reseed(config.seed, state.place.step)
    value, rows = 0.0, sum(map(len, group))
    for batch in group:
        own = peers.share(batch)
        part = len(batch) / rows * _part(course, own, batch)
        if part:
            loss = course.loss(state.module, own)
            value += float(loss.detach()) * part
            (loss if part == 1 else loss * part).backward()  # type: ignore[no-untyped-call]
    value = peers.total(value)
    _check_finite(value, state)
    factor = rate_factor(config.schedule, state.place.step, total, config.warmup)
    state.masters.step(factor, check=lambda norm: _check_finite(norm, state), add=peers.add_gradients)
    if state.average:
        state.average.update(state.masters.masters)
    return value, config.rate * factor


def _part(course: Course, own: Sequence[int], batch: Sequence[int]) -> float:
    """How much of a batch's loss these rows of it are."""
    if len(own) == len(batch):
        return 1.0
    assert isinstance(course, Divided), "others have no peers"
    whole = course.weight(batch)
    return course.weight(own) / whole if own and whole else 0.0


def _check_finite(value: float, state: RunState) -> None:
    if not math.isfinite(value):
        raise EngineFailed("diverged", value=str(value), step=state.place.step + 1)


def _evaluate(course: Course, state: RunState, rate: float, peers: Peers) -> dict[str, float]:
    """Judge the candidate weights on the validation examples and remember them when they are the best so far."""
    config, place = course.config, state.place
    with state.masters.borrowed(state.candidate):
        found = peers.first(course.judge)
    _add_point(state, rate, found)
    value = -found["loss"] if config.metric == "loss" else found[config.metric]
    if place.best is None or value > place.best:
        place.best, place.best_step, place.stale = value, place.step, 0
        state.keep_best()
    else:
        place.stale += 1
    if config.patience and place.stale >= config.patience:
        place.is_done = True
    return {f"validation_{name}": figure for name, figure in found.items()}


def _add_point(state: RunState, rate: float, validation: dict[str, float]) -> None:
    place = state.place
    place.history.append(Point(place.step, place.loss_sum / max(1, place.loss_count), rate, validation))
    place.loss_sum, place.loss_count = 0.0, 0
