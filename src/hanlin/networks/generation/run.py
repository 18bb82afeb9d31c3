"""The loop of writing: the network scores, a search chooses, until every row has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import nn

from hanlin.generation import Generated, GenerationSettings
from hanlin.networks.decoder import CausalDecoder
from hanlin.networks.generation.adapted import for_rows
from hanlin.networks.generation.beams import BeamSearch
from hanlin.networks.generation.form import Form
from hanlin.networks.generation.limits import Row
from hanlin.networks.generation.own import OwnCausal, OwnRecurrent, OwnSeq2Seq
from hanlin.networks.generation.pretrained import PretrainedCausal, PretrainedSeq2Seq
from hanlin.networks.generation.protocol import StepModel
from hanlin.networks.generation.reading import read
from hanlin.networks.generation.tokens import TokenSearch
from hanlin.networks.recurrent_decoder import RecurrentDecoder
from hanlin.networks.seq2seq import EncoderDecoder


def step_model(module: nn.Module) -> StepModel:
    """How to write with a network of ours or of transformers, in eval mode."""
    if isinstance(module, CausalDecoder):
        return OwnCausal(module)
    if isinstance(module, RecurrentDecoder):
        return OwnRecurrent(module)
    if isinstance(module, EncoderDecoder):
        return OwnSeq2Seq(module)
    is_seq2seq = getattr(module.config, "is_encoder_decoder", False)
    return PretrainedSeq2Seq(module) if is_seq2seq else PretrainedCausal(module)


@torch.inference_mode()
def generate(
    model: StepModel, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], *,
    is_wanted: Callable[[int], bool] = lambda number: True, forms: Mapping[int, Form] | None = None,
) -> list[Generated]:  # fmt: skip
    """What the network writes for each row, as it would alone.

    Args:
        rows: ids, at least one each.
        settings: of each row; all with the same `num_beams`.
        is_wanted: asked between steps whether the row of a number still is; one that is not ends there.
        forms: of the rows whose settings have a constraint, by number.

    Raises:
        RuntimeError: the network's scores are not finite.
        InvalidInput: `constraint_refused`: a form takes too much work.
    """
    if any(each.reads for each in settings):
        return _read_and_write(model, rows, settings, is_wanted, forms or {})
    made = forms or {}
    told = [row_of(model, number, row, each, made.get(number)) for number, (row, each) in enumerate(zip(rows, settings, strict=True))]
    done = {row.number: Generated((), "length") for row in told if row.room <= 0}
    open_rows = [row for row in told if row.room > 0]
    if not open_rows:
        return [done[number] for number in range(len(rows))]
    width = open_rows[0].settings.num_beams
    assert all(row.settings.num_beams == width for row in open_rows), "rows with different numbers of beams"
    search = TokenSearch(open_rows) if width == 1 else BeamSearch(open_rows)
    writing, scores = for_rows(model, [row.settings for row in open_rows]).begin([rows[row.number] for row in open_rows])
    if width > 1:
        spread = torch.arange(len(open_rows)).repeat_interleave(width)
        writing = writing.pick(spread)
        scores = scores[spread]
    while True:
        places, tokens = search.advance(scores, is_wanted)
        if not places:
            return [(done | search.done)[number] for number in range(len(rows))]
        if places != list(range(len(scores))):
            writing = writing.pick(torch.tensor(places))
        scores = writing.feed(torch.tensor(tokens)[:, None])


def _read_and_write(
    model: StepModel, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], is_wanted: Callable[[int], bool],
    forms: Mapping[int, Form],
) -> list[Generated]:  # fmt: skip
    """Rows that are only read, and those beside them that are continued."""
    kinds: dict[bool, list[int]] = {True: [], False: []}
    for number, each in enumerate(settings):
        kinds[each.reads].append(number)
    found: dict[int, Generated] = {}
    for reads, numbers in kinds.items():
        if numbers:
            part = ([rows[number] for number in numbers], [settings[number] for number in numbers])
            wanted = partial(_wanted, is_wanted, numbers)
            own = {place: forms[number] for place, number in enumerate(numbers) if number in forms}
            done = read(model, *part, wanted) if reads else generate(model, *part, is_wanted=wanted, forms=own)
            found |= dict(zip(numbers, done, strict=True))
    return [found[number] for number in range(len(rows))]


def _wanted(is_wanted: Callable[[int], bool], numbers: Sequence[int], place: int) -> bool:
    return is_wanted(numbers[place])


def row_of(model: StepModel, number: int, row: Sequence[int], settings: GenerationSettings, form: Form | None) -> Row:
    """What is to be written for a row of ids."""
    stops = model.stop_ids if settings.stop_ids is None else settings.stop_ids
    assert settings.grammar is None or stops, "a grammar needs a token that ends its forms"
    assert settings.constraint is None or form is not None, "a constraint needs its form"
    room = model.room(row)
    most = settings.max_new_tokens if room is None else min(room, settings.max_new_tokens)
    return Row(number, settings, tuple(model.read(row)), frozenset(stops), most, form)
