"""Corpora out of large packages and of Debian's archive, from a few real pieces of them."""

import json

import pytest

from hanlin.datasets.corpora import CORPORA
from hanlin.datasets.corpora.package_lists import _LEAST
from hanlin.datasets.debian import Description, Entry

MAIL = """From: a@example.com
Subject: Life Insurance
 - Why Pay More?
Content-Type: text/html; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

<HTML><STYLE>p {color: red}</STYLE><!-- x --><BODY>Save up to=20=
<b>70%</b> &amp; more</BODY></HTML>
"""
PAGE = """<html><body><h1 id="hd_id1"><a name="x"></a>{title}</h1><ol><li><p id="par_id2">{first}</p></li></ol>
<p id="par_id3">{second}</p><p id="other">{second} again</p><h2 id="hd_id4">{heading}</h2><p id="par_id5">{third}</p></body></html>"""
ENGLISH = {
    "title": "Versions and Build Numbers",
    "first": "Choose <span class=emph>Help - About LibreOffice</span>. This opens a dialog containing information about the program.",
    "second": 'Press <span hidden="true" id="MACx">Command</span><span hidden="true" id="defaultx">Ctrl</span>+S to see who has made it.',
    "heading": "Window",
    "third": "The window shows all of the help pages that belong to a program, one after the other.",
}
CHINESE = {
    "title": "版本和编译号",
    "first": "选择「<span class=emph>帮助 - 关于 LibreOffice</span>」，将打开一个包含程序信息的对话框。",
    "second": "按 Ctrl+S 查看贡献者名单，其中列出了所有参与编写本帮助的人员。",
    "heading": "窗口",
    "third": "Not translated yet, this one.",
}


def rows(name, source):
    return list(CORPORA.get(name).rows(source))


def test_mails_lose_their_markup_and_headers(excerpts):
    mail = {"group": "spam-1", "text": MAIL}
    good = {"group": "easy-ham-1", "text": "Subject: Re: hi\n\nplain   text\n"}
    source = excerpts(files={"a": json.dumps(mail).encode(), "b": json.dumps(good).encode(), "c": json.dumps(good).encode()})
    assert rows("spam", source) == [
        {"text": "Life Insurance - Why Pay More?\nSave up to 70% & more", "label": "spam"},
        {"text": "Re: hi\nplain text", "label": "ham"},
    ]


def test_poems_are_simplified_in_order(excerpts):
    song = [{"author": "和岘", "paragraphs": ["气和玉烛，睿化著鸿明。"], "rhythmic": "导引"}]
    tang = [{"author": "太宗皇帝", "paragraphs": ["秦川雄帝宅，函谷壯皇居。", "綺殿千尋起，離宮百雉餘。"], "title": "帝京篇十首 一"}]
    files = {
        "package/dist/songci/ci.song.0.json": song, "package/dist/quantangshi/poet.tang.0.json": tang,
        "package/dist/songci/author.json": [],
    }  # fmt: skip
    found = rows("chinese-poems", excerpts(files={name: json.dumps(poems).encode() for name, poems in files.items()}))
    assert [row["kind"] for row in found] == ["tang-shi", "song-ci"]
    assert found[0]["text"] == "秦川雄帝宅，函谷壮皇居。\n绮殿千寻起，离宫百雉余。"


@pytest.fixture
def help_pages(excerpts, tmp_path):
    folders = {}
    for package, code, words in (("libreoffice-help-en-us", "en-US", ENGLISH), ("libreoffice-help-zh-cn", "zh-CN", CHINESE)):
        folders[package] = tmp_path / package
        text = folders[package] / "usr/share/libreoffice/help" / code / "text/shared"
        text.mkdir(parents=True)
        (text / "versions.html").write_text(PAGE.format(**words), encoding="utf-8")
    return excerpts(folders=folders)


def test_pages_line_up_by_their_ids(help_pages):
    found = rows("help-translation", help_pages)
    assert [(row["source"], row["target"]) for row in found][:2] == [
        ("Versions and Build Numbers", "版本和编译号"),
        (
            "Choose Help - About LibreOffice. This opens a dialog containing information about the program.",
            "选择「帮助 - 关于 LibreOffice」，将打开一个包含程序信息的对话框。",
        ),
    ]
    assert found[2]["source"] == "Press Ctrl+S to see who has made it."
    assert len(found) == 4
    assert {row["group"] for row in found} == {"shared/versions"}


def test_headings_find_their_text(help_pages):
    english, chinese = rows("help-retrieval-en", help_pages), rows("help-retrieval-zh", help_pages)
    assert [row["query"] for row in english] == ["Versions and Build Numbers", "Window"]
    assert [row["query"] for row in chinese] == ["版本和编译号"]  # the other section is not translated
    assert rows("help-headings-zh", help_pages)[0]["summary"] == "版本和编译号"


def entry(
    name, *, synopsis="a game", paragraphs=("It is long enough to be a description of what the package does, and then more.",), **more
):
    said = {"en": Description(synopsis, paragraphs), **more.pop("others", {})}
    return Entry(name, more.get("section", "games"), more.get("tags", ()), said)


def test_descriptions_pair_by_paragraph(excerpts):
    french = {"fr": Description("un jeu", ("Premier.", "Second."))}
    pairs = rows("package-translation-fr", excerpts(entries=(entry("a", paragraphs=("First.", "Second one."), others=french), entry("b"))))
    assert [(row["source"], row["target"]) for row in pairs] == [("a game", "un jeu"), ("First.", "Premier."), ("Second one.", "Second.")]
    assert rows("package-translation-fr", excerpts(entries=(entry("a", others=french),)))[0]["source"] == "a game"  # counts differ: no more


def test_synopses_and_families(excerpts):
    shared = "A library for many things, which is described here at length so that it can be told."
    entries = (
        entry("a", paragraphs=(shared, "Runtime.")),
        entry("b", paragraphs=(shared, "Headers.")),
        entry("c", paragraphs=(shared, "Headers.")),
    )
    found = rows("package-synopsis", excerpts(entries=entries))
    assert len(found) == 2  # the third says the same as the second
    assert len({row["group"] for row in found}) == 1
    assert len(rows("package-retrieval", excerpts(entries=entries))) == 1


def test_rare_sections_and_tags_are_left_out(excerpts):
    many = tuple(
        entry(f"a{at}", synopsis=f"game {at}", paragraphs=(f"Number {at} of them.",), tags=("use::gameplaying",)) for at in range(_LEAST)
    )
    source = excerpts(entries=(*many, entry("b", section="odd", tags=("use::rare", "role::program"))))
    assert {row["label"] for row in rows("package-sections", source)} == {"games"}
    assert {tuple(row["labels"]) for row in rows("package-tags", source)} == {("use::gameplaying",)}


def test_likeness_is_the_share_of_common_tags(excerpts):
    tags = ("use::a", "use::b", "role::c", "field::d")
    source = excerpts(entries=(entry("a", tags=tags), entry("b", paragraphs=("Another text.",), tags=(*tags[:3], "field::e"))))
    assert {row["score"] for row in rows("package-similarity", source)} <= {0.6}


def test_definitions_become_questions(excerpts):
    said = ("Blender is an integrated 3d suite for modelling and animation. This is a program that renders. It is a tool for artists.",)
    found = rows("package-questions", excerpts(entries=(entry("blender", paragraphs=said),)))
    assert found[0]["question"] == "What is Blender?"
    assert found[0]["answers"] == {"text": ["an integrated 3d suite for modelling and animation"], "answer_start": [11]}


def test_what_is_not_of_a_package_is_of_its_section(excerpts):
    entries = tuple(
        entry(f"p{at}", synopsis=f"thing {at}", paragraphs=(f"Description {at} " + "that goes on and on " * 6,)) for at in range(40)
    )
    for row in rows("package-pairs", excerpts(entries=entries)):
        assert (row["text"].split()[1] == row["text_pair"].split()[1]) == (row["label"] == "same")
