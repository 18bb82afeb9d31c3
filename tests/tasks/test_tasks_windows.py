"""Long texts in windows: what the cuts promise, what the encoder makes of them, how classification merges them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, ModelSpec
from hanlin.tasks.base import Limits
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.windows import MAX_WINDOWS, Window, cut_windows, max_tokens, num_windows

WORDS = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{n}" for n in range(500))])}
LIMITS = Limits(max_items=8)


def encoder_of(max_length: int) -> TextEncoder:
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return TextEncoder(tokenizer, ModelSpec("text-classification", ("no", "yes"), max_length, 0))


def text_of(length: int) -> str:
    return " ".join(f"w{number % 500}" for number in range(length))


def distance(window: Window, token: int) -> float:
    return abs(token + 0.5 - (window.start + window.end) / 2)


@settings(deadline=None)
@given(st.integers(1, 4000), st.integers(1, 300))
def test_windows_cover_a_text_and_every_token_is_owned_where_it_stands_most_central(num_tokens: int, room: int) -> None:
    windows = cut_windows(num_tokens, room)
    assert len(windows) == num_windows(num_tokens, room)
    assert (windows[0].start, windows[-1].end) == (0, num_tokens)
    assert all(window.end - window.start == min(room, num_tokens) for window in windows)
    assert [token for window in windows for token in range(window.own_start, window.own_end)] == list(range(num_tokens))
    for number, window in enumerate(windows):
        for token in (window.own_start, window.own_end - 1) if window.num_own else ():
            assert distance(window, token) <= min(distance(other, token) for other in windows[max(0, number - 2) : number + 3]) + 1
    shared = [before.end - after.start for before, after in pairwise(windows)]
    assert all(overlap >= room // 4 for overlap in shared)


@settings(deadline=None)
@given(st.integers(1, 300))
def test_the_longest_text_takes_just_the_windows_allowed(room: int) -> None:
    assert num_windows(max_tokens(room), room) == MAX_WINDOWS
    assert num_windows(max_tokens(room) + 1, room) == MAX_WINDOWS + 1


def test_a_long_text_becomes_framed_windows_between_its_neighbours() -> None:
    encoder = encoder_of(10)
    short, long = text_of(3), text_of(18)
    found = encoder.plan([short, long, short], "window")
    whole = encoder_of(100).encode([long])[0]
    assert found.cut == ()
    assert list(found.windows) == [1]
    assert found.rows[0] == found.rows[-1] == encoder.encode([short])[0]
    assert found.rows[1:-1] == [[2, *whole[1:-1][window.start : window.end], 3] for window in found.windows[1]]
    assert len(found.rows) == 2 + len(found.windows[1]) == 5


def test_a_cut_text_is_named() -> None:
    found = encoder_of(10).plan([text_of(3), text_of(18), text_of(30)], "truncate")
    assert found.cut == (1, 2)
    assert [len(row) for row in found.rows] == [5, 10, 10]
    assert found.rows[1][-1] == 3


@pytest.mark.parametrize("characters", [1, 40])  # few or many of them a token
def test_a_text_beyond_all_windows_is_refused_with_its_limit(characters: int) -> None:
    encoder = encoder_of(10)
    room = max_tokens(8)
    word = "w" * characters
    assert len(encoder.plan([" ".join([word] * room)], "window").rows) == MAX_WINDOWS
    with pytest.raises(InvalidInput) as caught:
        encoder.plan(["w1", " ".join([word] * (room + 1))], "window")
    assert (caught.value.code, caught.value.params["index"], caught.value.params["limit"]) == ("text_too_long", 1, room + 2)


def test_windows_of_a_request_are_bounded() -> None:
    encoder = encoder_of(10)
    with pytest.raises(InvalidInput) as caught:
        encoder.plan([text_of(18)] * 3, "window", max_windows=8)
    assert (caught.value.code, caught.value.params["windows"], caught.value.params["limit"]) == ("too_many_windows", 9, 8)
    assert len(encoder.plan([text_of(18)] * 2 + ["w1"] * 20, "window", max_windows=6).rows) == 26, "short texts are not counted"


def test_classification_weighs_windows_by_their_own_tokens() -> None:
    windows = (Window(0, 10, 0, 8), Window(6, 16, 8, 16), Window(12, 22, 16, 20))
    rows = [{"logits": np.array(values, dtype=np.float32)} for values in ([1.0, 0.0], [3.0, 0.0], [0.0, 5.0])]
    merged = TASKS.get("text-classification").merge(windows, rows)["logits"]
    assert merged.tolist() == pytest.approx([(8 * 1 + 8 * 3) / 20, 4 * 5 / 20])


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, None),
        ({"long_text": None}, None),
        ({"long_text": "window"}, "window"),
        ({"long_text": "refuse"}, "refuse"),
        ({"truncation": True}, "truncate"),
        ({"truncation": False}, "refuse"),
    ],
)
def test_a_call_may_say_what_becomes_of_long_texts(parameters: dict, expected: str | None) -> None:
    assert TASKS.get("text-classification").check("a", parameters, limits=LIMITS).options.long_text == expected


@pytest.mark.parametrize("parameters", [{"long_text": "cut"}, {"long_text": 1}, {"long_text": "window", "truncation": True}])
def test_a_call_may_not_say_just_anything(parameters: dict) -> None:
    with pytest.raises(InvalidInput) as caught:
        TASKS.get("text-classification").check("a", parameters, limits=LIMITS)
    assert (caught.value.code, caught.value.params["name"]) == ("invalid_parameter", "long_text")
