"""The names that other libraries have for our tasks, and those of tasks that are not done here. Knows no task itself."""

from __future__ import annotations

import re

from hanlin.errors import InvalidInput
from hanlin.types import shorten

ALIASES = {
    "feature-extraction": "embedding", "sentence-similarity": "embedding", "sentence-embedding": "embedding", "embeddings": "embedding",
    "zero-shot-classification": "embedding",
    "ner": "token-classification", "named-entity-recognition": "token-classification", "pos": "token-classification",
    "pos-tagging": "token-classification", "part-of-speech": "token-classification",
    "word-segmentation": "token-classification", "chunking": "token-classification",
    "sentiment-analysis": "sentiment", "aspect-based-sentiment-analysis": "sentiment", "absa": "sentiment",
    "sequence-classification": "text-classification", "text-pair-classification": "text-classification",
    "multi-label-classification": "text-classification", "natural-language-inference": "text-classification", "nli": "text-classification",
    "text-ranking": "reranking", "rerank": "reranking", "cross-encoder": "reranking",
    "extractive-question-answering": "question-answering", "reading-comprehension": "question-answering",
    "masked-lm": "fill-mask", "mlm": "fill-mask", "masked-language-modeling": "fill-mask",
    "causal-lm": "text-generation", "conversational": "text-generation", "chat": "text-generation",
    "chat-completion": "text-generation", "language-modeling": "text-generation",
    "text2text-generation": "translation", "machine-translation": "translation", "text-summarization": "summarization",
    "slot-filling": "semantic-parsing",
    "srl": "semantic-role-labelling", "semantic-role-labeling": "semantic-role-labelling",
    "text2sql": "text-to-sql", "nl2sql": "text-to-sql",
}  # fmt: skip
# Known elsewhere, with the task of ours that comes nearest; empty: it is not about language alone.
ELSEWHERE = {
    "table-question-answering": "text-to-sql", "document-question-answering": "question-answering",
    "visual-question-answering": "question-answering", "coreference-resolution": "token-classification",
} | dict.fromkeys((
    "image-classification", "image-segmentation", "image-to-text", "image-text-to-text", "image-to-image",
    "image-text-to-image", "image-to-video", "image-text-to-video", "keypoint-matching", "object-detection",
    "zero-shot-image-classification", "zero-shot-object-detection", "zero-shot-audio-classification", "depth-estimation", "text-to-image",
    "text-to-video", "text-to-speech", "text-to-audio", "audio-classification", "automatic-speech-recognition", "audio-to-audio",
    "video-classification", "mask-generation", "image-feature-extraction", "tabular-classification", "tabular-regression",
    "time-series-forecasting", "reinforcement-learning", "any-to-any",
), "")  # fmt: skip
_TRANSLATION = re.compile(r"translation_[a-z_]{2,20}_to_[a-z_]{2,20}")


def canonical(name: str) -> str:
    """Our own name of a task, in lower letters; what is unknown comes back so too.

    Raises:
        InvalidInput: `task_elsewhere`, `task_not_of_language`.
    """
    folded = name.strip().casefold()
    if folded in ELSEWHERE:
        if instead := ELSEWHERE[folded]:
            raise InvalidInput("task_elsewhere", task=shorten(name), instead=instead)
        raise InvalidInput("task_not_of_language", task=shorten(name))
    if _TRANSLATION.fullmatch(folded):
        return "translation"
    return ALIASES.get(folded, folded)
