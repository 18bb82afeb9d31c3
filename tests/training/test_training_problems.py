"""What labels may mean: one of them, several, a number; a text alone or beside another. Learned, saved, served the same."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from hanlin.datasets import ReadOptions, SourceFile, Split, ingest, read_split
from hanlin.engines import REFERENCE
from hanlin.engines.asking import Questioner
from hanlin.engines.torch_engine import TorchSession
from hanlin.errors import InvalidInput
from hanlin.networks.head import Head
from hanlin.networks.loading import load_model
from hanlin.tasks import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.labelled import Gold
from hanlin.tasks.spec import ModelSpec
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.option_rules import Case, applies
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train

SMALL = {
    "precision": "fp32", "embedding_size": 16, "hidden_size": 16, "ngram_buckets": 256, "min_count": 1, "batch_size": 16, "epochs": 8,
    "rate": 0.02, "dropout": 0.1, "ngram_dropout": 0.1, "embedding_dropout": 0.0, "threads": 1, "average": 0.9, "wide": False,
    "tokenizer": "word",
}  # fmt: skip
FILLER = ["we", "were", "there", "last", "week", "with", "some", "friends"]
TOPICS = {"food": "soup", "room": "bed", "staff": "waiter"}


def run(folder: Path, data: TrainData, *, task: str = "text-classification", base: Path | None = None, **options: object) -> TrainReport:
    model = "base" if base else "lstm"
    small = {name: value for name, value in SMALL.items() if applies(name, Case(model, task))}
    config = TrainConfig.from_json({**small, **options}, model=model, task=task)  # type: ignore[dict-item]
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    return train(config, data, out=folder / "out", progress=Silent(), checkpoints=checkpoints, base=base)


def ask(folder: Path, inputs: object, **parameters: object) -> object:
    spec, encoder = ModelSpec.load(folder), TextEncoder.load(folder)
    session = TorchSession(load_model(folder), REFERENCE, output=Head.load(folder).output)
    return Questioner(session, TASKS.get(spec.task), spec, encoder).ask([(inputs, parameters)]).answers[0]  # type: ignore[list-item]


def texts_of(count: int, seed: int) -> list[tuple[str, list[str]]]:
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        topics = [topic for topic in TOPICS if chance.random() < 0.4]
        words = [*chance.choices(FILLER, k=5), *(TOPICS[topic] for topic in topics)]
        chance.shuffle(words)
        found.append((" ".join(words), topics))
    return found


def several(count: int, seed: int) -> Split:
    rows = texts_of(count, seed)
    return Split([text for text, _ in rows], [Gold("multi-label", tuple(sorted(topics))).annotation for _, topics in rows])


def scores(count: int, seed: int) -> Split:
    rows = texts_of(count, seed)
    return Split([text for text, _ in rows], [Gold("regression", score=20.0 + 10 * len(topics)).annotation for _, topics in rows])


def pairs(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    texts, golds = [], []
    for number in range(count):
        one, other = chance.choice("abcd"), chance.choice("abcd")
        other = one if number % 2 else other
        texts.append(f"{one} {chance.choice(FILLER)}")
        golds.append(Gold("single-label", ("same" if one == other else "other",), pair=f"{other} {chance.choice(FILLER)}").annotation)
    return Split(texts, golds)


def test_several_labels_are_learned_with_thresholds_of_their_own(tmp_path: Path) -> None:
    labels = tuple(sorted(TOPICS))
    found = run(tmp_path, TrainData(several(200, 1), several(60, 2), labels), class_weights="balanced")
    spec = ModelSpec.load(tmp_path / "out")
    assert (spec.problem, spec.labels) == ("multi-label", labels)
    assert len(spec.thresholds) == 3 and all(0 < threshold < 1 for threshold in spec.thresholds)
    assert found.config["metric"] == "loss" and 0 < found.best < 0.3
    quality = evaluate(tmp_path / "out", several(60, 3)).metrics
    assert quality.get("micro_f1") > 0.9 and quality.get("map") > 0.9 and quality.get("auc") > 0.9
    assert quality.to_json()["problem"] == "multi-label"
    row = ask(tmp_path / "out", "we were there soup bed friends")
    assert {item["label"] for item in row if item["passes"]} == {"food", "room"}  # type: ignore[index, attr-defined]
    nothing = ask(tmp_path / "out", "we were there with some friends")
    assert not any(item["passes"] for item in nothing)  # type: ignore[index, attr-defined]
    raw = ask(tmp_path / "out", "we were there", function_to_apply="none")
    assert "passes" not in raw[0]  # type: ignore[index]  # a threshold is of scores, not of raw numbers


def test_the_figure_that_is_watched_is_by_the_thresholds_that_are_saved(tmp_path: Path) -> None:
    """One row in fifteen has the label: after a short epoch no score is near a half."""
    rows, held = (
        Split([text for text, _ in found], [Gold("multi-label", ("feast",) if len(topics) == 3 else ()).annotation for _, topics in found])
        for found in (texts_of(200, 1), texts_of(120, 2))
    )
    report = run(tmp_path, TrainData(rows, held, ("feast",)), metric="micro_f1", epochs=1)
    (threshold,) = ModelSpec.load(tmp_path / "out").thresholds
    assert threshold < 0.4
    assert report.best == pytest.approx(evaluate(tmp_path / "out", held).metrics.get("micro_f1")) and report.best > 0


def test_scores_are_learned_in_their_own_unit(tmp_path: Path) -> None:
    run(tmp_path, TrainData(scores(240, 1), scores(60, 2), ()), epochs=12)
    assert ModelSpec.load(tmp_path / "out").problem == "regression"
    quality = evaluate(tmp_path / "out", scores(60, 3)).metrics
    assert quality.get("spearman") > 0.9 and quality.get("pearson") > 0.9
    low, high = (ask(tmp_path / "out", text)[0] for text in ("we were there", "soup bed waiter we"))  # type: ignore[index]
    assert low["label"] == "score" and low["score"] < 30 and high["score"] > 40


@pytest.mark.parametrize("metric", ["accuracy", "spearman"])
def test_a_figure_of_another_problem_is_refused_but_for_the_usual_one(tmp_path: Path, metric: str) -> None:
    data = TrainData(several(40, 1), several(20, 2), tuple(sorted(TOPICS)))
    if metric == "accuracy":
        run(tmp_path, data, metric=metric, epochs=1)
        return
    with pytest.raises(InvalidInput, match="spearman"):
        run(tmp_path, data, metric=metric, epochs=1)


def test_scores_among_labels_are_refused(tmp_path: Path) -> None:
    mixed = Split([*scores(20, 1).texts, *several(20, 2).texts], [*scores(20, 1).labels, *several(20, 2).labels])
    with pytest.raises(InvalidInput) as caught:
        run(tmp_path, TrainData(mixed, several(20, 2), tuple(sorted(TOPICS))))
    assert caught.value.code == "mixed_answers"


def test_pairs_are_read_together_and_alone(tmp_path: Path) -> None:
    run(tmp_path, TrainData(pairs(400, 1), pairs(80, 2), ("other", "same")), epochs=25, hidden_size=24)
    spec = ModelSpec.load(tmp_path / "out")
    assert spec.pairs == "joined"
    assert evaluate(tmp_path / "out", pairs(80, 3)).metrics.get("accuracy") > 0.85
    one = ask(tmp_path / "out", {"text": "a we", "text_pair": "a there"})
    both = ask(tmp_path / "out", [{"text": "a we", "text_pair": "a there"}, "a we"])
    assert one[0]["label"] == "same"  # type: ignore[index]
    assert both[0][0]["score"] == pytest.approx(one[0]["score"], abs=1e-6)  # type: ignore[index]


def test_a_model_of_single_texts_refuses_pairs(tmp_path: Path) -> None:
    run(tmp_path, TrainData(several(40, 1), several(20, 2), tuple(sorted(TOPICS))), epochs=1)
    with pytest.raises(InvalidInput) as caught:
        ask(tmp_path / "out", ["we were", {"text": "we", "text_pair": "there"}])
    assert caught.value.code == "text_pairs_not_taken" and caught.value.params["index"] == 1


def test_sentiment_stands_on_a_scale(tmp_path: Path) -> None:
    words = {"bad": "awful", "fair": "okay", "good": "great"}
    chance = random.Random(4)

    def rows(count: int) -> Split:
        labels = [chance.choice(sorted(words)) for _ in range(count)]
        return Split([" ".join([*chance.choices(FILLER, k=3), words[label]]) for label in labels], labels)

    data = TrainData(rows(200), rows(40), ("bad", "fair", "good"))
    with pytest.raises(InvalidInput) as caught:
        run(tmp_path / "no", data, task="sentiment")
    assert caught.value.code == "scale_unknown"
    run(tmp_path, data, task="sentiment", scale="bad<fair<good")
    spec = ModelSpec.load(tmp_path / "out")
    assert spec.scale == (-1.0, 0.0, 1.0)
    best = [ask(tmp_path / "out", f"we were {word}", top_k=1)[0] for word in ("awful", "okay", "great")]  # type: ignore[index]
    assert [item["label"] for item in best] == ["bad", "fair", "good"]
    assert np.allclose([item["value"] for item in best], [-1, 0, 1], atol=0.4)


def test_sentiment_of_an_aspect_depends_on_the_aspect(tmp_path: Path) -> None:
    """The same text is good of one thing and bad of another, so that the text alone tells nothing."""
    words = {"positive": ("great", "kind"), "negative": ("awful", "slow")}
    lines = ["text,aspect,polarity"]
    chance = random.Random(7)
    for number in range(160):
        one, other = chance.sample(sorted(TOPICS.values()), 2)
        good, bad = chance.choice(words["positive"]), chance.choice(words["negative"])
        text = f"{good} {one} {bad} {other} {number}"
        lines += [f"{text},{one},positive", f"{text},{other},negative"]
    source = tmp_path / "meals.csv"
    source.write_text("\n".join(lines), encoding="utf-8")
    ingest([SourceFile("meals.csv", source)], task=TASKS.get("sentiment"), options=ReadOptions(split="70/15/15"), out=tmp_path / "data")
    learned, validation, test = (read_split(tmp_path / "data", name) for name in ("train", "validation", "test"))
    run(tmp_path, TrainData(learned, validation, ("negative", "positive")), task="sentiment", epochs=12, min_count=5)
    assert ModelSpec.load(tmp_path / "out").pairs == "joined"
    assert evaluate(tmp_path / "out", test).metrics.get("accuracy") > 0.9
    found = ask(tmp_path / "out", [{"text": "great soup awful bed", "text_pair": aspect} for aspect in ("soup", "bed")], top_k=1)
    assert [(row[0]["label"], row[0]["value"] > 0) for row in found] == [("positive", True), ("negative", False)]  # type: ignore[attr-defined]
