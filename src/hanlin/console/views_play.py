"""What the playground shows: the answer of an endpoint about one text, and what one that writes is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

WritingKind = Literal["chat", "text"]  # a talk is answered, a text gone on with
Tell = Callable[[bytes], Awaitable[None]]  # a piece of an answer; waits while nobody reads


@dataclass(frozen=True, slots=True)
class WritingCall:
    """What an endpoint is asked to write.

    Attributes:
        body: of OpenAI's chat completions, or of its completions, in JSON; the model is `endpoint` whatever it says.
    """

    endpoint: str
    kind: WritingKind
    body: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text; inside an entity it has a label."""

    text: str
    label: str = ""
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What an endpoint said about one text, times in milliseconds.

    Attributes:
        scores: labels, or the texts of a ranking, by falling score; an answer, and under an empty name that there is none.
        pieces: the text with its entities or its answer, where the task finds them.
        vector: the text's embedding, where the task makes one.
        frames: the text once for each predicate, with its roles, where the task finds them.
        written: the text that the model wrote, where it writes.
        facts: names with values, such as the slots of a meaning.
        place: of the text on the scale of its labels, where they have one.
    """

    scores: tuple[tuple[str, float], ...]
    model: str = ""
    version: int | None = None
    variant: str = ""
    queue_ms: float | None = None
    encode_ms: float | None = None
    engine_ms: float | None = None
    is_truncated: bool = False
    num_windows: int = 1
    pieces: tuple[Piece, ...] = ()
    vector: tuple[float, ...] = ()
    frames: tuple[tuple[Piece, ...], ...] = ()
    written: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    place: float | None = None
