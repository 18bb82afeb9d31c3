"""Asks a session directly, without a server: calls in, answers in their wire form out. Evaluations and certificates stand on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from hanlin.engines.base import REFERENCE, Session, writing
from hanlin.engines.gathering import Found, gather
from hanlin.generation import GenerationSettings
from hanlin.tasks.base import Limits, Task, TaskRequest
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.padding import pad
from hanlin.tasks.sequences import to_arrays
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject, JsonValue

MAX_BATCH_TOKENS = 16_384
CALLS_AT_ONCE = 512  # whose outputs are held together
NO_LIMITS = Limits(max_items=2**31, max_text_bytes=2**31)
Call = tuple[JsonValue, JsonObject]  # inputs and parameters


@dataclass(frozen=True, slots=True)
class Asked:
    """The answers, one a call, and what the network alone took: seconds, and tokens without padding."""

    answers: list[JsonValue]
    seconds: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Questioner:
    """A session with the task and the tokenizer of its model.

    Args:
        max_batch_tokens: of a step, padding included.
        max_rows: of a step, None for no limit.
    """

    session: Session
    task: Task
    spec: ModelSpec
    encoder: TextEncoder
    max_batch_tokens: int = MAX_BATCH_TOKENS
    max_rows: int | None = None

    def ask(self, calls: Sequence[Call], *, on_done: Callable[[int], None] | None = None) -> Asked:
        """Answers every call; rows of different calls share batches.

        Args:
            on_done: told now and then how many calls are answered; raising out of it stops the work.

        Raises:
            InvalidInput: what the task says of a call.
            EngineFailed: `engine_step_failed`, `model_output_invalid`.
        """
        answers: list[JsonValue] = []
        seconds, tokens = 0.0, 0
        for start in range(0, len(calls), CALLS_AT_ONCE):
            requests = [self.task.check(*call, limits=NO_LIMITS) for call in calls[start : start + CALLS_AT_ONCE]]
            encoded = [self.task.encode(request, self.encoder, self.spec) for request in requests]
            began_s = time.perf_counter()
            rows, settings = [row for item in encoded for row in item.rows], _settings(encoded)
            found = self._run(rows, _types(encoded)) if settings is None else self._write(rows, settings, encoded)
            seconds += time.perf_counter() - began_s
            tokens += sum(len(row) for item in encoded for row in item.rows)
            answers += self._answers(requests, encoded, found)
            if on_done:
                on_done(len(answers))
        return Asked(answers, seconds, tokens)

    def _run(self, rows: list[list[int]], types: list[list[int]] | None) -> list[Found | None]:
        found: list[Found | None] = [None] * len(rows)
        for batch in by_length([len(row) for row in rows], max_tokens=self.max_batch_tokens, max_rows=self.max_rows):
            kinds = [types[index] for index in batch] if types is not None else None
            outputs = self.session.run(*pad([rows[index] for index in batch], self.spec.pad_id, kinds).values())
            for place, index in enumerate(batch):
                found[index] = (outputs, place)
        return found

    def _write(self, rows: list[list[int]], settings: list[GenerationSettings], encoded: list[Encoded]) -> list[Found | None]:
        session = writing(self.session, REFERENCE)
        found: list[Found | None] = [None] * len(rows)
        costs = [cost for item in encoded for cost in item.costs]
        for width in sorted({each.num_beams for each in settings}):
            own = [index for index, each in enumerate(settings) if each.num_beams == width]
            for batch in by_length([costs[index] for index in own], max_tokens=self.max_batch_tokens):
                places = [own[number] for number in batch]
                outputs = to_arrays(session.generate([rows[index] for index in places], [settings[index] for index in places]))
                for place, index in enumerate(places):
                    found[index] = (outputs, place)
        return found

    def _answers(self, requests: list[TaskRequest], encoded: list[Encoded], found: list[Found | None]) -> list[JsonValue]:
        answers: list[JsonValue] = []
        start = 0
        for request, item in zip(requests, encoded, strict=True):
            own = found[start : start + len(item.rows)]
            start += len(item.rows)
            decoded = self.task.decode(gather(self.task, item, own), self.spec, request.options, item)
            answers.append(msgspec.json.decode(msgspec.json.encode(self.task.answer(decoded, request))))
        return answers


def by_length(lengths: Sequence[int], *, max_tokens: int, max_rows: int | None = None) -> list[list[int]]:
    """Indices of rows in batches: by length, each batch at most `max_tokens` padded tokens (a longer row runs alone)."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        batch = batches[-1] if batches else None
        is_full = batch is None or (len(batch) + 1) * lengths[index] > max_tokens or (max_rows is not None and len(batch) >= max_rows)
        if is_full or batch is None:
            batches.append([index])
        else:
            batch.append(index)
    return batches


def _types(encoded: list[Encoded]) -> list[list[int]] | None:
    if not encoded or encoded[0].types is None:
        return None
    return [types for item in encoded for types in item.types or ()]


def _settings(encoded: list[Encoded]) -> list[GenerationSettings] | None:
    if not encoded or encoded[0].generation is None:
        return None
    return [each for item in encoded for each in item.generation or ()]
