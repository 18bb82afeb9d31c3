"""Translation memories: every encoding and order of languages, the same pairs."""

from __future__ import annotations

import codecs
import json
from functools import partial
from pathlib import Path

import pytest

from hanlin.datasets import ReadOptions, SourceFile, ingest, lines, read_split
from hanlin.datasets.formats import FIELD_FORMATS, tmx
from hanlin.datasets.lines import Meter
from hanlin.datasets.report import DatasetReport
from hanlin.datasets.values import BadRow
from hanlin.encodings import Encoding
from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS

TASK = TASKS.get("translation")


def unit(**texts: str) -> str:
    versions = "\n".join(f'<tuv xml:lang="{name.replace("_", "-")}">\n<seg>{text}</seg>\n</tuv>' for name, text in texts.items())
    return f"<tu>\n{versions}\n</tu>\n"


def memory(*units: str, encoding: str = "UTF-8", source: str = "en-US") -> str:
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n'
    header = f'<header creationtool="t" segtype="sentence" adminlang="en-US" srclang="{source}" datatype="plaintext"/>'
    return f'{head}<tmx version="1.4">\n{header}\n<body>\n{"".join(units)}</body>\n</tmx>\n'


def pairs(count: int = 20) -> list[str]:
    """Every third unit stands the other way round."""
    units = []
    for n in range(count):
        texts = {"en_US": f"Row {n} is new.", "zh_CN": f"第{n}行是新的。"}
        units.append(unit(**(dict(reversed(texts.items())) if n % 3 == 0 else texts)))
    return units


def take(folder: Path, content: bytes | str, **options: str) -> tuple[DatasetReport, dict[str, str]]:
    """The report, and the target of each source."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    report = ingest([SourceFile("a.tmx", path)], task=TASK, options=ReadOptions(split="34/33/33", **options), out=folder / "out")
    rows = [read_split(folder / "out", split) for split in ("train", "validation", "test")]
    return report, {text: json.loads(gold)["target"] for part in rows for text, gold in zip(part.texts, part.labels, strict=True)}


def refusal(folder: Path, content: str, **options: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        take(folder, content, **options)
    return caught.value


def fields_of(folder: Path, content: str) -> list[dict[str, object]]:
    path = folder / "file"
    path.write_text(content, encoding="utf-8")
    rows = [*FIELD_FORMATS.get("tmx").read(SourceFile("a.tmx", path), Encoding("utf-8"), Meter(0, None))]
    return [dict(row.fields) for row in rows if not isinstance(row, BadRow)]


@pytest.mark.parametrize(
    ("said", "codec", "mark"),
    [
        ("UTF-8", "utf-8", b""), ("utf-8", "utf-8", codecs.BOM_UTF8), ("UTF-16", "utf-16-le", codecs.BOM_UTF16_LE),
        ("UTF-16", "utf-16-be", codecs.BOM_UTF16_BE), ("GB18030", "gb18030", b""),
    ],
)  # fmt: skip
def test_files_say_their_encoding_and_units_stand_in_either_order(tmp_path: Path, said: str, codec: str, mark: bytes) -> None:
    report, found = take(tmp_path, mark + memory(*pairs(), encoding=said).encode(codec))
    assert found == {f"Row {n} is new.": f"第{n}行是新的。" for n in range(20)}
    assert (report.format, report.bad_rows.total) == ("tmx", 0)


def test_columns_choose_the_languages_and_with_them_the_direction(tmp_path: Path) -> None:
    _, found = take(tmp_path, memory(*pairs()), columns="source=zh,target=en")
    assert found == {f"第{n}行是新的。": f"Row {n} is new." for n in range(20)}
    _, found = take(tmp_path / "case", memory(*pairs()), columns="source=zh-CN,target=EN")
    assert found["第3行是新的。"] == "Row 3 is new."
    error = refusal(tmp_path / "other", memory(*pairs()), columns="source=fr,target=en")
    assert (error.code, error.params["columns"]) == ("column_not_found", "“zh”, “en”, “zh-cn”, “en-us”, “source”, “target”")


def test_of_three_languages_a_unit_may_lack_one(tmp_path: Path) -> None:
    units = [unit(de=f"Zeile {n}.", en=f"Row {n}.", **({"zh": f"第{n}行。"} if n else {})) for n in range(20)]
    report, found = take(tmp_path, memory(*units, source="*all*"), columns="source=en,target=zh")
    assert found == {f"Row {n}.": f"第{n}行。" for n in range(1, 20)}
    assert [(row.problem, row.place.line) for row in report.bad_rows.first] == [("text_missing", 6)]
    _, found = take(tmp_path / "plain", memory(*units, source="*all*"))
    assert found["Zeile 3."] == "Row 3."
    _, found = take(tmp_path / "header", memory(*units, source="EN"))
    assert found["Row 3."] == "Zeile 3."


def test_variants_of_a_language_are_one_unless_there_is_no_other(tmp_path: Path) -> None:
    wide = fields_of(tmp_path, memory(unit(en_GB="Colour", en_US="Color", zh="颜色"), unit(en_US="Gray", zh="灰色"), source="en"))
    assert [(row["source"], row["target"], row["en-us"], row["en-gb"]) for row in wide] == [
        ("Colour", "颜色", "Color", "Colour"), ("Gray", "灰色", "Gray", None),
    ]  # fmt: skip
    narrow = fields_of(tmp_path, memory(unit(zh_TW="軟體", zh_CN="软件"), source="zh-CN"))
    assert [(row["source"], row["target"]) for row in narrow] == [("软件", "軟體")]


def test_codes_of_markup_are_no_words_and_marked_words_are(tmp_path: Path) -> None:
    text = 'Press <bpt i="1">&lt;b&gt;</bpt>Save<ept i="1">&lt;/b&gt;</ept> <hi>now</hi>, A &amp; B'
    assert fields_of(tmp_path, memory(unit(en=text, zh="按“保存”")))[0]["source"] == "Press Save now, A & B"


def test_a_file_may_be_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tmx, "read_pieces", partial(lines.read_pieces, size=50))
    plain = memory(*pairs())
    _, found = take(tmp_path, plain.replace("\n", ""))
    assert found == {f"Row {n} is new.": f"第{n}行是新的。" for n in range(20)}


@pytest.mark.parametrize("size", [7, 8, 9, 50])
def test_entities_are_found_wherever_a_line_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(tmx, "read_pieces", partial(lines.read_pieces, size=size))
    declared = memory(*pairs(15)).replace('"tmx14.dtd">', '"tmx14.dtd" [<!ENTITY a "b">]>').replace("\n", "")
    assert refusal(tmp_path, declared).code == "xml_unreadable"


def test_a_broken_byte_costs_its_unit_where_such_rows_are_left_out(tmp_path: Path) -> None:
    content = memory(*pairs()).encode().replace(b"Row 7 is new", b"Row \xff is new")
    report, found = take(tmp_path, content, bad_bytes="skip")
    assert found == {f"Row {n} is new.": f"第{n}行是新的。" for n in range(20) if n != 7}
    assert [(row.problem, row.place.line) for row in report.bad_rows.first] == [("bytes", 62)]
    with pytest.raises(InvalidInput) as caught:
        take(tmp_path / "strict", content)
    assert (caught.value.code, caught.value.params["line"]) == ("mixed_encoding", 64)


def test_units_without_a_language_are_called_by_their_places(tmp_path: Path) -> None:
    bare = memory(unit(x="Row", y="行")).replace(' xml:lang="x"', "").replace(' xml:lang="y"', "")
    assert fields_of(tmp_path, bare) == [{"1": "Row", "2": "行", "source": "Row", "target": "行"}]
    old = memory(unit(en="Row", zh="行")).replace("xml:lang", "lang")
    assert fields_of(tmp_path, old)[0]["zh"] == "行"


@pytest.mark.parametrize(
    ("change", "line"),
    [(("</tmx>", ""), 127), (("<tuv", "<tu"), 9), (('"tmx14.dtd">', '"tmx14.dtd" [\n<!ENTITY a "b">]>'), 3)],
    ids=["cut off", "not closed", "entities"],
)
def test_what_is_no_memory_is_told_with_its_line(tmp_path: Path, change: tuple[str, str], line: int) -> None:
    error = refusal(tmp_path, memory(*pairs(15)).replace(*change))
    assert error.code == "xml_unreadable"
    assert error.params["line"] == line


def test_markup_may_be_nested_as_deep_as_a_file_is_long(tmp_path: Path) -> None:
    deep = f"a {'<hi>b<bpt>x</bpt>' * 3000}c{'</hi>d' * 3000}"
    assert fields_of(tmp_path, memory(unit(en=deep, zh="词")))[0]["source"] == f"a {'b' * 3000}c{'d' * 3000}"


def test_a_file_of_more_languages_than_there_are_is_refused(tmp_path: Path) -> None:
    """Each is a field of every row: their number times that of the rows."""
    units = [unit(en="Row", **{f"x{number}": "Row"}) for number in range(tmx.MAX_LANGUAGES)]
    assert len(fields_of(tmp_path, memory(*units[1:]))) == len(units) - 1
    error = refusal(tmp_path, memory(*units))
    assert (error.code, error.params["limit"]) == ("too_many_languages", tmx.MAX_LANGUAGES)


def test_languages_that_are_told_are_few_and_short(tmp_path: Path) -> None:
    error = refusal(tmp_path, memory(*(unit(en="Row", **{f"x{n}{'y' * 5000}": "Row"}) for n in range(40))), columns="source=fr,target=en")
    assert error.code == "column_not_found"
    assert len(str(error)) < 2000
