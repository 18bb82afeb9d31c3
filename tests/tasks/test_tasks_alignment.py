"""The traced cleaning gives the very text of the plain one, and its spans point at what a reader would point at."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hanlin.tasks.alignment import prepare
from hanlin.tasks.text import CLEANING, SEGMENTATION, TextSettings

PIECES = [
    "<b>", "</b>", "<!-- x -->", "<script>y</script>", "&amp;", "&lt;", "&#8364;", "&notit;", "&ampx", "a < b",
    "\u200b", "\u200d", "\ufeff", "\n", "\t", "  ", "ＡＢ１", "ｶﾞ", "\u3000", "ﬁ", "e\u0301", "\u0301" * 40, "\u1112\u1161\u11ab",
    "繁體字", "頭髮", "發展", "後",
    "İ", "ẞ", "Σ", "ΑΣ", "中文", "の", "word",
    "👩\u200d🔬", "\x00", "\u2028", "ÅÄÖ",
]  # fmt: skip
ODD_TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).map("".join)
STEPS = tuple(CLEANING)


@settings(deadline=None)
@given(text=ODD_TEXT, steps=st.permutations(STEPS).flatmap(lambda order: st.integers(0, len(order)).map(lambda n: tuple(order[:n]))))
@example(text="<b>Ada</b>&nbsp;&amp; Bob", steps=STEPS)
@example(text="a &#" + "9" * 5000 + "; b &#" + "0" * 5000 + "65", steps=("html",))
@example(text="e\u0301<i>\u0301", steps=("html", "width"))
@example(text="", steps=STEPS)
@pytest.mark.parametrize("segmentation", SEGMENTATION)
def test_the_traced_text_is_the_prepared_text(segmentation, text, steps):
    settings = TextSettings(steps, segmentation)
    traced = prepare(settings, text)
    assert traced.text == settings.prepare(text)
    assert len(traced.spans) == len(traced.text)
    assert all(0 <= begin <= end <= len(text) for begin, end in traced.spans)
    assert all(one[0] <= other[0] for one, other in zip(traced.spans, traced.spans[1:], strict=False))


@pytest.mark.parametrize(
    ("text", "steps", "word", "wanted"),
    [
        ("<p>Ada &amp; <b>Bob</b> met.</p>", ("html", "space"), "Bob", "Bob"),
        ("A &lt; B", ("html",), "<", "&lt;"),
        ("  Ada\u200bLove \n lives", ("control", "space"), "AdaLove", "Ada\u200bLove"),
        ("在ＡＢＣ公司", ("width",), "ABC", "ＡＢＣ"),
        ("cafe\u0301 noir", ("width",), "café", "cafe\u0301"),
        ("他在臺灣大學", ("simplify",), "大学", "大學"),
        ("Ada LIVES", ("lower",), "lives", "LIVES"),
        ("<i>臺北</i>　ＡＢ", STEPS, "ab", "ＡＢ"),
    ],
)
def test_a_span_is_what_a_reader_would_point_at(text, steps, word, wanted):
    traced = prepare(TextSettings(steps), text)
    place = traced.text.index(word)
    begin, end = traced.original(place, place + len(word))
    assert text[begin:end] == wanted


def test_segmented_words_keep_their_places():
    text = "我爱北京天安门"
    for segmentation in ("character", "words"):
        traced = prepare(TextSettings((), segmentation), text)
        place = traced.text.index("北")
        assert traced.original(place, place + 1) == (2, 3)
