"""From an artifact folder to something that answers: spec, task, encoder, engine, and warm steps of realistic shapes.

Imports only what the chosen engine needs: no torch for ONNX Runtime or OpenVINO.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np

from hanlin.engines.base import ENGINES, Floats, Ids, Session, WritingSession, max_batch_rows
from hanlin.engines.sharing import Seat, SharedSession, load_shared
from hanlin.engines.streams import AUTO, Streams, load_with_streams
from hanlin.errors import EngineFailed, HanlinError, InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.networks.head import Head
from hanlin.serving import confinement
from hanlin.serving.bases import Bases, SharedBase, Standing
from hanlin.serving.loaded import Loaded
from hanlin.serving.wire import ReplicaInfo
from hanlin.tasks.base import TASKS, Limits
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.padding import pad
from hanlin.tasks.parameters import describe_call
from hanlin.tasks.spec import ModelSpec

# What is alone, and what fills a stream, of short to long: what an engine prepares for a shape it then has.
_WARM_SHAPES = ((1, 16), (1, 32), (1, 64), (1, 128), (8, 32), (16, 32), (8, 64), (4, 128), (2, 256))

_WARM_WRITING = ((1, 1), (4, 1), (1, 4))  # rows and beams


def load(folder: Path, variant: str, *, threads: int, limits: Limits, streams: Streams = AUTO) -> Loaded:
    """Load and warm up a variant.

    Raises:
        HanlinError: as the engine, encoder or spec raise it; EngineFailed `warm_up_failed` or `warm_up_not_finite`.
    """
    spec = ModelSpec.load(folder)
    task = TASKS.get(spec.task)
    encoder = TextEncoder.load(folder)
    session = load_with_streams(folder, variant, threads=threads, streams=streams)
    loaded = Loaded(task, spec, encoder, session, max_batch_rows(variant, is_alone=spec.is_alone), limits, variant)
    warm_up(session, encoder, is_batched=loaded.max_batch_rows != 1, has_types=Head.load(folder).has_types)
    return loaded


def load_adapter(folder: Path, variant: str, bases: Bases, key: str, *, threads: int, limits: Limits) -> Standing:
    """Put an adapter on its base, which is loaded when no other stands on it, and warm it up. Raises as `load`."""
    spec = ModelSpec.load(folder)
    task, encoder = TASKS.get(spec.task), TextEncoder.load(folder)
    base, seat = bases.enter(key, lambda: load_shared(folder, variant, threads=threads), folder)
    loaded = Loaded(task, spec, encoder, base.session, max_batch_rows(variant, is_alone=spec.is_alone), limits, variant)
    try:
        _warm_up_seat(base, seat, encoder)
    except BaseException:
        bases.leave(key, base, seat)
        raise
    return Standing(loaded, base, seat)


def _warm_up_seat(base: SharedBase, seat: Seat, encoder: TextEncoder) -> None:
    """The first adapter of a base warms up for all; others show that they answer."""
    session, is_first = base.session, base.num_served == 1
    if isinstance(session, WritingSession):
        _warm_up_writing(session, _warm_row(encoder), adapter=seat.number, shapes=_WARM_WRITING[: None if is_first else 1])
        return
    shapes = _WARM_SHAPES[: None if is_first else 1]
    warm_up(_Seated(session, seat), encoder, is_batched=True, has_types=seat.has_types, shapes=shapes)


class _Seated:
    """A shared base as one of its adapters has it."""

    def __init__(self, session: SharedSession, seat: Seat) -> None:
        self._session, self._seat = session, seat
        self.num_streams, self.step_tokens, self.has_tokens = session.num_streams, session.step_tokens, session.has_tokens

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `Session.run`."""
        numbers = [self._seat.number] * len(input_ids)
        return self._session.run_rows(numbers, input_ids, attention_mask, token_type_ids, with_tokens=with_tokens)

    def close(self) -> None:
        """Nothing of its own to free."""


def prepare(engines: Sequence[str]) -> None:
    """Import what loading a variant of these engines will need, ahead of it. What fails here will be told by `load`."""
    importlib.import_module("tokenizers")
    for name in engines:
        with contextlib.suppress(HanlinError):
            ENGINES.get(name).prepare()


def warm_up(
    session: Session, encoder: TextEncoder, *, is_batched: bool, has_types: bool = False, shapes: Sequence[tuple[int, int]] = _WARM_SHAPES
) -> None:
    """Run short steps so that the first caller does not pay for lazy set-up. Raises EngineFailed as `load` says."""
    row = _warm_row(encoder)
    if isinstance(session, WritingSession):
        _warm_up_writing(session, row)
        return
    with ThreadPoolExecutor(session.num_streams) as pool:  # every stream sets itself up for itself
        for rows, length in shapes:
            filled = (row * (length // len(row) + 1))[: min(length, encoder.max_length)]
            batch = [filled] * (rows if is_batched else 1)
            arrays = pad(batch, encoder.pad_id, [[0] * len(filled)] * len(batch) if has_types else None)
            steps = [pool.submit(session.run, *arrays.values()) for _ in range(session.num_streams)]
            try:
                outputs = [step.result() for step in steps]
            except EngineFailed as error:
                raise EngineFailed("warm_up_failed", details=error.details) from error
            if not all(np.isfinite(values).all() for found in outputs for values in found.values()):
                raise EngineFailed("warm_up_not_finite")


def _warm_row(encoder: TextEncoder) -> list[int]:
    return encoder.encode(["Good morning. 早上好。"], truncate=True)[0]


def _warm_up_writing(
    session: WritingSession, row: list[int], *, adapter: int | None = None, shapes: Sequence[tuple[int, int]] = _WARM_WRITING
) -> None:
    for count, beams in shapes:
        try:
            session.generate([row] * count, [GenerationSettings(max_new_tokens=4, num_beams=beams, adapter=adapter)] * count)
        except EngineFailed as error:
            raise EngineFailed("warm_up_failed", details=error.details) from error
        except InvalidInput as error:
            if error.code != "setting_not_served":  # an engine without beams says so to whoever asks for them
                raise


def describe(loaded: Loaded, *, version: str, variant: str) -> ReplicaInfo:
    """What routes and clients are told about it."""
    return ReplicaInfo(
        version=version,
        variant=variant,
        task=loaded.spec.task,
        labels=loaded.spec.labels,
        dimensions=loaded.spec.vectors.dimensions if loaded.spec.vectors else 0,
        max_length=loaded.spec.max_length,
        max_items=loaded.limits.max_items,
        max_text_bytes=loaded.limits.max_text_bytes,
        languages=loaded.spec.languages,
        example=msgspec.json.encode(loaded.task.example).decode(),
        schema=msgspec.json.encode(describe_call(loaded.task)).decode(),
        protections=confinement.in_force(),
        talks=loaded.spec.chat is not None,
        pairs=loaded.spec.pairs != "none",
    )
