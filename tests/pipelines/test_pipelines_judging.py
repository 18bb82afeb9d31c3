"""Rows that a compression judges: pairs of a reranker under each example's own query, whole talks of a model that writes, made texts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hanlin.engines.asking import NO_LIMITS
from hanlin.generation import GenerationSettings
from hanlin.models.tokenizers import train_tokenizer
from hanlin.pipelines.judging_rows import dataset_rows, encoded_of, made_rows, split_of
from hanlin.registry.values import DatasetVersion
from hanlin.tasks import TASKS, ModelSpec
from hanlin.tasks.chat import ChatForm
from hanlin.tasks.chat_form import CHATML, CHATML_TOKENS
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


def test_an_embedder_is_judged_by_the_first_texts_of_pairs(tmp_path: Path) -> None:
    form = TASKS.get("embedding").examples
    for split, pairs in {"train": ["ab", "cd", "ac"], "validation": ["bc", "dd", "cd"], "test": ["da", "ca"]}.items():
        read = [form.read({"anchor": first, "positive": second}) for first, second in pairs]
        stored = {"text": [row.text for row in read], "label": [row.annotation for row in read]}
        pq.write_table(pa.table(stored), tmp_path / f"{split}.parquet")
    spec, dataset = ModelSpec("embedding", (), 16, 0, vectors=VectorSettings(4)), cast("DatasetVersion", SimpleNamespace(task="embedding"))
    found = dataset_rows(tmp_path, dataset, spec, encoder_of(spec), most=2)
    told = (found.validation.ids, found.test.ids, found.calibration)
    assert told == tuple([[2, WORDS[word], 3] for word in words] for words in ("bd", "dc", "aca"))
    assert found.validation.gold is None


@pytest.mark.parametrize("task", ["embedding", "token-classification", "reranking", "text-classification"])
def test_made_texts_judge_where_there_is_no_dataset(task: str) -> None:
    spec = ModelSpec(task, ("O", "B-X"), 16, 0, vectors=VectorSettings(4) if task == "embedding" else None)
    found = made_rows(spec, encoder_of(spec), most=5)
    assert len(found.validation.ids) == 5
    assert found.validation.gold is None
    assert all(row[0] == 2 and 2 < len(row) <= 16 for row in [*found.validation.ids, *found.calibration])
    assert (found.test.ids, found.more.ids, found.writing) == ([], [], None)


def test_a_talk_is_judged_as_its_form_writes_it_answers_and_all() -> None:
    tokenizer = train_tokenizer(["What is 2 + 2? 四。"], "byte-bpe", 280)
    tokenizer.add_special_tokens([*CHATML_TOKENS])
    spec = ModelSpec("text-generation", (), 200, 0, generation=GenerationSettings(max_new_tokens=8), chat=CHATML)
    form = TASKS.get("text-generation").examples
    turns = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "四。"}]
    read = [form.read(row) for row in ({"messages": turns}, {"text": "What is 2?"})]
    found = encoded_of([form.question(row.text, row.annotation) for row in read], spec, TextEncoder(tokenizer, spec))
    told = [tokenizer.decode(row, skip_special_tokens=False) for row in found.rows]
    assert told == ["<|im_start|>user\n2 + 2?<|im_end|>\n<|im_start|>assistant\n四。<|im_end|>\n", "What is 2?"]
    assert [each.reads for each in found.generation or []] == [True, True]


def test_what_counts_of_talks_and_of_long_texts_is_what_evaluations_count() -> None:
    """Each row knows its own tokens, also where a long text is several rows."""
    spec = ModelSpec(
        "text-generation", (), 16, 0, generation=GenerationSettings(stop_ids=(3,)),
        chat=ChatForm(marks={"user": ("a ", " "), "assistant": ("b ", " ")}),
    )  # fmt: skip
    encoder = encoder_of(spec)
    talk = {"messages": [{"role": "user", "content": "c"}, {"role": "assistant", "content": "d d"}]}
    questions = ["c d " * 12, talk, "c d"]
    found = split_of(questions, spec, encoder)
    assert len(found.ids) > len(questions)
    task = TASKS.get("text-generation")
    asked = task.encode(task.check(*task.probe(questions), limits=NO_LIMITS), encoder, spec)
    assert [*found.places()] == [counts for text in asked.counted for counts in text]
    assert [len(row) for row in found.counted] == [len(row) - 1 for row in found.ids]
    assert found.ids[2] == [2, 4, 6, 5, 7, 7]
    assert found.counted[2] == [False, False, False, True, True], "what the assistant says"
