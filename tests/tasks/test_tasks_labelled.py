"""Examples and metrics of several labels, scores and pairs; the field's definitions."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, BadExample, Limits, ModelSpec
from hanlin.tasks.label_metrics import average_precision, multi_label_metrics, roc_area, score_metrics, tuned_thresholds
from hanlin.tasks.labelled import Gold, problem_of, read_gold
from hanlin.tasks.names import ALIASES, ELSEWHERE, canonical
from hanlin.tasks.sentiment import scale_of

FORM = TASKS.get("text-classification").examples


@pytest.mark.parametrize(
    ("fields", "gold"),
    [
        ({"label": "a"}, Gold("single-label", ("a",))),
        ({"label": "{odd}"}, Gold("single-label", ("{odd}",))),
        ({"label": 3}, Gold("single-label", ("3",))),
        ({"label": ["b", "a", "b"]}, Gold("multi-label", ("a", "b"))),
        ({"label": '["b", "a"]'}, Gold("multi-label", ("a", "b"))),
        ({"label": []}, Gold("multi-label")),
        ({"label": {"toxic": "1", "rude": "0", "mean": True}}, Gold("multi-label", ("mean", "toxic"))),
        ({"score": "3.5"}, Gold("regression", score=3.5)),
        ({"score": " -1.5e-3 "}, Gold("regression", score=-0.0015)),
        ({"score": "+.5"}, Gold("regression", score=0.5)),
        ({"score": 2, "text_pair": "other"}, Gold("regression", score=2.0, pair="other")),
        ({"label": "a", "text_pair": "other"}, Gold("single-label", ("a",), pair="other")),
        ({"label": "a", "text_pair": ""}, Gold("single-label", ("a",))),
    ],
)
def test_rows_are_read_and_come_back_from_their_annotation(fields: dict[str, object], gold: Gold) -> None:
    example = FORM.read({"text": "one"} | fields)
    assert read_gold(example.annotation) == gold
    assert example.labels == gold.labels
    assert FORM.question("one", example.annotation) == ({"text": "one", "text_pair": gold.pair} if gold.pair else "one")
    assert (example.group == "one") == bool(gold.pair)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"label": {"a": "2"}}, "flag"),
        ({"score": "high"}, "score"),
        ({"score": float("nan")}, "score"),
        ({"score": "1_000"}, "score"),
        ({"score": "１２"}, "score"),
        ({"score": "٣"}, "score"),
        ({"score": "inf"}, "score"),
        ({"score": "0x10"}, "score"),
        ({"score": "1e308"}, "score"),
        ({"score": 1e308}, "score"),
        ({"score": 10**400}, "score"),
        ({"score": b"1"}, "score"),
        ({"score": True}, "score"),
        ({"label": [1.5]}, "label"),
        ({}, "label_missing"),
        ({"label": "a", "text_pair": ["other"]}, "second_text_type"),
        ({"label": "a", "text_pair": 5}, "second_text_type"),
        ({"label": "a", "text_pair": " "}, "second_text_empty"),
        ({"label": "a", "text_pair": "\ud800"}, "second_text_unicode"),
        ({"label": "a", "text_pair": "a" * (2**20 + 1)}, "second_text_too_long"),
    ],
)
def test_what_is_no_label_is_told(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(BadExample) as caught:
        FORM.read({"text": "one"} | fields)
    assert caught.value.problem == problem


def test_one_row_of_several_makes_all_of_them_such_and_scores_stand_alone() -> None:
    one, several, score = Gold("single-label", ("a",)), Gold("multi-label", ("a",)), Gold("regression", score=1.0)
    assert problem_of([one, several]) == "multi-label"
    assert problem_of([score]) == "regression"
    with pytest.raises(InvalidInput) as caught:
        problem_of([one, score])
    assert caught.value.code == "mixed_answers"


def test_areas_as_the_definition_counts_them() -> None:
    chance = np.random.default_rng(3)
    scores, gold = chance.integers(0, 6, 60) / 5, chance.random(60) < 0.4  # ties on purpose
    pairs = [(0.5 if one == other else float(one > other)) for one in scores[gold] for other in scores[~gold]]
    assert roc_area(scores, gold) == pytest.approx(np.mean(pairs))
    cuts = sorted(set(scores), reverse=True)
    recall, total = 0.0, 0.0
    for cut in cuts:
        passes = scores >= cut
        now = (passes & gold).sum() / gold.sum()
        total += (now - recall) * (passes & gold).sum() / passes.sum()
        recall = now
    assert average_precision(scores, gold) == pytest.approx(total)


def test_metrics_of_several_labels_by_hand() -> None:
    gold = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=bool)
    scores = np.array([[0.9, 0.2], [0.8, 0.3], [0.7, 0.1], [0.2, 0.6]])
    found = multi_label_metrics(scores, scores >= 0.5, gold, ("a", "b"))
    assert (found.accuracy, found.micro_f1) == (0.5, pytest.approx(2 * 3 / (4 + 4)))
    assert [item.f1 for item in found.per_class] == [pytest.approx(0.8), pytest.approx(2 / 3)]
    assert found.auc == found.map == 1.0
    assert found.interval[0] <= found.micro_f1 <= found.interval[1]


def test_thresholds_give_the_best_f1_and_rare_labels_keep_a_half() -> None:
    chance = np.random.default_rng(1)
    gold = np.zeros((200, 2), dtype=bool)
    gold[:40, 0] = True
    gold[:3, 1] = True
    scores = np.where(gold, 0.3, 0.1) + chance.random((200, 2)) * 0.25
    low, rare = tuned_thresholds(scores, gold)
    assert rare == 0.5

    def f1(threshold: float) -> float:
        passes = scores[:, 0] >= threshold
        return float(2 * (passes & gold[:, 0]).sum() / (passes.sum() + gold[:, 0].sum()))

    assert f1(low) == pytest.approx(max(f1(value) for value in np.linspace(0, 1, 501)), abs=1e-3)


def test_metrics_of_scores() -> None:
    found = score_metrics(np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.get("spearman") == pytest.approx(1.0)
    assert 0.9 < found.get("pearson") < 1.0
    assert found.get("mse") == pytest.approx((0 + 0 + 1 + 16) / 4)


def test_old_specs_load_and_new_fields_come_back() -> None:
    plain = ModelSpec("text-classification", ("a", "b"), 8, 0)
    assert set(plain.to_json()) == {"format", "task", "labels", "max_length", "pad_id", "text", "languages"}
    assert ModelSpec.from_json(plain.to_json()) == plain
    whole = ModelSpec("sentiment", ("a", "b"), 8, 0, problem="multi-label", thresholds=(0.25, 0.5), pairs="typed", scale=(-1.0, 1.0))
    assert ModelSpec.from_json(whole.to_json()) == whole


@pytest.mark.parametrize(
    "fields",
    [
        {"problem": "odd"},
        {"problem": "regression"},
        {"pairs": "three"},
        {"scale": (1.0,)},
        {"problem": "multi-label", "thresholds": (0.5,)},
    ],
)
def test_specs_that_contradict_themselves_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        ModelSpec("text-classification", ("a", "b"), 8, 0, **fields)  # type: ignore[arg-type]
    assert caught.value.code == "invalid_model_spec"


@pytest.mark.parametrize(
    ("inputs", "texts", "pairs"),
    [
        ({"text": "a", "text_pair": "b"}, ("a",), ("b",)),
        (["a", {"text": "b", "text_pair": "c"}], ("a", "b"), ("", "c")),
        (["a", "b"], ("a", "b"), ()),
    ],
)
def test_pairs_beside_texts(inputs: object, texts: tuple[str, ...], pairs: tuple[str, ...]) -> None:
    found = TASKS.get("text-classification").check(inputs, {}, limits=Limits())  # type: ignore[arg-type]
    assert (found.texts, found.options.pairs) == (texts, pairs)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "inputs", [{"text": "a", "text_pair": ""}, {"text": "a", "text_pair": 1}, [{"text": "a"}], [{"text": "a", "text_pair": "b"}, 5]]
)
def test_half_pairs_are_refused(inputs: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        TASKS.get("text-classification").check(inputs, {}, limits=Limits())  # type: ignore[arg-type]
    assert caught.value.code in {"invalid_inputs", "empty_text"}


def test_scales_of_usual_labels() -> None:
    assert scale_of("", ("1", "2", "5")) == (1.0, 2.0, 5.0)
    assert scale_of("", ("negative", "neutral", "positive")) == (-1.0, 0.0, 1.0)
    assert scale_of("", ("好评", "差评")) == (1.0, -1.0)
    assert scale_of("x<y<z", ("z", "x", "y")) == (1.0, -1.0, 0.0)
    for stated, labels in (("", ("odd", "even")), ("x<y", ("x", "y", "z")), ("", ("pos", "positive"))):
        with pytest.raises(InvalidInput):
            scale_of(stated, labels)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("ner", "token-classification"),
        ("Feature-Extraction", "embedding"),
        ("sentiment-analysis", "sentiment"),
        ("translation_en_to_zh", "translation"),
        (" NER", "token-classification"),
        ("Text-Generation", "text-generation"),
        ("odd", "odd"),
    ],
)
def test_names_of_other_libraries(name: str, ours: str) -> None:
    assert canonical(name) == ours


@pytest.mark.parametrize(
    ("name", "code"), [("table-question-answering", "task_elsewhere"), ("image-classification", "task_not_of_language")]
)
def test_tasks_of_elsewhere_are_refused_by_name(name: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TASKS.get(name)
    assert caught.value.code == code
    assert name in caught.value.message


def test_every_name_of_elsewhere_leads_to_a_task_or_is_refused() -> None:
    """Those of Hugging Face's own list too, which grows: a new one must be decided on."""
    ours = set(TASKS.names())
    assert set(ALIASES.values()) <= ours
    assert {nearest for nearest in ELSEWHERE.values() if nearest} <= ours
    assert not ours & {*ALIASES, *ELSEWHERE}
    (folder,) = find_spec("huggingface_hub").submodule_search_locations
    files = Path(folder, "inference", "_generated", "types").glob("*.py")
    theirs = {path.stem.replace("_", "-") for path in files} - {"--init--", "base"}
    assert {"feature-extraction", "table-question-answering"} < theirs
    assert [name for name in theirs if name not in ELSEWHERE and canonical(name) not in ours] == []
