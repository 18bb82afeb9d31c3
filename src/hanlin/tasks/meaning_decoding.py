"""The meaning that a model's numbers say, kept to a schema: no slot that the intent lacks, no value that the slot refuses.

The intent is chosen together with what it allows: each of the likeliest intents reads its best fields and its best run of tags, and the
sum of log-probabilities decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

import numpy as np
import numpy.typing as npt

from hanlin.tasks.alignment import Span
from hanlin.tasks.encoded import Marks
from hanlin.tasks.likeness import Numbers
from hanlin.tasks.meanings import MeaningSchema, Value
from hanlin.tasks.viterbi import viterbi
from hanlin.types import JsonObject, JsonValue

INTENT = "intent"
OUTSIDE = "O"
MAX_INTENTS_READ = 5
MIN_SHARE = 0.002  # of the likeliest intent's probability; less likely ones are not read

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which label is what.

    Attributes:
        tags: places of `O`, `B-…` and `I-…`.
        slots: the slot of each tag, in the order of `tags`; empty for `O`.
        fields: for each field of the sentence the places of its values, by the words behind `=`; empty words mean that it has none.
    """

    labels: tuple[str, ...]
    tags: npt.NDArray[np.intp]
    slots: tuple[str, ...]
    fields: Mapping[str, Mapping[str, int]]
    steps: Floats = field(repr=False)  # (tags, tags): 0 where one may follow the other, else -inf
    starts: Floats = field(repr=False)  # (tags,)

    @classmethod
    def of(cls, labels: Sequence[str]) -> Layout:
        """The layout of a version's labels."""
        return _layout(tuple(labels))

    def numbers(self, meaning: JsonObject) -> Numbers:
        """An answer in comparable numbers: (1 + slots, labels + 1), the intent first."""
        names = sorted({slot for slot in self.slots if slot} | (self.fields.keys() - {INTENT}))
        found = np.zeros((1 + len(names), len(self.labels) + 1))
        found[0, self.fields[INTENT][str(meaning["intent"])]] = cast("float", meaning["score"])
        spans = {str(item["slot"]): cast("float", item["score"]) for item in cast("list[JsonObject]", meaning["spans"])}
        slots, implied = cast("JsonObject", meaning["slots"]), cast("dict[str, float]", meaning["implied"])
        for row, name in enumerate(names, 1):
            if name in spans:
                found[row, self.labels.index(f"B-{name}")] = spans[name]
            elif name in implied:
                found[row, self.fields[name][words_of(cast("Value", slots[name]))]] = implied[name]
            else:
                found[row, -1] = 1.0
        return found


@dataclass(frozen=True, slots=True)
class SpokenSlot:
    """A slot that words of the text say."""

    slot: str
    value: Value
    word: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one text means. `implied` are the slots that no words stand for, with the probability of their value."""

    intent: str
    score: float
    implied: Mapping[str, tuple[Value, float]]
    spoken: tuple[SpokenSlot, ...]

    def to_json(self) -> JsonObject:
        """The wire form."""
        slots: JsonObject = {slot: value for slot, (value, _) in self.implied.items()}
        slots |= {item.slot: item.value for item in self.spoken}
        spans: list[JsonValue] = [
            {"slot": item.slot, "word": item.word, "start": item.start, "end": item.end, "score": item.score} for item in self.spoken
        ]
        implied: JsonObject = {slot: score for slot, (_, score) in self.implied.items()}
        return {"intent": self.intent, "score": self.score, "slots": dict(sorted(slots.items())), "implied": implied, "spans": spans}


def words_of(value: Value) -> str:
    """How a value stands in a label."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_meaning(logits: Floats, marks: Marks, layout: Layout, schema: MeaningSchema) -> Meaning:
    """The likeliest valid meaning of one text.

    Args:
        logits: (tokens, labels), special tokens included; the first row holds the fields of the sentence.
    """
    return SentenceReader(logits, marks, layout, schema).read()


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a text says if it has this intent; `total` is its log-probability."""

    intent: str
    total: float
    implied: Mapping[str, tuple[Value, float]]
    path: list[int]  # a tag for each token


class SentenceReader:
    """Log-probabilities of one text: of tags by token, of values by field."""

    def __init__(self, logits: Floats, marks: Marks, layout: Layout, schema: MeaningSchema) -> None:
        assert marks.text is not None, "the task takes texts only"
        tokens = [(index, span) for index, span in enumerate(marks.spans) if span is not None]
        self.text = marks.text
        self.layout, self.schema, self.told_apart = layout, schema, schema.is_told_apart
        self.places = [span for _, span in tokens]
        self.tags = _log_softmax(logits[[index for index, _ in tokens]][:, layout.tags])  # (text tokens, tags)
        self.fields = {name: _log_softmax(logits[:1, list(places.values())])[0] for name, places in layout.fields.items()}

    def spoken_score(self, slot: str, span: Span) -> float:
        """How surely the tokens in `span` say this slot, as `SpokenSlot` has it; 0 where none stands there."""
        own = [at for at, place in enumerate(self.places) if place[0] < span[1] and span[0] < place[1] and span[0] < span[1]]
        tags = {self.layout.labels[label]: tag for tag, label in enumerate(self.layout.tags)}
        begin = tags[f"B-{slot}"]
        path = [begin, *[tags.get(f"I-{slot}", begin)] * (len(own) - 1)]
        return float(np.exp(self.tags[own, path].mean())) if own else 0.0

    def value_score(self, name: str, words: str) -> float:
        """How surely the sentence has this value in a field."""
        return float(np.exp(self.fields[name][[*self.layout.fields[name]].index(words)]))

    def read(self) -> Meaning:
        """The likeliest valid meaning."""
        intents = dict(zip(self.layout.fields[INTENT], self.fields[INTENT], strict=True))
        known = sorted(self.schema.intents, key=lambda name: -intents[name])[:MAX_INTENTS_READ]
        likely = [name for name in known if intents[name] >= intents[known[0]] + np.log(MIN_SHARE)]
        found = max((self._read_as(name, intents[name]) for name in likely), key=lambda item: item.total)
        spoken = self._spoken(found)
        taken = {item.slot for item in spoken}
        implied = {slot: value for slot, value in found.implied.items() if slot not in taken}
        return Meaning(found.intent, float(np.exp(intents[found.intent])), implied, spoken)

    def _read_as(self, intent: str, score: float) -> _Reading:
        total = float(score)
        implied: dict[str, tuple[Value, float]] = {}
        for name in self.layout.fields.keys() - {INTENT}:
            if name in self.told_apart and not (name in self.schema.intents[intent] and self.schema.intents[intent][name].implied):
                continue  # it only says what spoken words mean
            own, value = self._field(intent, name)
            total += own
            if value is not None:
                implied[name] = (value, float(np.exp(own)))
        if not self.places:
            return _Reading(intent, total, implied, [])
        rules, layout = self.schema.intents[intent], self.layout
        is_allowed = [not slot or (slot in rules and rules[slot].is_spoken) for slot in layout.slots]
        tags = np.where(is_allowed, self.tags, -np.inf)
        path = viterbi(tags, layout.steps, layout.starts, np.zeros(len(layout.slots)))
        return _Reading(intent, total + float(tags[np.arange(len(path)), path].sum()), implied, path)

    def _field(self, intent: str, name: str) -> tuple[float, Value | None]:
        """The likeliest value that this intent allows, with its log-probability; None for no value."""
        rule = self.schema.intents[intent].get(name)
        allowed = {words_of(value): value for value in rule.implied} if rule is not None else {}
        scored = zip(self.layout.fields[name], self.fields[name], strict=True)
        words, own = max(((words, own) for words, own in scored if not words or words in allowed), key=lambda item: item[1])
        return float(own), allowed.get(words)

    def _likeliest(self, slot: str, values: Sequence[Value]) -> Value | None:
        """Of what words may mean, what the sentence as a whole makes likeliest."""
        if len(values) < 2 or slot not in self.layout.fields:
            return values[0] if values else None
        scores = dict(zip(self.layout.fields[slot], self.fields[slot], strict=True))
        return max(values, key=lambda value: scores.get(words_of(value), -np.inf))

    def _spoken(self, reading: _Reading) -> tuple[SpokenSlot, ...]:
        """The slots that runs of tags mark, each at most once: the surest."""
        found: dict[str, SpokenSlot] = {}
        for first, last in _runs(reading.path, self.layout):
            slot, start, end = self.layout.slots[reading.path[first]], self.places[first][0], self.places[last][1]
            value = self._likeliest(slot, self.schema.values(reading.intent, slot, self.text[start:end]))
            own = self.tags[np.arange(first, last + 1), reading.path[first : last + 1]]
            score = float(np.exp(own.mean()))
            if value is not None and (slot not in found or found[slot].score < score):
                found[slot] = SpokenSlot(slot, value, self.text[start:end], start, end, score)
        return tuple(sorted(found.values(), key=lambda item: item.start))


def _runs(path: Sequence[int], layout: Layout) -> list[tuple[int, int]]:
    """First and last token of every run of one slot."""
    runs: list[tuple[int, int]] = []
    for place, tag in enumerate(path):
        label = layout.labels[layout.tags[tag]]
        if label.startswith("B-"):
            runs.append((place, place))
        elif label.startswith("I-"):
            runs[-1] = (runs[-1][0], place)
    return runs


@lru_cache(maxsize=64)
def _layout(labels: tuple[str, ...]) -> Layout:
    tags = [place for place, label in enumerate(labels) if label == OUTSIDE or label[:2] in {"B-", "I-"}]
    slots = tuple("" if labels[place] == OUTSIDE else labels[place][2:] for place in tags)
    fields: dict[str, dict[str, int]] = {}
    for place, label in enumerate(labels):
        if place not in tags:
            name, _, words = label.partition("=")
            fields.setdefault(name, {})[words] = place
    is_inside = [labels[place].startswith("I-") for place in tags]
    steps = np.zeros((len(tags), len(tags)))
    for to, slot in enumerate(slots):
        if is_inside[to]:  # only behind its own slot
            steps[[other != slot for other in slots], to] = -np.inf
    return Layout(labels, np.array(tags, dtype=np.intp), slots, fields, steps, np.where(is_inside, -np.inf, 0.0))


def _log_softmax(values: Floats) -> Floats:
    shifted = values - values.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
