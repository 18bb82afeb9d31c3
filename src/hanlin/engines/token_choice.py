"""Which token is written next, from the scores of all: rules, then the likeliest or a draw. numpy only, for workers without torch.

The order and the arithmetic of the rules are those of `networks/generation/limits.py`, so that engines agree.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hanlin.generation import FinishReason, GenerationSettings, Seen
from hanlin.networks.generation.form import Form

Scores = npt.NDArray[np.float32]
_HEAD = 1024  # what is drawn from is nearly always among so many; sorting a whole vocabulary takes milliseconds


@dataclass(slots=True)
class Line:
    """A row that is being written.

    Attributes:
        before: ids that stand before the first that is written.
        stops: ids that end it.
        room: most ids that may be written.
        form: of what stands behind `settings.prefix`.
        written: those that were.
    """

    settings: GenerationSettings
    before: tuple[int, ...]
    stops: frozenset[int]
    room: int
    form: Form | None = None
    written: list[int] = field(default_factory=list)
    chance: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.chance = np.random.default_rng(self.settings.seed)

    def take(self, token: int) -> FinishReason | None:
        """Go one token further. Returns why the row ends with it, None when it goes on."""
        if token in self.stops:
            return "stop"
        self.written.append(token)
        behind = self.written[len(self.settings.prefix) :]
        if self.form is not None and behind and self.form.must_end(behind):
            return "stop"
        return "length" if len(self.written) == self.room else None


@dataclass(frozen=True, slots=True)
class Choice:
    """A token, the logarithm of its chance among those that were allowed, and how the network saw it coming, where that is told."""

    token: int
    log: float
    seen: Seen | None = None


def choose(scores: Scores, line: Line) -> Choice:
    """The next token of a line from scores (vocabulary,), which are changed.

    Raises:
        ValueError: scores that are not finite: the network has failed, and would write nonsense from here on.
        InvalidInput: `constraint_refused`: the line's form takes too much work.
    """
    settings = line.settings
    raw = scores.copy() if settings.tells else scores
    if not math.isfinite(float(scores.max())):
        raise ValueError("the scores of the next token are not finite")
    limit(scores, line)
    token = _drawn(scores, settings, line.chance) if settings.temperature else int(scores.argmax())
    log = float(scores[token]) - log_sum(scores)
    return Choice(token, log, seen_of(raw, token, settings.likeliest) if settings.tells else None)


def limit(scores: Scores, line: Line) -> None:
    """Change the scores of the next token, (vocabulary,), in place: what may not come is -inf."""
    settings, written, place = line.settings, line.written, len(line.written)
    if settings.repetition_penalty != 1.0:
        _penalize(scores, (*line.before, *written), settings.repetition_penalty)
    if settings.presence_penalty or settings.frequency_penalty:
        for token, count in Counter(written).items():
            scores[token] -= settings.presence_penalty + count * settings.frequency_penalty
    for token, bias in settings.logit_bias:
        if token < len(scores):
            scores[token] += bias
    if settings.no_repeat_ngram:
        _forbid(scores, _repeated((*line.before, *written), settings.no_repeat_ngram))
    _forbid(scores, settings.banned_ids)
    if place < settings.min_new_tokens:
        _forbid(scores, line.stops)
    if place < len(settings.prefix):
        _allow(scores, (settings.prefix[place],))
    elif settings.grammar is not None:
        allowed = settings.grammar.allowed(written[len(settings.prefix) :], line.room - place)
        if allowed is not None:
            _allow(scores, tuple(allowed) or (min(line.stops),))
    elif line.form is not None:
        _fit(scores, line.form, written[len(settings.prefix) :], line.stops)


def seen_of(scores: Scores, token: int, likeliest: int) -> Seen:
    """How a token was seen coming by scores (vocabulary,), and so many likeliest ones beside it."""
    total = log_sum(scores)
    best: list[int] = []
    if likeliest:
        count = min(likeliest, len(scores))
        best = np.argpartition(-scores, count - 1)[:count].tolist()
        best.sort(key=lambda each: (-scores[each], each))
    own = float(scores[token])
    return Seen(own - total, own >= float(scores.max()), tuple((each, float(scores[each]) - total) for each in best))


def log_sum(scores: Scores) -> float:
    """Logarithm of the sum of the exponentials of (vocabulary,)."""
    most = float(scores.max())
    return most + math.log(float(np.exp(scores - most).sum(dtype=np.float64)))


def _drawn(scores: Scores, settings: GenerationSettings, chance: np.random.Generator) -> int:
    """One token by chance. Source: Holtzman et al., The Curious Case of Neural Text Degeneration (2019)."""
    tokens = np.arange(len(scores))
    if settings.top_k and settings.top_k < len(scores):
        tokens = np.argpartition(-scores, settings.top_k - 1)[: settings.top_k]
    values = scores[tokens] / np.float32(settings.temperature)
    chances = np.exp(values - values.max())
    if settings.top_p < 1:
        kept = _nucleus(chances, settings.top_p * float(chances.sum(dtype=np.float64)))
        tokens, chances = tokens[kept], chances[kept]
    sums = chances.cumsum(dtype=np.float64)
    place = int((sums <= chance.random() * sums[-1]).sum())
    return int(tokens[min(place, len(tokens) - 1)])


def _nucleus(chances: Scores, enough: float) -> npt.NDArray[np.intp]:
    """Places of the fewest largest chances that sum up to `enough`, the largest first."""
    if len(chances) > _HEAD:
        head = np.argpartition(-chances, _HEAD)[:_HEAD]
        if float(chances[head].sum(dtype=np.float64)) >= enough:
            return head[_nucleus(chances[head], enough)]
    order = np.argsort(-chances, kind="stable")
    sums = chances[order].cumsum(dtype=np.float64)
    return order[: int((sums - chances[order] < enough).sum()) or 1]


def _repeated(ids: Sequence[int], size: int) -> list[int]:
    """Ids that would repeat a run of `size` tokens of `ids`."""
    if len(ids) < size:
        return []
    tail = tuple(ids[len(ids) - size + 1 :])
    return [ids[end] for end in range(size - 1, len(ids)) if tuple(ids[end - size + 1 : end]) == tail]


def _penalize(scores: Scores, ids: Sequence[int], penalty: float) -> None:
    index = np.unique(np.asarray(ids))
    found = scores[index]
    scores[index] = np.where(found < 0, found * penalty, found / penalty)


def _forbid(scores: Scores, ids: Iterable[int]) -> None:
    if index := [each for each in ids if each < len(scores)]:
        scores[index] = -np.inf


def _fit(scores: Scores, form: Form, written: Sequence[int], stops: Iterable[int]) -> None:
    """Nothing but what the form allows, even if all of it was forbidden before."""
    bits = np.unpackbits(form.allowed(written), bitorder="little")[: len(scores)].astype(bool)
    allowed = np.zeros(len(scores), dtype=bool)
    allowed[: len(bits)] = bits
    allowed[[each for each in stops if each < len(scores)]] = form.may_end(written)
    scores[~allowed] = -np.inf
    if not np.isfinite(scores[allowed]).any():
        scores[allowed] = 0.0


def _allow(scores: Scores, ids: Sequence[int]) -> None:
    """Nothing but `ids`, even if all of them were forbidden before; a single one has chance 1."""
    index = np.asarray(ids)
    found = scores[index]
    if len(ids) == 1 or not np.isfinite(found).any():
        found = np.zeros_like(found)
    scores.fill(-np.inf)
    scores[index] = found
