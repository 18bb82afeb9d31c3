"""Rows that a compression judges: those of a reranker are pairs under each example's own query."""

from __future__ import annotations

from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hanlin.pipelines.judging_rows import encoded_of
from hanlin.tasks import ModelSpec
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.vectors import VectorSettings

WORDS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "c": 6, "d": 7}
QUESTIONS = [{"first": "a", "text": "b"}, {"first": "c", "text": "d", "negatives": ["a"]}]


def encoder_of(spec: ModelSpec) -> TextEncoder:
    made = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    frame = {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    made.post_processor = processors.TemplateProcessing(**frame, special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return TextEncoder(made, spec)


def test_each_text_is_judged_under_its_own_query() -> None:
    spec = ModelSpec("reranking", ("LABEL_0",), 16, 0)
    found = encoded_of(QUESTIONS, spec, encoder_of(spec))
    assert found.rows == [[2, 4, 3, 5, 3], [2, 6, 3, 7, 3]]
    assert found.types == [[0, 0, 0, 1, 1]] * 2
    assert len(encoded_of(["a", "b"], spec, encoder_of(spec)).rows) == 2


def test_an_embedder_that_ranks_is_judged_by_its_texts() -> None:
    spec = ModelSpec("reranking", (), 16, 0, vectors=VectorSettings(4))
    found = encoded_of(QUESTIONS, spec, encoder_of(spec))
    assert found.rows == [[2, 5, 3], [2, 7, 3], [2, 4, 3]]  # the texts, then the one query of the call
    assert found.types is None
