import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanlin.datasets import SPLITS, split_of
from hanlin.datasets.splits import fold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Good food", "good  FOOD!"), ("ＧＯＯＤ１２", "good12"),
        ("房間很乾淨。", "房间很干净"), ("cafe\u0301", "caf\u00e9"), ("好\u200b吃", "好吃！！"),
        ("ﾊﾞﾅﾅ", "バナナ"), ("Straße", "STRASSE"), ("👍 ", "👍"), ("_a_", "a"),
    ],
)  # fmt: skip
def test_twins_fold_alike(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("good", "goods"), ("好吃", "不好吃"), ("👍", "👎"), ("1", "2"), ("!", "?")])
def test_different_texts_stay_different(one, other):
    assert fold(one) != fold(other)


@given(st.text(max_size=40))
def test_fold_never_fails_and_never_empties_a_visible_text(text):
    if text.strip():
        assert isinstance(fold(text), str)
    assert split_of(text) in SPLITS
    assert split_of(text, "80/20") in SPLITS


def test_fold_of_hostile_marks_takes_linear_time():
    fold("e" + "\u0301\u0323" * 250_000)


@given(st.text(max_size=40))
def test_80_20_takes_test_rows_from_the_two_last_tenths(text):
    tenth = int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10
    assert (split_of(text, "80/20") == "test") == (tenth >= 8)
    assert (split_of(text) == "test") == (tenth == 9)
