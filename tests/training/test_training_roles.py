"""Role labelling end to end on small rows: learning, saving, loading, the same frames through every engine."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hanlin.compression.base import convert
from hanlin.datasets import Split
from hanlin.engines import load_variant
from hanlin.engines.asking import Questioner
from hanlin.networks.head import Head
from hanlin.tasks import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.senses import PredicateSenses
from hanlin.tasks.spec import ModelSpec
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train

TASK = TASKS.get("semantic-role-labelling")
NAMES, VERBS, THINGS = ("Ada", "Bob", "Cleo"), ("wrote", "read", "sold"), ("letters", "books", "a play")
SENSES = {"wrote": "write.01", "read": "read.01", "sold": "sell.02"}
SMALL = {
    "precision": "fp32", "embedding_size": 24, "hidden_size": 24, "ngram_buckets": 512, "min_count": 1, "batch_size": 16, "epochs": 8,
    "rate": 0.01,
    "dropout": 0.1, "ngram_dropout": 0.2, "average": 0.0, "threads": 1, "tokenizer": "wordpiece", "vocab_size": 300,
}  # fmt: skip


def rows_of(count: int, seed: int) -> Split:
    """`Ada wrote letters and Bob read a play .`: which name belongs to which verb only the marked predicate tells. `the play` is a noun."""
    chance = random.Random(seed)
    texts, annotations = [], []
    for _ in range(count):
        tokens: list[str] = []
        frames = []
        for number in range(chance.randrange(1, 3)):
            tokens += ["and"] if number else []
            start = len(tokens)
            thing = chance.choice(THINGS).split()
            tokens += [chance.choice(NAMES), chance.choice(VERBS), *thing]
            arguments = [
                {"start": start, "end": start + 1, "role": "ARG0"},
                {"start": start + 2, "end": start + 2 + len(thing), "role": "ARG1"},
            ]
            frames.append({"predicate": start + 1, "arguments": arguments, "sense": SENSES[tokens[start + 1]]})
        example = TASK.examples.read({"tokens": [*tokens, "."], "frames": frames})
        texts.append(example.text)
        annotations.append(example.annotation)
    return Split(texts, annotations)


DATA = TrainData(rows_of(200, 1), rows_of(40, 2), ("ARG0", "ARG1"))


def run(folder: Path, **options: object) -> Path:
    config = TrainConfig.from_json({**SMALL, **options}, model="lstm", task=TASK.name)  # type: ignore[dict-item]
    train(config, DATA, out=folder / "out", progress=Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"))
    return folder / "out"


def answers(folder: Path, variant: str, texts: list[str], **parameters: object) -> list:
    session = load_variant(folder, variant, threads=1)
    return Questioner(session, TASK, ModelSpec.load(folder), TextEncoder.load(folder)).ask([(texts, parameters)]).answers[0]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("roles"))


def test_roles_are_learnt_and_saved(folder: Path) -> None:
    found = evaluate(folder, DATA.validation)
    assert found.metrics.get("f1") > 0.95
    assert found.metrics.get("predicate_f1") > 0.95
    assert found.metrics.get("conll05_f1") > 0.95
    assert found.metrics.get("conll09_f1") > 0.95
    assert ModelSpec.load(folder).senses == PredicateSenses(SENSES, "01")
    assert Head.load(folder) == Head("token_logits", has_types=True)
    assert ModelSpec.load(folder).labels[-2:] == ("B-V", "I-V")
    assert evaluate(folder, DATA.validation).answers == found.answers


def test_every_engine_gives_the_same_frames_one_for_each_predicate(folder: Path, tmp_path: Path) -> None:
    texts = ["Ada wrote a play and Bob sold books .", "and", "Cleo read letters ."]
    expected = answers(folder, "torch-fp32", texts)
    assert [[(frame["predicate"], [(one["role"], one["word"]) for one in frame["arguments"]]) for frame in text] for text in expected] == [
        [("wrote", [("ARG0", "Ada"), ("ARG1", "a play")]), ("sold", [("ARG0", "Bob"), ("ARG1", "books")])],
        [],
        [("read", [("ARG0", "Cleo"), ("ARG1", "letters")])],
    ]
    assert [[frame["sense"] for frame in text] for text in expected] == [["write.01", "sell.02"], [], ["read.01"]]
    for text, frames in zip(texts, expected, strict=True):
        for item in (one for frame in frames for one in frame["arguments"]):
            assert text[item["start"] : item["end"]] == item["word"]
    for variant in ("onnxruntime-fp32", "openvino-fp32"):
        convert(folder, variant, calibration=[], workdir=tmp_path)
        found = answers(folder, variant, texts)
        assert without_scores(found) == without_scores(expected)
        assert scores_of(found) == pytest.approx(scores_of(expected), abs=1e-4)


def scores_of(answer: list) -> list[float]:
    return [part["score"] for text in answer for frame in text for part in (frame, *frame["arguments"])]


def without_scores(answer: list) -> list:
    return [[{**frame, "score": 0, "arguments": [{**one, "score": 0} for one in frame["arguments"]]} for frame in text] for text in answer]


def test_a_certificate_reads_every_tag_of_every_proposal(folder: Path) -> None:
    spec = ModelSpec.load(folder)
    inputs, parameters = TASK.probe(["Ada wrote letters .", "and"])
    numbers = TASK.read(answers(folder, "torch-fp32", inputs, **parameters), spec)  # type: ignore[arg-type]
    assert len(numbers) == 2
    assert numbers[0].shape[1] == len(spec.labels)
    assert numbers[1].sum() == 0
