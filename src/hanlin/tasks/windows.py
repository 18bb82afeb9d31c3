"""Long texts as overlapping windows: where they are cut, and which tokens are whose. Plain integers; knows no tokenizer and no task.

tokens     0123456789…
window 0   [-------|-]         own tokens up to the middle of the overlap
window 1         [-|-------|-]
window 2                 [-|-------]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hanlin.errors import InvalidInput

MAX_WINDOWS = 64  # of one text
_OVERLAP_SHARE = 4  # neighbours share at least a quarter of a window: about what a sentence needs on both sides


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `start` to `end` (exclusive) of a text, special tokens not counted.

    Its *own* tokens, `own_start` to `own_end`, stand nearer to its middle than to any other window's: every token of a text is
    the own token of exactly one window.

    Args:
        place: where token `start` stands in the window's row: behind special tokens, or a query.
    """

    start: int
    end: int
    own_start: int
    own_end: int
    place: int = 0

    @property
    def num_own(self) -> int:
        """Number of own tokens."""
        return self.own_end - self.own_start


def cut_windows(num_tokens: int, room: int, *, place: int = 0) -> tuple[Window, ...]:
    """The fewest windows of `room` tokens that cover a text of `num_tokens` with enough overlap, spread evenly.

    A text that fits is one window.
    """
    if num_tokens <= room:
        return (Window(0, num_tokens, 0, num_tokens, place),)
    last = num_windows(num_tokens, room) - 1
    starts = [number * (num_tokens - room) // last for number in range(last + 1)]
    borders = [0, *((after + before + room) // 2 for before, after in pairwise(starts)), num_tokens]
    pieces = zip(starts, pairwise(borders), strict=True)
    return tuple(Window(start, start + room, own_start, own_end, place) for start, (own_start, own_end) in pieces)


def windows_by_stride(num_tokens: int, room: int, shared: int, *, place: int = 0) -> tuple[Window, ...]:
    """Windows of `room` tokens, neighbours sharing `shared`; the last ends with the text. Raises InvalidInput (`too_many_windows`)."""
    last = max(0, num_tokens - room)
    starts = [*range(0, last, room - shared), last]
    if len(starts) > MAX_WINDOWS:
        raise InvalidInput("too_many_windows", windows=len(starts), limit=MAX_WINDOWS)
    borders = [0, *((after + before + room) // 2 for before, after in pairwise(starts)), num_tokens]
    return tuple(
        Window(start, min(start + room, num_tokens), *own, place) for start, own in zip(starts, pairwise(borders), strict=True)
    )  # fmt: skip


def num_windows(num_tokens: int, room: int) -> int:
    """How many windows `cut_windows` makes."""
    return 1 + -(-max(0, num_tokens - room) // _step(room))


def max_tokens(room: int) -> int:
    """Tokens of the longest text that `MAX_WINDOWS` windows cover."""
    return room + (MAX_WINDOWS - 1) * _step(room)


def framed(row: list[int], windows: Sequence[Window], num_after: int) -> list[list[int]]:
    """A row for each window of `row`: what stands before its text, the window's tokens, the `num_after` last tokens."""
    place, tail = windows[0].place, row[len(row) - num_after :]
    return [row[:place] + row[place + window.start : place + window.end] + tail for window in windows]


def check_windows(windows: Mapping[int, tuple[Window, ...]], limit: int | None) -> None:
    """Raises InvalidInput (`too_many_windows`) where all texts of a call have more than `limit` together; None: no limit."""
    total = sum(map(len, windows.values()))
    if limit is not None and total > limit:
        raise InvalidInput("too_many_windows", windows=total, limit=limit)


def _step(room: int) -> int:
    return max(1, room - room // _OVERLAP_SHARE)
