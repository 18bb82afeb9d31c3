"""The hook of explanations: what of a request can be hidden, what of its answer can be explained, and how much of that is left.

A method of explanations hides units of texts and sees how the score of a target changes, or follows the slope of the score back to the
tokens. It knows no task, and none is here:

    hook = explaining_of(task, spec)
    request = hook.alone(task.check(inputs, parameters, limits=limits))[0]
    found = Computed(task, request, encoded, outputs, spec)         # as for an answer
    target = hook.targets(found)[0]
    hidden = hide(hook, request, [Place(0, 4, 9)], encoder, spec)
    encoded = hook.rows(target, task.encode(hidden.request, encoder, spec), spec)
    left = hook.score(hidden.moved(target), Computed(task, hidden.request, encoded, outputs, spec))
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks.alignment import Span
from hanlin.tasks.base import Task, TaskRequest
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.hidden_tokens import MASKS
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import ids_of

NOTHING = "…"  # what a text says of which all words are hidden and nothing stands in for them: an empty one is refused


class Place(NamedTuple):
    """Characters `start` to `end` (exclusive) of a part of a request, by its number."""

    part: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Part:
    """One text of a request.

    Attributes:
        name: what it is to the task: `text`, `text_pair`, `query`, `question`, `context`, `document`, the role of a message.
        is_fixed: nothing of it is hidden: what the others are held against.
        kept: characters that are never hidden, such as a mask that is to be filled.
    """

    name: str
    text: str
    is_fixed: bool = False
    kept: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """Something of an answer that can be explained, named so that it is found again when rows have moved.

    Attributes:
        kind: such as `label`, `entity`, `role`, `answer`, `written`; each hook says which it has.
        name: a class, the name of an entity or slot, a role, a token, what was written.
        score: as the answer tells it; None: the answer does not, hiding nothing does.
        places: the characters that it is about: an entity's; of a role its predicate's, then its own.
        reference: the numbers that it is held against: ids that were written, the vector of the text.
    """

    kind: str
    name: str
    score: float | None
    places: tuple[Place, ...] = ()
    reference: tuple[float, ...] = ()


@dataclass(frozen=True)
class Computed:
    """A request of one item, and what the network made of its rows.

    Attributes:
        outputs: as `Task.decode` takes them.
    """

    task: Task
    request: TaskRequest
    encoded: Encoded
    outputs: Mapping[str, npt.NDArray[np.floating]]
    spec: ModelSpec

    @cached_property
    def decoded(self) -> Any:
        """See `Task.decode`. Raises EngineFailed (`model_output_invalid`)."""
        return self.task.decode(self.outputs, self.spec, self.request.options, self.encoded)

    @cached_property
    def answer(self) -> Any:
        """See `Task.answer`: JSON values. Raises as `decoded`."""
        return msgspec.json.decode(msgspec.json.encode(self.task.answer(self.decoded, self.request)))


class Explaining(Protocol):
    """What a task says of explanations. Implementations hold no state and are safe on any thread.

    All methods but `alone` are of requests with one item.
    """

    def alone(self, request: TaskRequest) -> list[TaskRequest]:
        """A request for each item that is answered by itself, with all that the task can answer of it."""
        ...

    def parts(self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec) -> tuple[Part, ...]:
        """The texts of the request, in an order of the task's own. Raises InvalidInput (`token_ids_not_explained`)."""
        ...

    def with_texts(self, request: TaskRequest, texts: Sequence[str]) -> TaskRequest:
        """The same request with other texts in its parts, in their order; those of fixed parts are the same."""
        ...

    def stand_in(self, encoder: TextEncoder, spec: ModelSpec) -> str:
        """What stands where something is hidden: the text of the model's mask; empty: characters are removed."""
        ...

    def targets(self, found: Computed) -> list[Target]:
        """What can be explained of the answer, in its order; nothing for calls whose answer decides nothing."""
        ...

    def rows(self, target: Target, encoded: Encoded, spec: ModelSpec) -> Encoded:
        """The rows that tell the score of a target, out of those that the request has for an answer."""
        ...

    def score(self, target: Target, found: Computed) -> float:
        """How much of the target is in the outputs of `rows`; of what stands nowhere any more 0.

        Where nothing is hidden, the score of the answer. While the target stays, it depends on the outputs alone, and without leaps where
        they decide the same: its slope with regard to them is what gradients begin with.

        Args:
            target: with its places in the texts of `found`.

        Raises:
            EngineFailed: `model_output_invalid`.
        """
        ...


class OfTexts:
    """What tasks have in common that answer each text by itself; see `Explaining` for all methods.

    Attributes:
        name: of the one part.
        beside: options that have a value an item.
        whole: options of a call that wants all that there is.
    """

    name = "text"
    beside: tuple[str, ...] = ()
    whole: Mapping[str, Any] = {}

    def alone(self, request: TaskRequest) -> list[TaskRequest]:  # noqa: D102
        found: list[TaskRequest] = []
        for at, text in enumerate(request.texts):
            own: dict[str, Any] = {name: (values[at],) for name in self.beside if (values := getattr(request.options, name))}
            found.append(TaskRequest((text,), True, replace(request.options, **self.whole, **own)))
        return found

    def parts(self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec) -> tuple[Part, ...]:  # noqa: D102
        return (Part(self.name, text_of(request, 0)),)

    def with_texts(self, request: TaskRequest, texts: Sequence[str]) -> TaskRequest:  # noqa: D102
        return replace(request, texts=(*texts, *request.texts[len(texts) :]))

    def stand_in(self, encoder: TextEncoder, spec: ModelSpec) -> str:  # noqa: D102
        return mask_of(encoder)

    def rows(self, target: Target, encoded: Encoded, spec: ModelSpec) -> Encoded:  # noqa: D102
        return encoded


@dataclass(frozen=True, slots=True)
class Hidden:
    """A request of which something is hidden.

    Attributes:
        pieces: what is hidden, in order, each with what stands in for it.
    """

    request: TaskRequest
    pieces: tuple[tuple[Place, str], ...]

    def moved(self, target: Target) -> Target:
        """The target with its places in the texts of `request`; empty ones for what was removed."""
        return replace(target, places=tuple(map(self._moved, target.places)))

    def _moved(self, place: Place) -> Place:
        own = [(piece, stand_in) for piece, stand_in in self.pieces if piece.part == place.part]
        start, end = place.start, place.end
        for piece, stand_in in own:
            grown = len(stand_in) - (piece.end - piece.start)
            if piece.end <= place.start:
                start += grown
            elif piece.start < place.start:  # it begins within: at what stands in
                start += piece.start - place.start
            if piece.end <= place.end:
                end += grown
            elif piece.start < place.end:  # it ends within: behind what stands in
                end += piece.start + len(stand_in) - place.end
        return Place(place.part, start, max(start, end))


def hide(hook: Explaining, request: TaskRequest, hidden: Sequence[Place], encoder: TextEncoder, spec: ModelSpec) -> Hidden:
    """The request without these places, which do not overlap and lie in what its parts let be hidden."""
    stand_in, parts = hook.stand_in(encoder, spec), hook.parts(request, encoder, spec)
    pieces: list[tuple[Place, str]] = []
    texts: list[str] = []
    for number, part in enumerate(parts):
        own = sorted(place for place in hidden if place.part == number)
        assert not (own and part.is_fixed), "a fixed part stays whole"
        assert all(place.end <= start or place.start >= end for place in own for start, end in part.kept), "kept characters stay"
        told = [(place, stand_in) for place in own]
        text = _replaced(part.text, told)
        if told and not any(letter.isalnum() for letter in text):
            told[0] = (told[0][0], NOTHING)
            text = _replaced(part.text, told)
        pieces += told
        texts.append(text)
    return Hidden(hook.with_texts(request, texts), tuple(pieces))


def _replaced(text: str, pieces: Sequence[tuple[Place, str]]) -> str:
    found: list[str] = []
    done = 0
    for place, stand_in in pieces:
        assert done <= place.start < place.end <= len(text), "places of the text, in order"
        found += (text[done : place.start], stand_in)
        done = place.end
    return "".join((*found, text[done:]))


def text_of(request: TaskRequest, index: int) -> str:
    """A text of the request. Raises InvalidInput (`token_ids_not_explained`)."""
    text = request.texts[index]
    if not isinstance(text, str):
        raise InvalidInput("token_ids_not_explained", index=index)
    return text


def mask_of(encoder: TextEncoder) -> str:
    """The text of the tokenizer's mask, where it is read as one; else nothing."""
    for word in MASKS:
        token = encoder.tokenizer.token_to_id(word)
        if token is not None and token in ids_of(encoder.tokenizer, [encoder.text.prepare(word)])[0]:
            return word
    return ""


def checked(score: float) -> float:
    """The score itself. Raises EngineFailed (`model_output_invalid`) for one that is no number."""
    if not math.isfinite(score):
        raise EngineFailed("model_output_invalid", details="NaN or infinity where a score is read")
    return float(score)
