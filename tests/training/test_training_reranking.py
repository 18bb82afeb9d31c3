"""Cross-encoders learn rankings: wrong texts found by words, groups, losses, a tiny corpus learnt by heart."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from hanlin.datasets import Split
from hanlin.errors import InvalidInput
from hanlin.networks.head import Head
from hanlin.tasks import TASKS, ModelSpec
from hanlin.tasks.ranking_exam import Group, groups_of, judge_groups
from hanlin.tasks.related import Related
from hanlin.tasks.word_index import WordIndex
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.lessons.reranking import listwise_loss, pointwise_loss
from hanlin.training.option_rules import Case, applies
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train

TINY = {
    "threads": 1, "precision": "fp32", "hidden_size": 32, "layers": 2, "heads": 2, "batch_size": 2, "max_length": 16, "rate": 1e-3,
    "tokenizer": "word", "dropout": 0.0, "min_count": 1, "epochs": 40, "negatives": 9,
}  # fmt: skip


def rows(*, graded: bool = False) -> Split:
    """A query has one right text among those that share its words; with scores each has a half-right one too."""
    found = []
    for number in range(10):
        found.append(Related(f"ask{number}", f"tell{number} it", score=2.0 if graded else None))
        if graded:
            found += [
                Related(f"ask{number}", f"tell{(number + step) % 10} it", score=score) for step, score in ((1, 1.0), (2, 0.0), (3, 0.0))
            ]
    return Split([item.first for item in found], [item.annotation() for item in found])


def fit(data: Split, folder: Path, base: Path | None = None, **options: object) -> TrainReport:
    model = "base" if base else "transformer"
    tiny = {name: value for name, value in TINY.items() if applies(name, Case(model, "reranking"))}
    config = TrainConfig.from_json({**tiny, **options}, model=model, task="reranking")  # type: ignore[dict-item]
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    return train(config, TrainData(data, data, ()), base=base, out=folder / "out", progress=Silent(), checkpoints=checkpoints)


def test_words_and_pairs_of_characters_are_found() -> None:
    index = WordIndex(["a red fox", "a red car", "红色的狐狸", "a a a a"])
    assert index.nearest("fox red", 2) == [0, 1]
    assert index.nearest("狐狸", 1) == [2]
    assert index.nearest("a red fox", 3, besides=[0]) == [1, 3]  # nothing of the fox in Chinese
    assert index.nearest("a red fox", 1) == [0]
    assert index.nearest("sea", 2) == []


def test_a_query_without_wrong_texts_gets_the_nearest_of_others() -> None:
    found = groups_of([Related("fox", "the red fox"), Related("fox", "a fox"), Related("car", "a red car"), Related("sea", "sea")], mined=1)
    assert found[0] == Group("fox", ("a red car", "the red fox", "a fox"), (0.0, 1.0, 1.0))
    assert [group.query for group in found] == ["fox", "car", "sea"]
    own = groups_of([Related("a", "x", ("y",)), Related("a", "z", score=3.0)], mined=5)
    assert own == [Group("a", ("y", "x", "z"), (0.0, 1.0, 3.0))]


def test_where_words_find_nothing_any_texts_are_the_wrong_ones() -> None:
    examples = [Related(f"ask{number}", f"tell{number}") for number in range(20)]
    found = groups_of(examples, mined=3)
    assert found == groups_of(examples, mined=3)
    wrong = {text for group in found for text in group.texts[:-1]}
    assert all(len(set(group.texts)) == 4 and group.relevance == (0.0, 0.0, 0.0, 1.0) for group in found)
    assert len(wrong) > 10  # not the same few for everyone
    near = groups_of([*examples, Related("ask tell3", "x")], mined=4, drawn=3)[-1]
    assert near.texts[0] == "tell3"


def test_scores_on_any_scale_make_a_ranking() -> None:
    groups = [Group("a", ("x", "y", "z"), (20.0, 50.0, 100.0))]
    assert judge_groups(groups, [[1.0, 2.0, 3.0]]).get("ndcg") == 1.0
    gains = [(2**gain - 1) for gain in (10, 5, 2)]
    discounts = [1, 1 / math.log2(3), 1 / 2]
    best, worst = (sum(map(math.prod, zip(order, discounts, strict=True))) for order in (gains, gains[::-1]))
    assert judge_groups(groups, [[3.0, 2.0, 1.0]]).get("ndcg") == pytest.approx(worst / best)


@pytest.mark.parametrize("options", [{"epochs": 60}, {"loss": "listwise"}])
@pytest.mark.parametrize("graded", [False, True])
def test_rankings_are_learnt_by_heart(tmp_path: Path, options: dict[str, object], graded: bool) -> None:
    data = rows(graded=graded)
    report = fit(data, tmp_path, **options)
    assert report.best > 0.9
    assert evaluate(tmp_path / "out", data).metrics.get("ndcg") == pytest.approx(report.best, abs=1e-6)
    assert Head.load(tmp_path / "out").has_types


def test_an_embedder_becomes_a_cross_encoder(tmp_path: Path) -> None:
    config = TrainConfig.from_json({**TINY, "epochs": 1}, model="transformer", task="embedding")  # type: ignore[dict-item]
    data = TrainData(rows(), rows(), ())
    train(config, data, out=tmp_path / "base", progress=Silent(), checkpoints=FolderCheckpoints(tmp_path / "c"))
    fit(rows(), tmp_path / "ranker", base=tmp_path / "base", epochs=1)
    spec = ModelSpec.load(tmp_path / "ranker/out")
    assert (spec.task, spec.vectors, len(spec.labels)) == ("reranking", None, 1)
    evaluate(tmp_path / "ranker/out", rows())


def test_losses_are_those_of_their_papers() -> None:
    logits, gains = torch.tensor([1.0, 0.0, 5.0]), [torch.tensor([1.0, 0.0]), torch.tensor([1.0])]
    assert float(listwise_loss(logits, gains)) == pytest.approx(math.log(1 + math.exp(-1)) / 2)
    right, wrong = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-5)), math.log(2)
    assert float(pointwise_loss(logits, gains, 3.0)) == pytest.approx((3 * right + wrong) / 3)


def test_lone_texts_and_foreign_losses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as error:
        fit(rows(), tmp_path, loss="cosent")
    assert error.value.code == "invalid_training_option"
    with pytest.raises(InvalidInput) as error:
        TASKS.get("reranking").exam(["a"], ModelSpec("reranking", ("L",), 8, 0))  # type: ignore[attr-defined]  # see `SetsExams`
    assert error.value.code == "not_judged"
