"""How likely rows are to a network that continues them: nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from hanlin.generation import MAX_SCORES, Generated, GenerationSettings, Seen
from hanlin.networks.generation.adapted import for_rows
from hanlin.networks.generation.protocol import StepModel, pad_rows
from hanlin.networks.generation.tokens import finite


def read(
    model: StepModel, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], is_wanted: Callable[[int], bool]
) -> list[Generated]:
    """Each row's tokens as the network sees them coming, whatever it is read beside.

    Args:
        is_wanted: asked between steps, as of `generate`.

    Raises:
        RuntimeError: the network's scores are not finite, or it continues nothing.
    """
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    found: list[Generated] = [Generated((), "cancelled")] * len(rows)
    for numbers in _batches(order, rows, max(1, MAX_SCORES // model.num_tokens)):
        batch = [number for number in numbers if is_wanted(number)]
        seen = _seen(model, [rows[each] for each in batch], [settings[each] for each in batch], lambda place: is_wanted(batch[place]))  # noqa: B023  # called here alone
        for number, tokens in zip(batch, seen, strict=True):
            if tokens is not None:
                found[number] = Generated((), "stop", sum(token.log for token in tokens), tuple(tokens))
    return found


def _batches(order: Sequence[int], rows: Sequence[Sequence[int]], room: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for number in order:
        if batch and (len(batch) + 1) * len(rows[number]) > room:
            yield batch
            batch = []
        batch.append(number)
    yield batch


def _seen(
    model: StepModel, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], is_wanted: Callable[[int], bool]
) -> list[list[Seen] | None]:
    """Filled on the right: no token sees what stands behind it. None for rows, by their places, that nobody wants any more."""
    if not rows:
        return []
    ids = torch.tensor(pad_rows(rows, 0, is_left=False)[0])
    seen: list[list[Seen]] = [[] for _ in rows]
    wanted = set(range(len(rows)))
    piece = max(1, MAX_SCORES // (len(rows) * model.num_tokens))
    start = 1
    for scores in for_rows(model, settings).scan(ids[:, :-1], piece) if ids.shape[1] > 1 else ():
        logs = scores.float().log_softmax(-1)
        for place, (row, each) in enumerate(zip(rows, settings, strict=True)):
            own = ids[place, start : min(start + logs.shape[1], len(row))]
            seen[place] += _row(logs[place, : len(own)], own, each.likeliest)
        start += logs.shape[1]
        wanted = {place for place in wanted if is_wanted(place)}
        if not wanted:
            break
    return [own if place in wanted else None for place, own in enumerate(seen)]


def _row(logs: Tensor, own: Tensor, count: int) -> list[Seen]:
    """logs (tokens, vocabulary), own (tokens,)."""
    chances = logs.gather(1, own[:, None])[:, 0]
    is_first = (chances >= logs.amax(1)).tolist()
    values, tokens = logs.topk(count, dim=1)
    best = [tuple(zip(*pair, strict=True)) for pair in zip(tokens.tolist(), values.tolist(), strict=True)]
    return [Seen(finite(log), first, likeliest) for log, first, likeliest in zip(chances.tolist(), is_first, best, strict=True)]
