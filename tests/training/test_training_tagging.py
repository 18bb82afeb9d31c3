"""Taggers end to end on small rows: learning, saving, loading, the same answers through every engine; windows; a base."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_bert import save_bert

from hanlin.compression.base import convert
from hanlin.datasets import Split
from hanlin.engines import load_variant
from hanlin.engines.asking import Questioner
from hanlin.errors import InvalidInput
from hanlin.networks.loading import load_model
from hanlin.tasks import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.span_metrics import NOT_JUDGED
from hanlin.tasks.spec import ModelSpec
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate, judge_answers
from hanlin.training.examples import TrainData
from hanlin.training.lesson import LESSONS, Setting
from hanlin.training.option_rules import Case, applies
from hanlin.training.ports import Silent
from hanlin.training.train import train

TASK = TASKS.get("token-classification")
PARTS = [("张三丰", "PER"), ("李四", "PER"), ("北京", "LOC"), ("上海市", "LOC"), ("的", ""), ("在", ""), ("了😀", ""), ("é去", "")]
SMALL = {
    "precision": "fp32", "embedding_size": 16, "hidden_size": 16, "ngram_buckets": 256, "min_count": 1, "batch_size": 16, "epochs": 5,
    "rate": 0.02,    "heads": 2, "layers": 1, "dropout": 0.1, "ngram_dropout": 0.2, "average": 0.0, "threads": 1,
}  # fmt: skip


def rows_of(count: int, seed: int, *, longest: int = 6) -> Split:
    chance = random.Random(seed)
    texts, annotations = [], []
    for _ in range(count):
        text, entities = "", []
        for part, name in chance.choices(PARTS, k=chance.randrange(2, longest)):
            if name:
                entities.append([len(text), len(text) + len(part), name])
            text += part
        example = TASK.examples.read({"text": text, "entities": entities})
        texts.append(example.text)
        annotations.append(example.annotation)
    return Split(texts, annotations)


DATA = TrainData(rows_of(150, 1), rows_of(40, 2), ("LOC", "PER"))


def run(folder: Path, model: str = "lstm", *, base: Path | None = None, data: TrainData = DATA, **options: object) -> Path:
    small = {name: value for name, value in SMALL.items() if applies(name, Case(model, TASK.name))}
    config = TrainConfig.from_json({**small, **options}, model=model, task=TASK.name)  # type: ignore[dict-item]
    train(config, data, base=base, out=folder / "out", progress=Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"))
    return folder / "out"


def answers(folder: Path, variant: str, texts: list[str]) -> list:
    spec = ModelSpec.load(folder)
    session = load_variant(folder, variant, threads=1)
    calls = [(text, {"aggregation_strategy": "simple"}) for text in texts]
    return Questioner(session, TASK, spec, TextEncoder.load(folder)).ask(calls).answers


@pytest.mark.parametrize(
    ("model", "options"), [("lstm", {}), ("gru", {"tags": "bioes"}), ("transformer", {"rate": 0.005, "epochs": 8}), ("rnn", {"crf": False})]
)
def test_a_tagger_learns_is_saved_and_every_engine_answers_the_same(tmp_path: Path, model: str, options: dict[str, object]) -> None:
    folder = run(tmp_path, model, **options)
    found = evaluate(folder, DATA.validation)
    assert found.metrics.get("f1") > 0.95
    assert (ModelSpec.load(folder).chain is None) == (options.get("crf") is False)
    text = "张三丰在上海市的é去"
    expected = answers(folder, "torch-fp32", [text, "李四"])
    assert [(item["word"], item["entity_group"], item["start"]) for item in expected[0]] == [("张三丰", "PER", 0), ("上海市", "LOC", 4)]
    for variant in ("onnxruntime-fp32", "openvino-fp32"):
        convert(folder, variant, calibration=[], workdir=tmp_path)
        for one, other in zip(answers(folder, variant, [text, "李四"]), expected, strict=True):
            assert [item | {"score": 0} for item in one] == [item | {"score": 0} for item in other]
            np.testing.assert_allclose([item["score"] for item in one], [item["score"] for item in other], atol=1e-4)
    again = judge_answers(load_model(folder), folder, DATA.validation)
    assert again.answers == found.answers


def test_long_texts_are_learnt_in_windows_without_the_runs_that_edges_cut(tmp_path: Path) -> None:
    data = TrainData(rows_of(60, 3, longest=40), rows_of(20, 4, longest=40), ("LOC", "PER"))
    config = TrainConfig.from_json(
        {**{name: value for name, value in SMALL.items() if name != "heads"}, "train_length": 8, "tags": "bioes"},
        model="lstm",
        task=TASK.name,
    )  # type: ignore[dict-item]
    (tmp_path / "out").mkdir()
    course = LESSONS.get(TASK.name).prepare(Setting(config, data, tmp_path / "out", Silent()))
    rows = course.train  # type: ignore[attr-defined]
    assert len(rows.rows) > 3 * 60
    assert max(course.lengths) == 8
    labels = ModelSpec.load(tmp_path / "out").labels
    for gold in rows.gold:
        judged = [labels[label] for label in gold if label != NOT_JUDGED]
        assert not judged or (judged[0][0] not in "IE" and judged[-1][0] not in "BI")
    assert evaluate(run(tmp_path / "long", data=data, train_length=8, epochs=8), data.validation).metrics.get("f1") > 0.95


def test_a_base_learns_with_a_new_head(tmp_path: Path) -> None:
    folder = run(tmp_path, "base", base=encoder(tmp_path / "base"), epochs=12, rate=3e-3)
    assert ModelSpec.load(folder).labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert json.loads((folder / "config.json").read_text())["hanlin_head"]["output"] == "token_logits"
    assert evaluate(folder, DATA.validation).metrics.get("f1") > 0.9
    assert [item["word"] for item in answers(folder, "torch-fp32", ["李四在北京"])[0]] == ["李四", "北京"]


def encoder(folder: Path) -> Path:
    """A tiny BERT with words of its own, as an import leaves it."""
    save_bert(folder, sorted({character for part, _ in PARTS for character in part}), seed=1, is_normalized=True)
    ModelSpec("embedding", ("LABEL_0", "LABEL_1"), 64, 0).save(folder)
    return folder


def test_rows_without_any_name_teach_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        run(tmp_path, data=TrainData(DATA.train, Split([], []), DATA.labels))
    assert caught.value.code == "nothing_to_learn"
