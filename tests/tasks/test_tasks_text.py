import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanlin.errors import InvalidInput
from hanlin.tasks.text import CLEANING, SEGMENTATION, TextSettings, is_blank

TEXT = st.text(max_size=60)


def clean(text, *steps):
    return TextSettings(steps).clean(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>好<br/>吃</p>", " 好 吃 "),
        ("a < b and c > d", "a < b and c > d"),
        ("I <3 you", "I <3 you"),
        ("x<!-- hidden <b> -->y", "x y"),
        ("x<!-- never closed", "x<!-- never closed"),
        ("<script>alert('<b>')</script>ok", "  ok"),
        ("<STYLE type=x>p{}</Style >ok", "  ok"),
        ("&lt;b&gt; &amp;amp; &hearts; &#22909;&#x5403;", "<b> &amp; ♥ 好吃"),
        ("&nosuch; AT&T &#0; &#xD800;", "&nosuch; AT&T \ufffd \ufffd"),
        ("<scripted>a</scripted>", " a "),
        ("a &#" + "9" * 5000 + "; b", "a \ufffd b"),  # more digits than Python's int takes
        ("&#" + "0" * 5000 + "38;amp; &#" + "0" * 5000, "&amp; \ufffd"),
        ("İ<script>x</script>y", "İ  y"),
    ],
)
def test_html(text, expected):
    assert clean(text, "html") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\0b\x07c", "abc"),
        ("a\tb\r\nc\u2028d", "a b  c d"),
        ("\ufeff好\u200b吃\u2060", "好吃"),
        ("好\u200d吃\u200c", "好吃"),
        ("\u200d\u200d", ""),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),  # a family stays one emoji
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian needs its non-joiner
        ("\u202eevil\u202c", "evil"),
        ("soft\u00adhyphen", "softhyphen"),
        ("x\uffff\ufdd0", "x\ufdd0"),
        ("❤\ufe0f e\u0301", "❤\ufe0f e\u0301"),
    ],
)
def test_control(text, expected):
    assert clean(text, "control") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＡＢＣ１２３", "ABC123"),
        ("１３８００１３８０００", "13800138000"),
        ("好\u3000吃！，。", "好 吃!,。"),
        ("ﾊﾞﾅﾅ", "バナナ"),
        ("e\u0301", "é"),
        ("①㎏ﬁ", "①㎏ﬁ"),  # compatibility forms other than width stay
        ("ascii", "ascii"),
    ],
)
def test_width(text, expected):
    assert clean(text, "width") == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("房間很乾淨，後面", "房间很干净，后面"), ("皇后", "皇后"), ("ok", "ok"), ("ひらがな", "ひらがな")]
)
def test_simplify(text, expected):
    assert clean(text, "simplify") == expected


def test_lower_and_space():
    assert clean(" ÀB\n\u3000 C ", "lower", "space") == "àb c"


def test_steps_run_in_the_given_order():
    assert clean("&lt;b&gt;x", "html") == "<b>x"
    assert clean("＜b＞x", "width", "html") == " x"
    assert clean("＜b＞x", "html", "width") == "<b>x"


def test_segmentation():
    assert TextSettings(segmentation="character").prepare("房间very好123。") == "房 间 very 好 123。"
    assert TextSettings(segmentation="words").prepare("这家酒店的服务员很热情") == "这家 酒店 的 服务员 很 热情"
    assert TextSettings(segmentation="words").prepare("hello  world 好") == "hello world 好"
    assert TextSettings().prepare(" as it is ") == " as it is "


@given(TEXT)
@pytest.mark.parametrize("step", CLEANING)
def test_cleaning_never_fails_and_stays_valid(step, text):
    assert isinstance(CLEANING[step](text).encode("utf-8"), bytes)


@given(TEXT)
@pytest.mark.parametrize("step", ["control", "width", "space", "lower"])
def test_cleaning_twice_is_cleaning_once(step, text):
    once = CLEANING[step](text)
    assert CLEANING[step](once) == once


@given(TEXT)
@pytest.mark.parametrize("name", SEGMENTATION)
def test_segmentation_only_changes_space(name, text):
    segmented = TextSettings(segmentation=name).segment(text)
    assert "".join(segmented.split()) == "".join(text.split())


@given(TEXT)
def test_settings_survive_json(text):
    settings = TextSettings(("control", "width"), "character")
    assert TextSettings.from_json(settings.to_json()).prepare(text) == settings.prepare(text)


@given(st.text(st.characters(categories=["Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me", "Mc"]), max_size=40))
def test_nothing_visible_is_blank(text):
    assert is_blank(text)


@given(TEXT, st.characters(categories=["L", "N", "P", "S"], exclude_characters="\u115f\u1160\u2800\u3164\uffa0"), TEXT)
def test_anything_visible_is_not_blank(before, visible, after):
    assert not is_blank(before + visible + after)


@pytest.mark.parametrize(
    "hostile",
    ["<!--" * 250_000, "<script>" * 120_000, "<a" * 500_000, "&" * 1_000_000, "\u200d" * 300_000, "\u0628" + "\u200d" * 300_000 + "\u0628",
     "e" + "\u0301\u0323" * 250_000,
     "\u1100\u0f71\u0f72\u0f74" * 80_000, "<style>x</script>" * 60_000, " " * 1_000_000],
)  # fmt: skip
def test_hostile_megabytes_take_linear_time(hostile):
    # Not timed: quadratic work on a megabyte would run for minutes, far past any patience.
    TextSettings(tuple(CLEANING)).clean(hostile)
    is_blank(hostile)


def test_long_mark_runs_are_cut_to_the_stream_safe_length():
    folded = clean("e" + "\u0323\u0301" * 1000 + "好", "width")
    assert unicodedata.is_normalized("NFC", folded)
    assert len(folded) < 35
    assert folded.endswith("好")


def test_unknown_steps_are_refused():
    with pytest.raises(InvalidInput, match="nope"):
        TextSettings(("nope",))
