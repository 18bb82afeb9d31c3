import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from hanlin.tasks.metrics import accuracy_interval, bootstrap_interval, calibration_error, classification_metrics, wilson_interval


def random_case(rows, width, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(width), size=rows)
    return probabilities, rng.integers(0, width, size=rows)


@pytest.mark.parametrize(("rows", "width", "seed"), [(200, 2, 0), (500, 7, 1), (30, 20, 2), (1, 2, 3)])
def test_metrics_equal_the_reference(rows, width, seed):
    probabilities, gold = random_case(rows, width, seed)
    labels = [f"label {index}" for index in range(width)]
    found = classification_metrics(probabilities, gold, labels)
    predicted = probabilities.argmax(1)
    all_labels = list(range(width))
    assert found.accuracy == pytest.approx(accuracy_score(gold, predicted))
    assert found.micro_f1 == pytest.approx(f1_score(gold, predicted, average="micro"))
    assert found.macro_f1 == pytest.approx(f1_score(gold, predicted, average="macro", zero_division=0))
    assert np.array(found.confusion).tolist() == confusion_matrix(gold, predicted, labels=all_labels).tolist()
    precision, recall, f1, support = precision_recall_fscore_support(gold, predicted, labels=all_labels, zero_division=0)
    assert [item.precision for item in found.per_class] == pytest.approx(precision)
    assert [item.recall for item in found.per_class] == pytest.approx(recall)
    assert [item.f1 for item in found.per_class] == pytest.approx(f1)
    assert [item.support for item in found.per_class] == support.tolist()


def test_a_perfect_model_has_perfect_figures():
    found = classification_metrics(np.eye(3), np.arange(3), ["a", "b", "c"])
    assert (found.accuracy, found.macro_f1, found.ece) == (1.0, 1.0, 0.0)


def test_calibration_error_of_an_overconfident_model_by_hand():
    # Ten rows claim 0.9 and six are right: the gap is 0.3. Ten claim 0.6 and all are right: 0.4. Mean 0.35.
    confidence = np.array([0.9] * 10 + [0.6] * 10)
    is_right = np.array([True] * 6 + [False] * 4 + [True] * 10)
    assert calibration_error(confidence, is_right) == pytest.approx(0.35)


def test_calibration_error_takes_the_edges():
    assert calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0.0


def test_interval_equals_resampling_row_by_row():
    is_right = np.array([1.0] * 173 + [0.0] * 27)
    rng = np.random.default_rng(1)
    means = is_right[rng.integers(0, 200, size=(20_000, 200))].mean(axis=1)
    assert bootstrap_interval(173, 200) == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.01)
    assert bootstrap_interval(173, 200) == bootstrap_interval(173, 200)


@given(st.integers(1, 3000), st.data())
def test_interval_frames_the_accuracy_and_has_a_width(rows, data):
    right = data.draw(st.integers(0, rows) | st.sampled_from([0, rows]))
    low, high = accuracy_interval(right, rows)
    assert 0.0 <= low <= right / rows <= high <= 1.0
    assert low < high


def test_all_right_or_all_wrong_has_the_exact_interval():
    # Published Clopper-Pearson bounds of 0 of 10 are 0 and 0.3085; those of 21 of 21 are 0.8389 and 1.
    assert accuracy_interval(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert accuracy_interval(21, 21) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert accuracy_interval(173, 200) == bootstrap_interval(173, 200)


def test_figures_of_few_rows_carry_a_warning():
    few = classification_metrics(np.eye(3)[[0, 1, 2] * 7], np.array([0, 1, 2] * 7), ["a", "b", "c"])
    assert [item["code"] for item in few.to_json()["warnings"]] == ["few_test_rows"]
    enough = classification_metrics(np.eye(2)[[0, 1] * 50], np.array([0, 1] * 50), ["a", "b"])
    assert enough.to_json()["warnings"] == []


def test_wilson_interval_has_the_published_values() -> None:
    """Newcombe 1998, table I, method 3."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)
    assert wilson_interval(200, 200) == pytest.approx((0.9812, 1.0), abs=1e-4)
    assert (wilson_interval(200, 200)[1], wilson_interval(0, 200)[0]) == (1.0, 0.0)
