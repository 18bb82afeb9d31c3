"""What can be explained of answers to questions: a piece of a context or of a document, and that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.explaining import Computed, OfTexts, Part, Place, Target, checked, text_of
from hanlin.tasks.found_answers import Answer, AnsweringOptions, none_score, score_at, sections_of
from hanlin.tasks.spec import ModelSpec

if TYPE_CHECKING:
    from hanlin.tasks.base import TaskRequest

_NONE = "none"


class AnswerTargets(OfTexts):
    """Kinds: `answer`, by its characters; `none`. Part 0 is the question, the others are what it is asked about. See `Explaining`."""

    beside = ("questions",)

    def alone(self, request: TaskRequest) -> list[TaskRequest]:
        """See `Explaining.alone`: documents belong together."""
        return [request] if _options(request).documents else super().alone(request)

    def parts(self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec) -> tuple[Part, ...]:
        """See `Explaining.parts`."""
        options = _options(request)
        name = "document" if options.documents else "context"
        asked = [Part(name, text_of(request, number)) for number in range(len(request.texts))]
        return (Part("question", options.questions[0]), *asked)

    def with_texts(self, request: TaskRequest, texts: Sequence[str]) -> TaskRequest:
        """See `Explaining.with_texts`."""
        question, *told = texts
        options = _options(request)
        documents = tuple(replace(document, text=text) for document, text in zip(options.documents, told, strict=False))
        return replace(request, texts=tuple(told), options=replace(options, questions=(question,), documents=documents))

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`: the answers, and none where the model may answer that."""
        return [self._target(answer, found) for answer in cast("list[list[Answer]]", found.decoded)[0]]

    def _target(self, answer: Answer, found: Computed) -> Target:
        if answer.start == answer.end:
            return Target(_NONE, _NONE, answer.score)
        documents, document = _options(found.request).documents, answer.document
        part, shift = (1 + documents.index(document), document.start) if document else (1, 0)
        return Target("answer", answer.text, answer.score, (Place(part, answer.start - shift, answer.end - shift),))

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`: the product of start and end; 0 where its place is not read."""
        options, spec = _options(found.request), found.spec
        sections = sections_of(found.outputs, options, found.encoded)
        if target.kind == _NONE:
            return checked(none_score(sections, spec, options))
        place, texts = target.places[0], found.encoded.texts
        of = [text == place.part - 1 for text in texts] if texts else [True]
        return checked(score_at((place.start, place.end), of, sections, spec, options))


def _options(request: TaskRequest) -> AnsweringOptions:
    return cast("AnsweringOptions", request.options)


ANSWER_TARGETS = AnswerTargets()
