"""Where the names of points go in a picture: beside their point, covering neither another name nor a point, inside the frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

ROW = 15.0  # height of a name
GAP = 14.0  # between a point and its name
MAX_RINGS = 24


class Box(NamedTuple):
    """Left, top, right, bottom in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """The shared area; 0 when the boxes are apart."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, wide) * max(0.0, high)


def place(points: Sequence[tuple[float, float]], widths: Sequence[float], *, frame: Box, taken: Iterable[Box] = ()) -> list[Box]:
    """One box a point, in the order of `points`: the nearest free place, or the least covered one when nothing is free.

    Args:
        points: their centres; earlier ones have the first choice.
        widths: of the names.
        frame: what no name may leave.
        taken: what no name may cover besides the points.
    """
    obstacles = [*taken, *(Box(x - 8, y - 8, x + 8, y + 8) for x, y in points)]
    found: list[Box] = []
    for (x, y), width in zip(points, widths, strict=True):
        best, least = None, float("inf")
        for box in _places(x, y, width, frame):
            covered = sum(box.overlap(other) for other in obstacles)
            if covered < least:
                best, least = box, covered
            if covered == 0.0:
                break
        assert best is not None, "the first place always counts"
        found.append(best)
        obstacles.append(best)
    return found


def _places(x: float, y: float, width: float, frame: Box) -> Iterator[Box]:
    """Right, left, above and below, then the same farther and farther away; each moved into the frame."""
    for ring in range(MAX_RINGS):
        shift = ring * ROW * 0.6
        for sign in (1, -1) if ring else (1,):
            yield _within(x + GAP, y + sign * shift, width, frame)
            yield _within(x - GAP - width, y + sign * shift, width, frame)
        yield _within(x - width / 2, y - GAP - ROW / 2 - shift, width, frame)
        yield _within(x - width / 2, y + GAP + ROW / 2 + shift, width, frame)


def _within(left: float, middle: float, width: float, frame: Box) -> Box:
    left = max(frame.left, min(left, frame.right - width))
    top = max(frame.top, min(middle - ROW / 2, frame.bottom - ROW))
    return Box(left, top, left + width, top + ROW)
