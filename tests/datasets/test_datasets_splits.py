import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanlin.datasets import SPLITS, split_of
from hanlin.datasets.options import ReadOptions
from hanlin.datasets.splits import fold
from hanlin.errors import InvalidInput


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


@given(st.text(max_size=40))
def test_shares_of_ones_go_by_hundredths_and_tens_by_tenths(text):
    number = int(hashlib.sha256(text.encode()).hexdigest(), 16)
    assert split_of(text, "70/15/15") == SPLITS[(number % 100 >= 70) + (number % 100 >= 85)]
    assert split_of(text, "60/20/20") == SPLITS[(number % 10 >= 6) + (number % 10 >= 8)]
    assert (split_of(text, "75/25") == "test") == (number % 100 >= 75)


@pytest.mark.parametrize(
    "rule", ["70/15/16", "100", "100/0", "0/50/50", "80", "80/10/5/5", "80/20 ", "８0/20", "-10/110", "a/b/c", "1e1/90", ""]
)
def test_what_is_no_split_is_refused_by_the_option_s_name(rule):
    for take in (lambda: ReadOptions(split=rule), lambda: split_of("text", rule)):
        with pytest.raises(InvalidInput) as caught:
            take()
        assert caught.value.code == "invalid_dataset_split"
        assert "--split" in caught.value.next_step
