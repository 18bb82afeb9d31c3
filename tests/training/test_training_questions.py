"""Extractive question answering: places exact to the character, long contexts in windows, no answer beyond a threshold."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hanlin.datasets import Split
from hanlin.engines import REFERENCE
from hanlin.engines.asking import Questioner
from hanlin.engines.torch_engine import TorchSession
from hanlin.networks.head import Head
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import load_model, save_network
from hanlin.tasks import TASKS
from hanlin.tasks.answer_metrics import exact_of, f1_of, place_metrics
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.passage_recall import passage_recall
from hanlin.tasks.spec import ModelSpec
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.lessons.question_answering import no_answer_calibration
from hanlin.training.ports import Silent
from hanlin.training.train import train
from hanlin.types import JsonObject

FORM = TASKS.get("question-answering").examples
PLACES, TIMES, FILLER = ["北京", "Paris", "Rome"], ["nine", "six", "noon"], [f"w{n}" for n in range(12)]


def rows_of(count: int, seed: int) -> Split:
    """Where (a place) or when (a time): one of a few words; every fifth question has no answer."""
    chance = random.Random(seed)
    texts, golds = [], []
    for number in range(count):
        words = chance.choices(FILLER, k=chance.randrange(3, 8))
        kinds = {"where": chance.choice(PLACES), "when": chance.choice(TIMES)}
        asked = chance.choice(sorted(kinds))
        if number % 5 == 0:
            del kinds[asked]
        for word in kinds.values():
            words.insert(chance.randrange(len(words) + 1), word)
        context = "  ".join(words)
        answers = [{"text": kinds[asked], "answer_start": context.index(kinds[asked])}] if asked in kinds else []
        example = FORM.read({"context": context, "question": asked, "answers": answers})
        texts.append(example.text)
        golds.append(example.annotation)
    return Split(texts, golds)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = tmp_path_factory.mktemp("base")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *FILLER, *PLACES, *TIMES, "where", "when"]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    frame = {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    made.post_processor = processors.TemplateProcessing(**frame, special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    made.save(str(folder / "tokenizer.json"))
    torch.manual_seed(5)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 40}
    config = AutoConfig.for_model("bert", vocab_size=len(words), pad_token_id=0, num_labels=2, **sizes)
    save_network(PretrainedClassifier(AutoModelForSequenceClassification.from_config(config)), folder)
    ModelSpec("text-classification", ("LABEL_0", "LABEL_1"), 24, 0).save(folder)
    return folder


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    options = {"threads": 1, "precision": "fp32", "epochs": 30, "batch_size": 16, "rate": 2e-3, "dropout": 0.0}
    config = TrainConfig.from_json(options, model="base", task="question-answering")
    data = TrainData(rows_of(600, 1), rows_of(80, 2), ())
    train(config, data, out=folder / "out", progress=Silent(), checkpoints=FolderCheckpoints(folder / "c"), base=base)
    return folder / "out"


def ask(folder: Path, inputs: object, **parameters: object) -> object:
    spec = ModelSpec.load(folder)
    session = TorchSession(load_model(folder), REFERENCE, output=Head.load(folder).output)
    asker = Questioner(session, TASKS.get(spec.task), spec, TextEncoder.load(folder))
    return asker.ask([(inputs, parameters)]).answers[0]  # type: ignore[list-item]


def test_answers_are_found_and_withheld(trained: Path) -> None:
    found = evaluate(trained, rows_of(80, 3))
    quality, told = found.metrics, found.to_json()
    assert told["f1"] == quality.get("f1")
    searched = passage_recall(rows_of(80, 3).texts, rows_of(80, 3).labels)
    assert {name: told[name] for name in searched} == searched
    assert searched.keys() == {"passage_recall_1", "passage_recall_5"}
    assert quality.get("f1") > 0.9
    assert quality.get("no_answer_f1") > 0.6
    assert len(ModelSpec.load(trained).thresholds) == 1


def test_the_score_of_no_answer_is_its_chance(trained: Path) -> None:
    rows = rows_of(200, 4)
    task = TASKS.get("question-answering")
    asked = [task.examples.question(text, gold) for text, gold in zip(rows.texts, rows.labels, strict=True)]
    found = [ask(trained, question, handle_impossible_answer=False) for question in asked]
    chances = np.array([answer["no_answer_score"] for answer in found])  # type: ignore[index, call-overload]
    absent = np.array([not json.loads(gold)["answers"] for gold in rows.labels])
    assert chances.mean() == pytest.approx(absent.mean(), abs=0.08)
    assert chances[absent].mean() > chances[~absent].mean() + 0.3
    assert all(answer["score"] <= 1 - answer["no_answer_score"] + 1e-9 for answer in found)  # type: ignore[index, call-overload, operator]


def test_chances_are_those_of_the_rows_they_are_fitted_to() -> None:
    """Where the scores are sure of the wrong thing half of the time, the chance is a half."""
    found: list[JsonObject] = [{"no_answer_score": none, "score": 1 - none} for none in (0.999, 0.001) * 40]
    golds = [[], ["x"], ["x"], []] * 20
    slope, offset = no_answer_calibration(found, golds)
    assert slope == pytest.approx(0, abs=1e-3)
    assert offset == pytest.approx(0, abs=1e-3)
    assert no_answer_calibration(found, [["x"]] * 80) == ()


def test_places_are_characters_also_of_a_context_in_windows(trained: Path) -> None:
    context = "  ".join([*FILLER * 3, "北京", *FILLER * 2, "noon", *FILLER])
    for parameters in ({}, {"doc_stride": 4}):
        for question, word in (("where", "北京"), ("when", "noon")):
            found = ask(trained, {"question": question, "context": context}, handle_impossible_answer=False, **parameters)
            assert found["answer"] == word == context[found["start"] : found["end"]]  # type: ignore[index, call-overload]
    several = ask(trained, [{"question": "where", "context": context}], top_k=3)
    assert len(several[0]) == 3  # type: ignore[index, arg-type]


@pytest.mark.parametrize(
    ("answer", "gold", "exact", "f1"),
    [
        ("The cat!", "cat", 1.0, 1.0),
        ("the black cat", "a cat", 0.0, 2 / 3),
        ("", "", 1.0, 1.0),
        ("x", "", 0.0, 0.0),
        ("北京大学。", "北京大学", 1.0, 1.0),
        ("在北京大学", "北京", 0.0, 4 / 7),
    ],
)
def test_scores_as_the_official_scripts_count(answer: str, gold: str, exact: float, f1: float) -> None:
    assert exact_of(answer, gold) == exact
    assert f1_of(answer, gold) == pytest.approx(f1)


def test_places_are_scored_by_what_they_share() -> None:
    found = place_metrics(
        np.array([[3.0, 7.0], [0.0, 0.0], [5.0, 6.0], [1.0, 2.0]]), np.array([[3.0, 5.0], [0.0, 0.0], [0.0, 0.0], [1.0, 2.0]])
    )
    assert found.get("f1") == pytest.approx((2 / 3 + 1 + 0 + 1) / 4)
    assert found.get("exact") == 0.5
