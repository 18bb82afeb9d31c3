"""What the meanings of a dataset look like: the schema that a parser of it keeps to, and the labels of its network. No torch here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

from hanlin.tasks.meaning_decoding import INTENT, OUTSIDE, words_of
from hanlin.tasks.meaning_examples import SlotSpan, read_annotation, spans_of
from hanlin.tasks.meanings import MeaningSchema, Slot, Value, folded, number_of
from hanlin.types import JsonObject

MAX_CHOICES = 200  # distinct values up to which words that mean something else than themselves are a closed set


@dataclass(slots=True)
class _Seen:
    """What examples show of one slot: (words, value) where words say it, and the values that follow from the sentence."""

    spoken: list[tuple[str, Value]] = field(default_factory=list)
    implied: set[Value] = field(default_factory=set)

    @property
    def is_number(self) -> bool:
        """Whether words say numbers only."""
        return bool(self.spoken) and all(isinstance(value, int | float) and not isinstance(value, bool) for _, value in self.spoken)

    @property
    def is_closed(self) -> bool:
        """Whether words stand for values out of a closed set, because some mean something else than themselves."""
        if self.is_number or len({value for _, value in self.spoken}) > MAX_CHOICES:
            return False
        return any(not isinstance(value, str) or folded(words) != folded(value) for words, value in self.spoken)


def learn_schema(texts: Sequence[str], annotations: Sequence[str]) -> MeaningSchema:
    """The schema that the meanings of training examples share. What the words of a slot mean is learnt over all intents."""
    everywhere: dict[str, _Seen] = defaultdict(_Seen)
    by_intent: dict[str, dict[str, _Seen]] = {}
    for text, annotation in zip(texts, annotations, strict=True):
        meaning = read_annotation(annotation)
        words = {span.slot: text[span.start : span.end] for span in spans_of(meaning)}
        own = by_intent.setdefault(str(meaning["intent"]), {})
        for slot, value in cast("dict[str, Value]", meaning["slots"]).items():
            for seen in (everywhere[slot], own.setdefault(slot, _Seen())):
                if slot in words:
                    seen.spoken.append((words[slot], value))
                else:
                    seen.implied.add(value)
    intents = {
        intent: {slot: _rule(everywhere[slot], seen) for slot, seen in sorted(slots.items())} for intent, slots in sorted(by_intent.items())
    }
    lexicon = {slot: known for slot, seen in sorted(everywhere.items()) if (known := _lexicon(seen))}
    return MeaningSchema(intents, lexicon)


def labels_of(schema: MeaningSchema) -> tuple[str, ...]:
    """The labels of a network for these meanings: tags, then the values of each field of the sentence."""
    rules = [(slot, rule) for slots in schema.intents.values() for slot, rule in slots.items()]
    tags = [label for slot in sorted({slot for slot, rule in rules if rule.is_spoken}) for label in (f"B-{slot}", f"I-{slot}")]
    fields = [f"{INTENT}={intent}" for intent in schema.intents]
    for name in sorted({slot for slot, rule in rules if rule.implied} | schema.is_told_apart):
        values = {words_of(value) for slot, rule in rules if slot == name for value in rule.implied}
        if name in schema.is_told_apart:
            values |= {words_of(value) for words in schema.lexicon[name].values() for value in words}
        fields += [f"{name}={words}" for words in ["", *sorted(values)]]
    return (OUTSIDE, *tags, *fields)


def field_words(meaning: JsonObject, told_apart: Collection[str] = ()) -> dict[str, str]:
    """The words of every field that has a value: the intent, the slots that no words of the text stand for, and those in `told_apart`."""
    spoken = {span.slot for span in spans_of(meaning)}
    slots = cast("dict[str, Value]", meaning["slots"])
    return {INTENT: str(meaning["intent"])} | {
        slot: words_of(value) for slot, value in slots.items() if slot not in spoken or slot in told_apart
    }


def tags_of(spans: Sequence[SlotSpan], places: Sequence[tuple[int, int] | None]) -> list[str | None]:
    """A tag for each token by where it stands in the text; None for special tokens."""
    found: list[str | None] = []
    before: SlotSpan | None = None
    for place in places:
        if place is None:
            found.append(None)
            continue
        own = next((span for span in spans if place[0] < span.end and span.start < place[1]), None)
        found.append(OUTSIDE if own is None else f"{'I' if own == before else 'B'}-{own.slot}")
        before = own
    return found


def _rule(everywhere: _Seen, here: _Seen) -> Slot:
    """Implied values are those seen with this intent; what words may mean is known from all intents."""
    closed = {value for _, value in everywhere.spoken} if here.spoken and everywhere.is_closed else set()
    return Slot(_sorted(here.implied), bool(here.spoken), _sorted(closed), bool(here.spoken) and everywhere.is_number)


def _sorted(values: set[Value]) -> tuple[Value, ...]:
    return tuple(sorted(values, key=lambda value: (type(value).__name__, str(value))))


def _lexicon(seen: _Seen) -> dict[str, tuple[Value, ...]]:
    """What words mean where they do not say it themselves, or do not always."""
    found: dict[str, Counter[Value]] = defaultdict(Counter)
    own: set[str] = set()
    for words, value in seen.spoken:
        found[folded(words)][value] += 1
        if value == words if isinstance(value, str) else not isinstance(value, bool) and number_of(words) == value:
            own.add(folded(words))
    return {
        words: tuple(value for value, _ in values.most_common()) for words, values in found.items() if len(values) > 1 or words not in own
    }
