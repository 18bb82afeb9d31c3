"""The `fake` engine: deterministic answers, and on demand delays, crashes and nonsense; for tests and demonstrations.

Its artifact folder may hold `fake.json`:

    {"labels": 2, "dimensions": 0, "tokens": true, "per_token": false, "writes": false, "masks": false, "load_ms": 0, "step_ms": 0,
     "row_ms": 0, "quick_steps": 0,
     "streams": 1, "fail_load": false, "crash_token": null, "fail_token": null, "nan_token": null, "hang_token": null, "hold_token": null,
     "memory_token": null, "refuse_token": null, "max_rows": 0, "room_tokens": null, "is_endless": false, "turn_tokens": 1}

With `dimensions` it answers embeddings, each the mean of its tokens' vectors, which it gives unless `tokens` is false; else logits, with
`per_token` those of each token, with `masks` those of an asked place. The first `quick_steps` steps take no time, such as those that warm
it up. With `writes` it writes each row backwards, or the first form that a grammar knows, taking `step_ms` a token; of a row that it only
reads, chances are made of ids. With `max_rows` it takes so many rows on while others are being written, up to `room_tokens` together, each
turn taking `step_ms` for `turn_tokens` of each; with `is_endless` it writes each row over and over.

A row holding `crash_token` kills the process, `fail_token` raises, `nan_token` answers NaN, `hang_token` does not come back,
nor `hold_token`, which holds Python's lock meanwhile; `memory_token` asks for 4 TiB. Where rows are taken on one by one, that happens when
the token is about to be written, and a row of which `refuse_token` is alone fails. Needs no library but numpy.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hanlin.engines.base import ENGINES, Capabilities, Floats, Ids, check_tokens, load_failed, step_failed
from hanlin.errors import EngineFailed
from hanlin.generation import Delta, FinishReason, Generated, GenerationSettings, Grammar, Seen
from hanlin.networks.head import TOKENS

_HANG_S = 600  # as good as for ever, and yet no process of a broken test stays for ever


@dataclass(frozen=True, slots=True)
class FakeBehaviour:
    """What `fake.json` says; times in milliseconds."""

    labels: int = 2
    dimensions: int = 0
    tokens: bool = True
    per_token: bool = False
    writes: bool = False
    masks: bool = False
    load_ms: float = 0
    step_ms: float = 0
    row_ms: float = 0
    quick_steps: int = 0
    streams: int = 1
    fail_load: bool = False
    crash_token: int | None = None
    fail_token: int | None = None
    nan_token: int | None = None
    hang_token: int | None = None
    hold_token: int | None = None
    memory_token: int | None = None
    refuse_token: int | None = None
    max_rows: int = 0
    room_tokens: int | None = None
    is_endless: bool = False
    turn_tokens: int = 1

    @classmethod
    def read(cls, folder: Path) -> FakeBehaviour:
        """Behaviour of the folder; the label count falls back to `hanlin.json`."""
        path = folder / "fake.json"
        values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if "labels" not in values and (folder / "hanlin.json").is_file():
            values["labels"] = len(json.loads((folder / "hanlin.json").read_text(encoding="utf-8")).get("labels", [])) or 2
        if unknown := set(values) - {f.name for f in fields(cls)}:
            raise load_failed("fake-fp32", f"fake.json has unknown keys: {sorted(unknown)}")
        return cls(**values)


class FakeSession:
    """Floats are a function of a row's own valid tokens only, so padding and neighbours cannot matter."""

    step_tokens: int | None = None

    def __init__(self, behaviour: FakeBehaviour) -> None:
        self._behaviour = behaviour
        self._steps = itertools.count()
        self.num_streams = behaviour.streams
        self.has_tokens = behaviour.tokens and behaviour.dimensions > 0

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `Session.run`."""
        if with_tokens:
            check_tokens("fake-fp32", has_tokens=self.has_tokens)
        does = self._behaviour
        valid = np.where(attention_mask > 0, input_ids, 0).astype(np.int64)
        self._misbehave(valid)
        if next(self._steps) >= does.quick_steps:
            time.sleep((does.step_ms + does.row_ms * len(valid)) / 1000)
        is_of_rows = not does.dimensions and not does.per_token
        numbers = _numbers(valid.sum(axis=1) if is_of_rows else valid, does.dimensions or does.labels)
        if not does.dimensions:
            return {("mask_logits" if does.masks else "logits") if is_of_rows else "token_logits": self._floats(numbers, valid)}
        lengths = np.maximum(attention_mask.sum(axis=1, keepdims=True), 1)
        found = {"embeddings": self._floats(numbers.sum(axis=1) / lengths, valid)}  # of whole numbers: padding cannot round it otherwise
        return found | {TOKENS: self._floats(numbers, valid)} if with_tokens else found

    def close(self) -> None:
        """Nothing to free."""

    def _floats(self, numbers: npt.NDArray[np.float64] | Ids, valid: Ids) -> Floats:
        values = (numbers / 25.0).astype(np.float32)
        if (token := self._behaviour.nan_token) is not None:
            values[(valid == token).any(axis=1)] = np.nan
        return values

    def _misbehave(self, valid: Ids) -> None:
        does = self._behaviour

        def holds(token: int | None) -> bool:
            return token is not None and bool((valid == token).any())

        if holds(does.crash_token):
            os.kill(os.getpid(), signal.SIGKILL)
        if holds(does.hang_token):
            time.sleep(_HANG_S)
        if holds(does.hold_token):
            ctypes.PyDLL(None).sleep(_HANG_S)
        if holds(does.memory_token):
            np.empty(2**42, dtype=np.uint8)
        if holds(does.fail_token):
            raise step_failed("fake-fp32", RuntimeError("told to fail"))


class FakeWriter(FakeSession):
    """Writes each row backwards; misbehaves as a step does."""

    def generate(
        self, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], *, is_wanted: Callable[[int], bool] = lambda row: True
    ) -> list[Generated]:
        """See `WritingSession.generate`."""
        targets = [[] if each.reads else list(row)[::-1][: each.max_new_tokens] for row, each in zip(rows, settings, strict=True)]
        ends: list[FinishReason] = ["stop" if len(row) == len(target) else "length" for row, target in zip(rows, targets, strict=True)]
        for place, each in enumerate(settings):
            if each.grammar is not None:
                targets[place], ends[place] = _obeying(each.grammar, each), "stop"
        for row in rows:
            self._misbehave(np.array([row], dtype=np.int64))
        for step in range(max(map(len, targets))):
            time.sleep(self._behaviour.step_ms / 1000)
            for place, target in enumerate(targets):
                if step < len(target) and not is_wanted(place):
                    targets[place], ends[place] = target[:step], "cancelled"
        seen = [_seen(row, each) if each.reads else () for row, each in zip(rows, settings, strict=True)]
        return [Generated(tuple(target), end, seen=each) for target, end, each in zip(targets, ends, seen, strict=True)]


@dataclass(slots=True)
class _OpenRow:
    target: Sequence[int]  # all that it will be
    finish: FinishReason
    tells: GenerationSettings
    num_written: int = 0


class FakeStreamer(FakeWriter):
    """Writes what `FakeWriter` does, of all open rows a few tokens a turn."""

    def __init__(self, behaviour: FakeBehaviour) -> None:
        super().__init__(behaviour)
        self.max_rows = behaviour.max_rows
        self.room_tokens = behaviour.room_tokens
        self._open: dict[int, _OpenRow] = {}

    def admit(self, number: int, row: Sequence[int], settings: GenerationSettings) -> None:
        """See `StreamingSession.admit`."""
        assert number not in self._open and len(self._open) < self.max_rows, "no place"
        if settings.grammar is not None:
            self._open[number] = _OpenRow(_obeying(settings.grammar, settings), "stop", settings)
            return
        backwards = list(row)[::-1]
        if self._behaviour.is_endless:
            backwards *= -(-settings.max_new_tokens // len(backwards))
        target = backwards[: settings.max_new_tokens]
        is_whole = len(target) == len(row) and not self._behaviour.is_endless
        self._open[number] = _OpenRow(target, "stop" if is_whole else "length", settings)

    def drop(self, number: int) -> None:
        """See `StreamingSession.drop`."""
        self._open.pop(number, None)

    def turn(self) -> list[Delta]:
        """See `StreamingSession.turn`."""
        if not self._open:
            return []
        time.sleep(self._behaviour.step_ms / 1000)
        try:
            return [self._written(number, row) for number, row in list(self._open.items())]
        except EngineFailed:
            self._open.clear()
            raise

    def _written(self, number: int, row: _OpenRow) -> Delta:
        ids = tuple(row.target[row.num_written : row.num_written + self._behaviour.turn_tokens])
        row.num_written += len(ids)
        if self._behaviour.refuse_token in ids:
            del self._open[number]
            return Delta(number, finish="cancelled", error=step_failed("fake-fp32", RuntimeError("told to refuse")))
        self._misbehave(np.array([ids], dtype=np.int64))
        seen = _seen((0, *ids), row.tells) if row.tells.tells else ()
        if row.num_written < len(row.target):
            return Delta(number, ids, seen=seen, score=-float(len(ids)))
        del self._open[number]
        return Delta(number, ids, row.finish, seen, -float(len(ids)))


def _seen(row: Sequence[int], settings: GenerationSettings) -> tuple[Seen, ...]:
    return tuple(Seen(-(1 + token % 7), token % 2 == 0, ((token, -(1.0 + token % 7)),) * settings.likeliest) for token in row[1:])


def _obeying(grammar: Grammar, settings: GenerationSettings) -> list[int]:
    """A form that the grammar knows: of the tokens that may come always the first."""
    written: list[int] = []
    while len(written) < settings.max_new_tokens:
        allowed = grammar.allowed(written, settings.max_new_tokens - len(written))
        token = min(allowed, default=None) if allowed is not None else None
        if token is None or token in (settings.stop_ids or ()):
            break
        written.append(token)
    return written


def _numbers(of: Ids, count: int) -> Ids:
    """So many small whole numbers made of each id."""
    return np.stack([of * (7 * number + 3) % 101 for number in range(count)], axis=-1)


@ENGINES.register("fake")
class FakeEngine:
    """A stand-in that serves in milliseconds and fails on demand."""

    name = "fake"
    capabilities = Capabilities(precisions=("fp32",), writes=True)

    def is_batch_invariant(self, precision: str) -> bool:
        """Always: see `FakeSession`."""
        return True

    def files(self, precision: str) -> tuple[str, ...]:
        """None."""
        return ()

    def prepare(self) -> None:
        """Nothing to do."""

    def load(self, folder: Path, precision: str, *, threads: int) -> FakeSession:
        """See `Engine.load`."""
        behaviour = FakeBehaviour.read(folder)
        time.sleep(behaviour.load_ms / 1000)
        if behaviour.fail_load:
            raise load_failed("fake-fp32", "told to fail")
        if not behaviour.writes:
            return FakeSession(behaviour)
        return FakeStreamer(behaviour) if behaviour.max_rows else FakeWriter(behaviour)
