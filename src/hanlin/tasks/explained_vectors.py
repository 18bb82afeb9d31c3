"""What can be explained of vectors and of rankings: how near a text is to what it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.explaining import Computed, OfTexts, Part, Target, checked, text_of
from hanlin.tasks.likeness import VECTORS
from hanlin.tasks.spec import ModelSpec

if TYPE_CHECKING:
    from hanlin.tasks.base import TaskRequest
    from hanlin.tasks.embedding import EmbeddingOptions
    from hanlin.tasks.reranking import Ranked, RerankingOptions


class RankingTargets(OfTexts):
    """Kind: `relevance` of one document under its query, which stays whole. See `Explaining`."""

    whole = {"top_k": None}  # noqa: RUF012 - never written to

    def parts(self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec) -> tuple[Part, ...]:
        """See `Explaining.parts`."""
        return Part("query", cast("RerankingOptions", request.options).query, is_fixed=True), Part("document", text_of(request, 0))

    def with_texts(self, request: TaskRequest, texts: Sequence[str]) -> TaskRequest:
        """See `Explaining.with_texts`."""
        return replace(request, texts=(texts[1],))

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`."""
        return [Target("relevance", "relevance", self._score(found))]

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`: as the ranking has it."""
        return checked(self._score(found))

    def _score(self, found: Computed) -> float:
        return cast("list[Ranked]", found.decoded)[0].score


class VectorTargets(OfTexts):
    """Kinds: `vector`, the cosine with that of the whole text; `similarity` of two sentences; `label`, of labels that the call names."""

    def alone(self, request: TaskRequest) -> list[TaskRequest]:
        """See `Explaining.alone`: each sentence with the one that it is compared with, each text with all labels."""
        options = _options(request)
        if options.is_compared:
            source, *others = request.texts
            return [replace(request, texts=(source, other)) for other in others]
        labels = options.zero_shot.hypotheses if options.zero_shot else ()
        texts = request.texts[: len(request.texts) - len(labels)]
        return [replace(request, texts=(text, *labels), is_single=True) for text in texts]

    def parts(self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec) -> tuple[Part, ...]:
        """See `Explaining.parts`."""
        if not _options(request).is_compared:
            return super().parts(request, encoder, spec)
        return Part("source_sentence", text_of(request, 0)), Part("sentence", text_of(request, 1))

    def targets(self, found: Computed) -> list[Target]:
        """See `Explaining.targets`: none where the vectors of tokens are asked for."""
        options = _options(found.request)
        if options.zero_shot:
            return [Target("label", item["label"], item["score"]) for item in cast("list[dict[str, Any]]", found.answer)]
        if options.is_compared:
            return [Target("similarity", "similarity", found.answer[0])]
        if options.with_tokens:
            return []
        unit = _unit(found)
        return [Target("vector", "vector", float(unit @ unit), reference=tuple(unit.tolist()))]

    def score(self, target: Target, found: Computed) -> float:
        """See `Explaining.score`."""
        if target.kind == "label":
            scores = {item["label"]: item["score"] for item in cast("list[dict[str, Any]]", found.answer)}
            return checked(scores[target.name])
        if target.kind == "similarity":
            return checked(found.answer[0])
        return checked(float(np.array(target.reference) @ _unit(found)))


def _unit(found: Computed) -> npt.NDArray[np.float64]:
    return np.asarray(VECTORS.numbers(found.decoded)[0])


def _options(request: TaskRequest) -> EmbeddingOptions:
    return cast("EmbeddingOptions", request.options)


RANKING_TARGETS, VECTOR_TARGETS = RankingTargets(), VectorTargets()
