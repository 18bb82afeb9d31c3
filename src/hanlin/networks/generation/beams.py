"""Several targets of each row side by side, of which the best is answered.

Source: the vectorised beam search of transformers 5 (`GenerationMixin._beam_search`), whose answers ours are; a row here ends by itself,
whatever its neighbours do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hanlin.generation import FinishReason, Generated
from hanlin.networks.generation.limits import Row, limit
from hanlin.networks.generation.tokens import finite

_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class _Beam:
    written: tuple[int, ...]
    total: float  # of the logarithms of chances; -inf for one that is only there to keep shapes


@dataclass(slots=True)
class _Search:
    """The beams of one row."""

    row: Row
    beams: list[_Beam]
    finished: list[Generated] = field(default_factory=list)  # best first, at most as many as beams
    cut: list[Generated] = field(default_factory=list)  # forms that a grammar could not finish: better than nothing

    @property
    def width(self) -> int:
        return self.row.settings.num_beams

    @property
    def num_candidates(self) -> int:
        """Enough that beams are left over whatever ends: each beam can end once for every stop id."""
        return max(2, 1 + len(self.row.stops)) * self.width

    def take(self, candidates: Sequence[tuple[int, int, float]]) -> tuple[list[int], list[int]] | None:
        """Go one token further.

        Args:
            candidates: (beam, token, total), best first.

        Returns:
            The beam that each new beam comes from and its token; None when the row ends.
        """
        length = len(self.beams[0].written) + 1
        going: list[tuple[int, int, float]] = []
        for rank, (beam, token, total) in enumerate(candidates):
            if total == _NEVER:
                break
            finite(total)
            if token in self.row.stops or length == self.row.room:
                if rank < self.width:
                    self._finish(self.beams[beam].written, token, total)
            elif len(going) < self.width:
                going.append((beam, token, total))
        self.finished = sorted(self.finished, key=lambda done: -done.score)[: self.width]
        if not going or self._is_over(going[0][2], length):
            return None
        going += [(going[0][0], going[0][1], _NEVER)] * (self.width - len(going))
        self.beams = [_Beam((*self.beams[beam].written, token), total) for beam, token, total in going]
        return [beam for beam, _, _ in going], [token for _, token, _ in going]

    def result(self) -> Generated:
        """The best there is."""
        best = self.finished or sorted(self.cut, key=lambda done: -done.score)
        return best[0] if best else self.partial("length")

    def partial(self, finish: FinishReason) -> Generated:
        """The best beam as far as it has come."""
        beam = max(self.beams, key=lambda beam: beam.total)
        return Generated(beam.written, finish, beam.total / max(1, len(beam.written)) ** self.row.settings.length_penalty)

    def _finish(self, written: tuple[int, ...], token: int, total: float) -> None:
        score = total / (len(written) + 1) ** self.row.settings.length_penalty
        if token in self.row.stops:
            self.finished.append(Generated(written, "stop", score))
        else:
            has_form = self.row.settings.grammar is not None or self.row.form is not None
            unfinished = self.cut if has_form else self.finished
            unfinished.append(Generated((*written, token), "length", score))

    def _is_over(self, best_total: float, length: int) -> bool:
        """Whether no open beam is thought to become better than the worst that ended."""
        if len(self.finished) < self.width:
            return False
        settings = self.row.settings
        return settings.early_stopping or best_total / length**settings.length_penalty <= self.finished[-1].score


class BeamSearch:
    """Writes rows with `num_beams` beams each, the same number for all; a row's beams stand beside each other in the batch."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.done: dict[int, Generated] = {}
        self._searches = [_Search(row, [_Beam((), 0.0), *[_Beam((), _NEVER)] * (row.settings.num_beams - 1)]) for row in rows]

    def advance(self, scores: Tensor, is_wanted: Callable[[int], bool]) -> tuple[list[int], list[int]]:
        """Choose the next token of every beam; arguments and answer as of `TokenSearch.advance`, with a beam for a row."""
        searches, width = self._searches, self._searches[0].width
        logs = scores.float().log_softmax(-1)
        beams = [(search.row, beam) for search in searches for beam in search.beams]
        for place, (row, beam) in enumerate(beams):
            if beam.total != _NEVER:
                limit(logs[place], row, beam.written)
        totals = (logs + torch.tensor([beam.total for _, beam in beams])[:, None]).view(len(searches), -1)  # (rows, beams * vocabulary)
        count = min(max(search.num_candidates for search in searches), totals.shape[1])
        values, indices = (found.tolist() for found in totals.topk(count))
        places: list[int] = []
        tokens: list[int] = []
        self._searches = []
        for number, search in enumerate(searches):
            if not is_wanted(search.row.number):
                self.done[search.row.number] = search.partial("cancelled")
                continue
            found = zip(indices[number], values[number], strict=True)
            taken = search.take([(*divmod(index, logs.shape[1]), total) for index, total in found][: search.num_candidates])
            if taken is None:
                self.done[search.row.number] = search.result()
                continue
            self._searches.append(search)
            places += [number * width + beam for beam in taken[0]]
            tokens += taken[1]
        return places, tokens
