"""What can be explained of a text that a network wrote: how likely it still finds it, or how much of it it still writes.

How likely: the mean natural logarithm of the chances of the tokens of the answer, one behind the other, as the network itself has them: of
constraints, penalties and temperature nothing is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from hanlin.generation import GenerationSettings
from hanlin.tasks.chat import Message
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.explaining import Computed, Explaining, OfTexts, Part, Target, checked
from hanlin.tasks.sequences import written
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text_likeness import TEXTS

if TYPE_CHECKING:
    from hanlin.tasks.base import TaskRequest
    from hanlin.tasks.continuations import Judged
    from hanlin.tasks.text_generation import GenerationOptions

_WRITTEN, _REWRITTEN, _READ = "written", "rewritten", "read"


class WrittenTargets(OfTexts):
    """Kinds: `written`, how likely the answer is; `rewritten`, how like it is what is written now, 0 to 1 (`TextLikeness`, of tokens).

    What was written in pieces is `rewritten`. So may a method have any `written` target, by `replace(target, kind="rewritten")`, on an
    engine that tells no chances. See `Explaining`.

    Args:
        reads: whether the network reads its answer behind the row itself, so that it is looked at in one step.
    """

    def __init__(self, *, reads: bool = False) -> None:
        self._reads = reads

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`: nothing was written, nothing is explained."""
        ids = written(found.outputs)[0].ids
        kind = _REWRITTEN if found.encoded.windows else _WRITTEN
        score = 1.0 if kind == _REWRITTEN else None
        return [Target(kind, _name(found, ids), score, reference=tuple(map(float, ids)))] if ids else []

    def rows(self, target: Target, encoded: Encoded, spec: ModelSpec) -> Encoded:
        """See `Explaining.rows`: the row with the answer behind it, or with an answer that it has to write."""
        if target.kind != _WRITTEN:
            return encoded
        assert len(encoded.rows) == 1 and encoded.generation is not None, "one row that writes"
        (row,), (settings,), ids = encoded.rows, encoded.generation, tuple(map(int, target.reference))
        plain = GenerationSettings(stop_ids=(), adapter=settings.adapter)
        if self._reads:
            return replace(encoded, rows=[[*row, *ids]], generation=[replace(plain, reads=True)])
        return replace(encoded, generation=[replace(plain, prefix=ids, max_new_tokens=len(ids), tells=True)])

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`."""
        (now, *_), ids = written(found.outputs), target.reference
        if target.kind == _REWRITTEN:
            return _common(now.ids, ids)
        return checked(float(np.mean([token.log for token in now.seen[-len(ids) :]])))


class QueryTargets(WrittenTargets):
    """Of queries. Their tokens point to the values that the question names, so that `written` tells of the form alone: what is pointed
    to goes with its word, and others move up. So each query is `rewritten` as well, by its letters: values stand in those.
    """

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`."""
        sql = _sql(found)
        return [*super().targets(found), Target(_REWRITTEN, sql, 1.0, reference=_letters(sql))]

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`."""
        is_text = target.kind == _REWRITTEN
        return _common(_letters(_sql(found)), target.reference) if is_text else super().score(target, found)


class ContinuedTargets(WrittenTargets):
    """Of texts and talks that are continued; besides: kind `read`, how likely the tokens of a call are that count and is only read."""

    beside = ("talks",)
    whole = {"count": 1}  # noqa: RUF012 - never written to

    def __init__(self) -> None:
        super().__init__(reads=True)

    def parts(self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec) -> tuple[Part, ...]:
        """See `Explaining.parts`: of a talk the words of each message; those that are judged are fixed."""
        if (talk := _talk(request)) is None:
            return super().parts(request, encoder, spec)
        is_read = _options(request).is_read
        return tuple(Part(message.role, message.content, is_read and message.role == "assistant") for message in talk)

    def with_texts(self, request: TaskRequest, texts: Sequence[str]) -> TaskRequest:
        """See `Explaining.with_texts`."""
        if (talk := _talk(request)) is None:
            return super().with_texts(request, texts)
        told = tuple(message._replace(content=text) for message, text in zip(talk, texts, strict=True))
        words = "\n".join(text for message in told for text in message.texts)
        return replace(request, texts=(words,), options=replace(_options(request), talks=(told,)))

    def stand_in(self, encoder: TextEncoder, spec: ModelSpec) -> str:
        """See `Explaining.stand_in`: in talks nothing is read as a special token."""
        return ""

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`."""
        return [Target(_READ, _READ, self._read(found))] if _options(found.request).is_read else super().targets(found)

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`."""
        return checked(self._read(found)) if target.kind == _READ else super().score(target, found)

    def _read(self, found: Computed) -> float:
        judged = cast("list[Judged]", found.decoded)[0]
        return float(np.mean([token.log for token in judged.seen]))


@dataclass(frozen=True, slots=True)
class PromptedTargets:
    """Of a version that is asked for its task by a prompt: the task's own parts, of which the network writes. See `Explaining`."""

    own: Explaining

    def alone(self, request: TaskRequest) -> list[TaskRequest]:
        """See `Explaining.alone`."""
        return self.own.alone(request)

    def parts(self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec) -> tuple[Part, ...]:
        """See `Explaining.parts`."""
        return self.own.parts(request, encoder, spec)

    def with_texts(self, request: TaskRequest, texts: Sequence[str]) -> TaskRequest:
        """See `Explaining.with_texts`."""
        return self.own.with_texts(request, texts)

    def stand_in(self, encoder: TextEncoder, spec: ModelSpec) -> str:
        """See `Explaining.stand_in`: in prompts nothing is read as a special token."""
        return ""

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`."""
        return _READING.targets(found)

    def rows(self, target: Target, encoded: Encoded, spec: ModelSpec) -> Encoded:
        """See `Explaining.rows`."""
        return _READING.rows(target, encoded, spec)

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`."""
        return _READING.score(target, found)


def _name(found: Computed, ids: Sequence[int]) -> str:
    return found.encoded.spell(ids).strip() if found.encoded.spell is not None else _sql(found)


def _sql(found: Computed) -> str:
    return str(found.answer["sql"])


def _letters(text: str) -> tuple[float, ...]:
    return tuple(float(ord(letter)) for letter in text)


def _common(now: Sequence[float], then: Sequence[float]) -> float:
    """How much two rows of tokens, or of letters, have in common."""
    return 1 - float(TEXTS.differ(np.array([now], dtype=np.float64), np.array([then]))[0])


def _options(request: TaskRequest) -> GenerationOptions:
    return cast("GenerationOptions", request.options)


def _talk(request: TaskRequest) -> tuple[Message, ...] | None:
    return _options(request).talks[0]


_READING = WrittenTargets(reads=True)
WRITTEN_TARGETS, QUERY_TARGETS, CONTINUED_TARGETS = WrittenTargets(), QueryTargets(), ContinuedTargets()
