"""What neighbouring labels say of each other in a trained tagger: the transitions of a linear chain, and what scores mean under them.

The network answers for each token alone; this stands in `hanlin.json`, so that every engine serves it unchanged.
Source: Lafferty et al., Conditional Random Fields (2001); the forward-backward recurrences as in Rabiner, A Tutorial on HMMs (1989).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.tasks.viterbi import viterbi
from hanlin.types import JsonObject, JsonValue

Scores = npt.NDArray[np.float64]
MAX_CHAIN_LABELS = 1_000
FORBIDDEN = -10_000.0  # the score of a step that never happens
_FIELDS = {"start", "between", "end"}
_TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class LabelChain:
    """Scores beside the network's.

    Attributes:
        start: of a row's first label, (labels,).
        between: from a label (row) to the next (column), (labels, labels).
        end: of a row's last label, (labels,).
    """

    start: Scores
    between: Scores
    end: Scores

    @property
    def num_labels(self) -> int:
        """Labels that it knows."""
        return len(self.start)

    def without(self, label: int, handicap: float) -> LabelChain:
        """The same with `handicap` taken from the score of one label wherever it stands."""
        taken = np.zeros(self.num_labels)
        taken[label] = handicap
        return LabelChain(np.maximum(self.start - taken, FORBIDDEN), np.maximum(self.between - taken, FORBIDDEN), self.end)

    def best(self, scores: npt.NDArray[np.floating]) -> list[int]:
        """The best row of labels; arguments as of `read`."""
        return viterbi(scores.astype(np.float64), self.between, self.start, self.end)

    def read(self, scores: npt.NDArray[np.floating]) -> tuple[list[int], Scores]:
        """The best row of labels, and how sure each token's labels are, given all the others: (tokens, labels), each row sums to 1.

        Args:
            scores: (tokens, labels) as the network gave them, at least one token.
        """
        return self.best(scores), self._marginals(scores.astype(np.float64))

    def _marginals(self, scores: Scores) -> Scores:
        own = np.exp(scores - scores.max(axis=1, keepdims=True)) + _TINY  # (tokens, labels)
        steps = np.exp(self.between)
        before, after = np.empty_like(own), np.empty_like(own)
        before[0] = own[0] * np.exp(self.start)
        after[-1] = np.exp(self.end)
        for at in range(1, len(own)):
            before[at - 1] /= before[at - 1].sum() + _TINY
            before[at] = (before[at - 1] @ steps) * own[at]
        for at in range(len(own) - 2, -1, -1):
            after[at] = steps @ (after[at + 1] * own[at + 1])
            after[at] /= after[at].sum() + _TINY
        both = before * after + _TINY
        return np.asarray(both / both.sum(axis=1, keepdims=True))

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {"start": _rounded(self.start), "between": [_rounded(row) for row in self.between], "end": _rounded(self.end)}

    @classmethod
    def from_json(cls, value: JsonValue, *, num_labels: int) -> LabelChain:
        """What `to_json` wrote. Raises InvalidInput (`invalid_model_spec`)."""
        if not isinstance(value, dict) or set(value) != _FIELDS or num_labels > MAX_CHAIN_LABELS:
            raise _invalid("not start, between and end of at most 1,000 labels")
        start, between, end = (_numbers(value[name]) for name in ("start", "between", "end"))
        if start.shape != (num_labels,) or end.shape != (num_labels,) or between.shape != (num_labels, num_labels):
            raise _invalid(f"not the scores of {num_labels} labels")
        return cls(start, between, end)


def _rounded(values: Scores) -> list[JsonValue]:
    return [round(float(value), 5) for value in values]


def _numbers(value: JsonValue) -> Scores:
    try:
        found = np.array(value, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise _invalid("not lists of numbers") from error
    if not np.isfinite(found).all() or np.abs(found).max(initial=0.0) > -FORBIDDEN:
        raise _invalid("a number is out of range")
    return found


def _invalid(problem: str) -> InvalidInput:
    return InvalidInput("invalid_model_spec", field="chain", problem=problem)
