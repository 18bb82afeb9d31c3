"""Adapters that share a base that writes: as in `shared`, but each row of the running batch names the adapter that writes it.

Belongs to the worker's event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hanlin.serving.answering import Answering, Work
from hanlin.serving.generation_queue import GenerationQueue
from hanlin.serving.shared import AdapterAnswering, AdapterReplica, Numbering
from hanlin.serving.wire import Call
from hanlin.tasks.base import TaskRequest
from hanlin.tasks.encoded import Encoded


class SharedGenerationQueue(Numbering, GenerationQueue):
    """Queue and engine of a base that writes. Nobody calls it; the fronts before it do."""


class WritingAnswering(AdapterAnswering):
    """Answers with sequences, which are the adapter's own as they are."""

    def answer(self, done: Sequence[Work]) -> None:
        """See `Answering.answer`. What ran in a step counts now; what was written token by token was counted meanwhile."""
        for work in done:
            if work.step is not None:
                self.count(work)
        Answering.answer(self, done)

    def charge(self, tokens: int, seconds: float) -> None:
        """See `Answering.charge`: its part of the turns that it shared."""
        self.counters.steps += tokens
        self.counters.engine_s += seconds


class WritingReplica(AdapterReplica):
    """One adapter that writes: what callers meet."""

    answering = WritingAnswering

    def encode(self, call: Call, request: TaskRequest) -> Encoded:
        """See `Replica.encode`. Every row names its adapter."""
        encoded = super().encode(call, request)
        if encoded.generation is None:
            return encoded
        return replace(encoded, generation=[replace(each, adapter=self.seat.number) for each in encoded.generation])
