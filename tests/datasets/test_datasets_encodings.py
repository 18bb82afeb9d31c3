"""C118: rows equal their UTF-8 twin, or an error with the line number; never other words in silence."""

import codecs

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CHINESE = [f"第{index}家酒店的服务员非常热情，房间干净" for index in range(60)]
CONTENT = "text,label\n" + "".join(f"{text},{'好评' if index % 2 else '差评'}\n" for index, text in enumerate(CHINESE))
ENGLISH = "text,label\n" + "".join(f"A fine stay number {index},{'good' if index % 2 else 'bad'}\n" for index in range(60))
ENCODED = {
    "utf-8-sig": codecs.BOM_UTF8 + CONTENT.encode(),
    "gbk": CONTENT.encode("gbk"),
    "gb18030": CONTENT.encode("gb18030"),
    "utf-16-le-bom": codecs.BOM_UTF16_LE + CONTENT.encode("utf-16-le"),
    "utf-16-be-bom": codecs.BOM_UTF16_BE + CONTENT.encode("utf-16-be"),
    "utf-16-le": CONTENT.encode("utf-16-le"),
    "utf-16-be": CONTENT.encode("utf-16-be"),
    "utf-32-le-bom": codecs.BOM_UTF32_LE + CONTENT.encode("utf-32-le"),
    "utf-32-be-bom": codecs.BOM_UTF32_BE + CONTENT.encode("utf-32-be"),
}


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("suffix", ["csv", ""])
def test_rows_equal_the_utf8_twin(bench, name, suffix):
    twin = bench.ingest(("twin.csv", CONTENT))
    assert bench.ingest((f"rows.{suffix}", ENCODED[name])).digest == twin.digest


@pytest.mark.parametrize(
    ("name", "declared"),
    [("utf-8-sig", "utf-8"), ("gbk", "gbk"), ("gbk", "gb2312"), ("gbk", "gb18030"), ("utf-16-le-bom", "utf-16"),
     ("utf-16-be-bom", "utf-16"),
     ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be"), ("utf-16-le", "utf-16"), ("utf-32-le-bom", "utf-32"),
     ("utf-32-be-bom", "utf-32-be")],
)  # fmt: skip
def test_rightly_declared(bench, name, declared):
    assert bench.ingest(("rows.csv", ENCODED[name]), encoding=declared).digest == bench.ingest(("twin.csv", CONTENT)).digest


@pytest.mark.parametrize("codec", ["big5", "shift_jis", "euc-kr", "cp1252", "latin-1"])
def test_other_encodings_when_declared(bench, codec):
    word = {"big5": "房間乾淨", "shift_jis": "とても良い", "euc-kr": "아주좋아요"}.get(codec, "très bon café")
    content = "text,label\n" + "".join(f"{word} {index},{'ab'[index % 2]}\n" for index in range(60))
    twin = bench.ingest(("twin.csv", content))
    assert bench.ingest(("rows.csv", content.encode(codec)), encoding=codec).digest == twin.digest


@pytest.mark.parametrize(
    ("content", "declared", "line"),
    [
        (CONTENT.encode("gbk"), "utf-8", 2),
        (CONTENT.encode(), "gbk", 2),
        (CONTENT.encode(), "gb18030", 2),
        (CONTENT.encode(), "big5", 2),
        (CONTENT.encode(), "latin-1", 2),
        (CONTENT.encode(), "utf-16-le", 1),
        (ENGLISH.encode(), "utf-16", 1),
        (ENCODED["utf-8-sig"], "gbk", 1),
        (ENCODED["utf-16-le-bom"], "utf-8", 1),
        (ENGLISH.encode() + b"broken \xff byte,good\n", "utf-8", 62),
        (ENGLISH.encode("utf-16-le") + b"\x00\xd8", "utf-16-le", 62),
        (ENCODED["utf-32-le-bom"], "utf-16", 1),
        (ENGLISH.encode(), "utf-32", 1),
    ],
)
def test_wrongly_declared_is_an_error_with_the_line(bench, content, declared, line):
    error = bench.refusal(("rows.csv", content), encoding=declared)
    assert (error.code, error.params["line"]) == ("invalid_encoding", line)


EMOJI = "text,label\n" + "".join(f"😀{chr(0x1F601 + index)},{'好坏'[index % 2]}\n" for index in range(60))


@pytest.mark.parametrize("codec", ["utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("content", [CONTENT, ENGLISH, EMOJI])
def test_utf_32_without_a_mark_is_named_and_read_when_declared(bench, codec, content):
    error = bench.refusal(("rows.csv", content.encode(codec)))
    assert (error.code, error.params["encoding"]) == ("utf32_without_bom", codec)
    assert "UTF-8" in error.advice("zh")
    assert codec in error.text("zh")
    twin = bench.ingest(("twin.csv", content))
    assert bench.ingest(("rows.csv", content.encode(codec)), encoding=codec).digest == twin.digest


def test_mixed_encodings_name_the_line_of_the_change(bench):
    lines = CONTENT.splitlines(keepends=True)
    mostly_utf8 = b"".join(line.encode("gbk" if index == 40 else "utf-8") for index, line in enumerate(lines))
    error = bench.refusal(("rows.csv", mostly_utf8))
    assert (error.code, error.params["line"], error.params["encoding"]) == ("mixed_encoding", 41, "utf-8")
    mostly_gbk = b"".join(line.encode("utf-8" if index == 40 else "gbk") for index, line in enumerate(lines))
    error = bench.refusal(("rows.csv", mostly_gbk))
    assert (error.code, error.params["line"], error.params["encoding"]) == ("mixed_encoding", 41, "gb18030")
    assert bench.refusal(("rows.csv", mostly_gbk), encoding="gbk").params["line"] == 41


def test_short_lines_of_utf_8_are_not_taken_for_gb18030_because_of_a_broken_one(bench):
    """All their bytes are GB18030 too, as other words."""
    lines = "text,label\n" + "".join(f"很好{index},{'ab'[index % 2]}\n" for index in range(60))
    assert lines.encode().decode("gb18030") != lines
    error = bench.refusal(("rows.csv", lines.encode() + "太差,a\n".encode("gbk")))
    assert (error.code, error.params["line"], error.params["encoding"]) == ("invalid_encoding", 62, "utf-8")


def test_latin_text_is_not_taken_for_chinese(bench):
    content = "text,label\n" + "".join(f"très bon café numéro {index},{'ab'[index % 2]}\n" for index in range(60))
    error = bench.refusal(("rows.csv", content.encode("cp1252")))
    assert (error.code, error.params["line"]) == ("invalid_encoding", 2)
    assert "cp1252" in error.advice("en")
    assert "cp1252" in error.advice("zh")
    assert len(bench.ingest(("rows.csv", content.encode("cp1252")), encoding="cp1252").digest) == 64


def test_one_broken_line_is_advised_to_be_corrected(bench):
    error = bench.refusal(("rows.csv", CONTENT.encode("gb18030") + b"\xff\xff,x\n"))
    assert (error.code, error.params["encoding"]) == ("invalid_encoding", "gb18030")
    assert error.advice("en").startswith("Correct or remove that line")


def test_a_stray_zero_does_not_make_a_file_utf_16(bench):
    broken = ENGLISH.encode() + b"a zero \x00 here,good\n" + b"broken \xff\xfe bytes,bad\n"
    error = bench.refusal(("rows.csv", broken))
    assert (error.code, error.params["line"], error.params["encoding"]) == ("invalid_encoding", 63, "utf-8")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_with_few_zeros_is_still_found(bench, codec):
    content = "text,label\n" + "".join(
        f"{'房间很大，下次还会再来住。' * 4}{chr(0x4E00 + index)},{'好坏'[index % 2]}\n" for index in range(60)
    )
    twin = bench.ingest(("twin.csv", content))
    assert bench.ingest(("rows.csv", content.encode(codec))).digest == twin.digest


def test_truncated_character_at_the_end(bench):
    error = bench.refusal(("rows.csv", (CONTENT + "好").encode()[:-1]))
    assert error.code in {"invalid_encoding", "mixed_encoding"}
    assert error.params["line"] == 62


def test_an_error_far_in_a_large_file_has_its_line(bench):
    lines = [f"row {index} {'好' * 20},{'ab'[index % 2]}" for index in range(50_000)]
    content = bytearray("\n".join(["text,label", *lines]).encode())
    at = content.index(b"row 43210 ")
    content[at] = 0xFF
    assert bench.refusal(("rows.csv", bytes(content))).params["line"] == 43_212


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=2, max_size=20), max_size=20),
    st.sampled_from(["gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"]),
)
def test_any_chinese_survives_any_encoding(bench, extra, codec):
    content = CONTENT + "".join(f"{text},好评\n" for text in extra)
    twin = bench.ingest(("twin.csv", content))
    assert bench.ingest(("rows.csv", content.encode(codec))).digest == twin.digest


def test_a_program_is_no_text_in_any_encoding(bench):
    code = b"\x7fELF\x02\x01\x01" + b"\xf3\x0f\x1e\xfa\x48\x83\xec\x08\x00\x00\x00\x00\x00\x00\xc4\xe3" * 200
    assert bench.refusal(("rows.csv", code)).code == "unknown_format"
    assert bench.refusal(("rows", code)).code == "unknown_format"


@pytest.mark.parametrize("mode", ["refuse", "skip"])
@pytest.mark.parametrize("name", ["utf-16-le-bom", "utf-16-be-bom", "utf-32-le-bom", "utf-32-be-bom"])
def test_a_byte_missing_from_wide_characters_is_no_matter_of_one_row(bench, name, mode):
    """All that follows would be one endless line of other words, and one bad row for hundreds that are lost."""
    content = ENCODED[name]
    width = 4 if "32" in name else 2
    end = "\n".encode(name.removesuffix("-bom"))
    at = (
        content.index(end, content.index(end, len(content) // width // 2 * width) + width) - 3 * width
    )  # in a label: lines end all right before
    line = content[width:at].decode(name.removesuffix("-bom")).count("\n") + 1
    for lost in (content[:at] + content[at + 1 :], content[:at] + content[at + 1 : -width - 1] + content[-width:]):
        error = bench.refusal(("rows.csv", lost), bad_bytes=mode)
        assert (error.code, error.params["line"]) == ("invalid_encoding", line)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_wide_characters_that_look_like_line_ends_are_text(bench, codec):
    r"""U+0A0A and U+0A85 hold the byte of `\n`."""
    content = CONTENT + "".join(f"\u0a85\u0a0a\u0a05{index} \u3000,好评\r\n" for index in range(300))
    content = content.replace("\u0a0a", "\u0a15")
    twin = bench.ingest(("twin.csv", content))
    assert bench.ingest(("rows.csv", content.encode(codec)), encoding=codec, bad_bytes="skip").digest == twin.digest


def test_of_utf_16_that_is_cut_within_a_character_the_last_row_goes(bench):
    report = bench.ingest(("rows.csv", ENCODED["utf-16-le-bom"] + "末行,好评".encode("utf-16-le")[:-1]), bad_bytes="skip")
    assert [(item.place.line, item.problem) for item in report.bad_rows.first] == [(62, "bytes")]
    assert report.rows_read == 61
