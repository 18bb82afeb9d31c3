"""What can be explained of labels of tokens: entities; predicates and roles; intents and slots. Characters find them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hanlin.tasks.alignment import Span
from hanlin.tasks.entities import Entity, Strategy, score_at
from hanlin.tasks.explaining import Computed, OfTexts, Place, Target, checked
from hanlin.tasks.frames import VERB
from hanlin.tasks.meaning_decoding import INTENT, Layout, Meaning, SentenceReader, words_of
from hanlin.tasks.token_rows import best_labels

if TYPE_CHECKING:
    from hanlin.tasks.semantic_role_labelling import RoleOptions
    from hanlin.tasks.token_classification import TaggingOptions


class EntityTargets(OfTexts):
    """Kind: `entity`, by name and characters. See `Explaining`."""

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`."""
        items = cast("list[list[Entity]]", found.decoded)[0]
        return [Target("entity", item.label, item.score, (Place(0, item.start or 0, item.end or 0),)) for item in items]

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`: what tokens, or words, in its place have for its name."""
        strategy = cast("TaggingOptions", found.request.options).strategy
        return checked(_score(found, 0, target.name, _span(target.places[0]), strategy))


class RoleTargets(OfTexts):
    """Kinds: `predicate`; `role`, by the characters of its predicate and its own. See `Explaining`."""

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`: none where tags are asked for."""
        if cast("RoleOptions", found.request.options).returns_tags:
            return []
        targets: dict[Span, list[Target]] = {}
        for frame in sorted(cast("list[list[dict[str, Any]]]", found.decoded)[0], key=lambda frame: -frame["score"]):
            place = Place(0, frame["start"], frame["end"])
            own = [Target("predicate", frame["predicate"], frame["score"], (place,))]
            own += [
                Target("role", item["role"], item["score"], (place, Place(0, item["start"], item["end"]))) for item in frame["arguments"]
            ]
            targets.setdefault(_span(place), own)  # two proposals may lie in one predicate: the surer is explained
        return [target for _, own in sorted(targets.items()) for target in own]

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`: what the row of the predicate says; 0 where nothing proposes it any more."""
        encoded, predicate = found.encoded, _span(target.places[0])
        assert encoded.types is not None and encoded.marks is not None, "rows of predicates"
        rows = [
            row
            for row, (kinds, marks) in enumerate(zip(encoded.types, encoded.marks, strict=True))
            if any(
                kind and span and span[0] < predicate[1] and predicate[0] < span[1] for kind, span in zip(kinds, marks.spans, strict=True)
            )
        ]
        scored = [(_score(found, row, VERB, predicate), row) for row in rows]
        if not scored:
            return 0.0
        surest, row = max(scored, key=lambda item: (item[0], -item[1]))
        return checked(surest if target.kind == "predicate" else _score(found, row, target.name, _span(target.places[1])))


class MeaningTargets(OfTexts):
    """Kinds: `intent`; `slot`, by its characters; `implied`, a slot with the value that the whole sentence has for it. See `Explaining`."""

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`."""
        meaning = cast("list[Meaning]", found.decoded)[0]
        spoken = [Target("slot", item.slot, item.score, (Place(0, item.start, item.end),)) for item in meaning.spoken]
        implied = [Target("implied", f"{slot}={words_of(value)}", score) for slot, (value, score) in meaning.implied.items()]
        return [Target(INTENT, meaning.intent, meaning.score), *spoken, *implied]

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`: before the schema chooses among meanings."""
        assert found.encoded.marks is not None and found.spec.meanings is not None, "specs of this task have them"
        marks = found.encoded.marks[0]
        logits = found.outputs["token_logits"][0][: len(marks.spans)].astype(np.float64)
        reader = SentenceReader(logits, marks, Layout.of(found.spec.labels), found.spec.meanings)
        if target.kind == "slot":
            return checked(reader.spoken_score(target.name, _span(target.places[0])))
        name, _, words = target.name.partition("=") if target.kind == "implied" else (INTENT, "", target.name)
        return checked(reader.value_score(name, words))


def _score(found: Computed, row: int, name: str, span: Span, strategy: Strategy = "simple") -> float:
    assert found.encoded.marks is not None, "places come from the rows"
    marks, spec = found.encoded.marks[row], found.spec
    scores, path = best_labels(found.outputs["token_logits"][row][: len(marks.spans)], marks, spec)
    return score_at(span, name, scores, marks, spec.labels, strategy=strategy, path=path if spec.chain is not None else None)


def _span(place: Place) -> Span:
    return place.start, place.end


ENTITY_TARGETS, ROLE_TARGETS, MEANING_TARGETS = EntityTargets(), RoleTargets(), MeaningTargets()
