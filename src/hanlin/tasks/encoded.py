"""What becomes of the texts of a request: rows of token ids, and what their tokens stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hanlin.generation import GenerationSettings
from hanlin.tasks.alignment import Span
from hanlin.tasks.windows import Window, check_windows
from hanlin.types import JsonObject

if TYPE_CHECKING:
    from hanlin.tasks.documents import Passage


@dataclass(frozen=True, slots=True)
class Marks:
    """What the tokens of a row stand for.

    Attributes:
        text: as it was sent; None where token ids were.
        spans: characters of it, for each token; None for special tokens.
        words: number of the word that each token is a part of.
    """

    text: str | None
    spans: list[Span | None]
    words: list[int | None]


@dataclass(frozen=True, slots=True)
class Telling:
    """How the tokens of a row that is written are told.

    Attributes:
        spell: the text of ids.
        special: names of the tokens that `spell` leaves out, where each token is told of.
        stops: words that end the answer.
        beside: what every piece of the answer tells, such as the form of its calls of tools.
    """

    spell: Callable[[Sequence[int]], str]
    special: Mapping[int, str] = field(default_factory=dict)
    stops: tuple[str, ...] = ()
    beside: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as the engine takes them: a row each, but for a text in windows, which has one a window, beside each other.

    Args:
        cut: indices of the texts that lost their end.
        windows: those of each text that has more than one, by its index.
        types: token types beside the rows, for a model that reads pairs.
        marks: what the tokens of each text stand for in it, windows or not, where the task points into texts.
        texts: which text each row is of, where a text has several beside each other that are no windows.
        with_tokens: whether the vectors of tokens are wanted instead of the texts'; there are no windows then.
        spell: the text of ids, for a model whose answers are tokens.
        tellings: of each row, where rows differ in how they are told.
        counted: of texts that are only read, which of their tokens from the second on count; sizes: the bytes that those say.
        choices: ids among which a hidden token is looked for, for a model that says what is hidden.
        hidden: the token that was hidden in each row, where it was not the caller who did.
        passages: what stands in the prompt of each row, where answers cite it.
        generation: how each row is written, for a model that writes; all with the same number of beams.
    """

    rows: list[list[int]]
    cut: tuple[int, ...] = ()
    windows: Mapping[int, tuple[Window, ...]] = field(default_factory=dict)
    types: list[list[int]] | None = None
    marks: list[Marks] | None = None
    texts: list[int] | None = None
    with_tokens: bool = False
    generation: list[GenerationSettings] | None = None
    spell: Callable[[Sequence[int]], str] | None = None
    tellings: Sequence[Telling] = ()
    counted: list[list[bool]] | None = None
    sizes: list[int] | None = None
    choices: Sequence[int] = ()
    hidden: Sequence[int] = ()
    passages: Sequence[Sequence[Passage]] = ()

    @property
    def costs(self) -> list[int]:
        """Tokens that each row takes of a batch: its own, and those that may be written for it, by every beam."""
        if self.generation is None:
            return [len(row) for row in self.rows]
        written = [0 if each.reads else each.max_new_tokens * each.num_beams for each in self.generation]
        return [len(row) + more for row, more in zip(self.rows, written, strict=True)]

    @property
    def kind(self) -> int:
        """Rows of different kinds cannot share a batch: their number of beams."""
        return self.generation[0].num_beams - 1 if self.generation else 0


def in_a_row(parts: Sequence[Encoded], max_windows: int | None) -> Encoded:
    """Texts that were encoded one by one, together. Raises InvalidInput (`too_many_windows`)."""
    windows = {index: part.windows[0] for index, part in enumerate(parts) if part.windows}
    check_windows(windows, max_windows)
    rows = [row for part in parts for row in part.rows]
    types = [kinds for part in parts for kinds in part.types or [[0] * len(row) for row in part.rows]]
    return Encoded(rows, tuple(index for index, part in enumerate(parts) if part.cut), windows, types=types)
