"""Datasets of taggers: every form of file, the same spans."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from hanlin.datasets import ReadOptions, SourceFile, ingest, read_split
from hanlin.datasets.report import DatasetReport
from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS
from hanlin.tasks.tagged_texts import read_tagging

TASK = TASKS.get("token-classification")
CONLL = """-DOCSTART- -X- -X- O

{0} NNP B-NP {1}B-PER
lives VBZ B-VP O
in IN B-PP O
New NNP B-NP B-LOC
York NNP I-NP I-LOC

"""


def take(folder: Path, files: Mapping[str, str | bytes], **options: str) -> tuple[DatasetReport, dict[str, list[tuple[str, str]]]]:
    """The report, and each text's entities by name and own characters, of all splits together."""
    sources = []
    for name, content in files.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        sources.append(SourceFile(name, path))
    report = ingest(sources, task=TASK, options=ReadOptions(split="34/33/33", **options), out=folder / "out")
    found = {}
    for split in ("train", "validation", "test"):
        rows = read_split(folder / "out", split)
        for text, annotation in zip(rows.texts, rows.labels, strict=True):
            found[text] = [(name, text[start:end]) for start, end, name in read_tagging(annotation).entities]
    return report, found


def test_conll_files_are_sentences_with_their_last_column(tmp_path: Path) -> None:
    content = "".join(CONLL.format(f"Ada{number}", "") for number in range(20)) + "\n\n\n"
    report, found = take(tmp_path, {"train.conll": content.replace("\n", "\r\n")})
    assert report.format == "conll"
    assert len(found) == 20
    assert found["Ada3 lives in New York"] == [("PER", "Ada3"), ("LOC", "New York")]
    assert [label for label, _ in report.labels] == ["LOC", "PER"]


def test_another_column_of_conll_is_chosen_by_its_number(tmp_path: Path) -> None:
    content = "".join(CONLL.format(f"Ada{number}", "") for number in range(20))
    _, found = take(tmp_path, {"train.conll": content}, columns="tags=3")
    assert found["Ada3 lives in New York"] == [("NP", "Ada3"), ("VP", "lives"), ("PP", "in"), ("NP", "New York")]
    _, found = take(tmp_path / "two", {"train.conll": content}, columns="tags=2")
    assert found["Ada3 lives in New York"][3:] == [("NNP", "New"), ("NNP", "York")]
    with pytest.raises(InvalidInput) as caught:
        take(tmp_path / "three", {"train.conll": content}, columns="tags=9")
    assert caught.value.code == "column_not_found"
    with pytest.raises(InvalidInput) as caught:
        take(tmp_path / "four", {"train.conll": content}, columns="nonsense=2")
    assert caught.value.code == "unknown_column"


def test_universal_files_are_forms_and_parts_of_speech(tmp_path: Path) -> None:
    lines = [f"# text = x{number}\n1-2\tdu{number}\t_\t_\t_\t_\t_\t_\t_\t_\n1\tde{number}\tde\tADP\t_\t_\t0\tx\t_\t_\n"
             "2\tle\tle\tDET\t_\t_\t1\ty\t_\t_\n\n" for number in range(20)]  # fmt: skip
    _, found = take(tmp_path, {"train.conllu": "".join(lines)})
    assert found["de3 le"] == [("ADP", "de3"), ("DET", "le")]


def test_a_ragged_sentence_is_a_bad_row_and_nothing_more(tmp_path: Path) -> None:
    content = "a B-X\nb\n\n" + "".join(f"w{number} B-X\n\n" for number in range(20))
    report, found = take(tmp_path, {"train.bio": content})
    assert (report.bad_rows.total, report.bad_rows.first[0].problem, report.bad_rows.first[0].place.line) == (1, "conll_columns", 2)
    assert len(found) == 20


def test_jsonl_has_spans_of_characters_and_overlaps_are_told_by_row(tmp_path: Path) -> None:
    rows = [
        {"text": f"{number}号😀住在北京。", "entities": [{"start": len(str(number)) + 4, "end": len(str(number)) + 6, "label": "LOC"}]}
        for number in range(20)
    ]
    rows.insert(1, {"text": "北京大学", "entities": [{"start": 0, "end": 4, "label": "ORG"}, {"start": 0, "end": 2, "label": "LOC"}]})
    report, found = take(tmp_path, {"train.jsonl": "\n".join(map(json.dumps, rows))})
    assert found["7号😀住在北京。"] == [("LOC", "北京")]
    assert (report.bad_rows.total, report.bad_rows.first[0].problem, report.bad_rows.first[0].place.line) == (1, "entities_overlap", 2)


def test_tables_hold_tokens_and_tags_as_json(tmp_path: Path) -> None:
    rows = ["tokens\ttags", *(f'["Ada{number}", "left"]\t["B-PER", "O"]' for number in range(20))]
    _, found = take(tmp_path, {"train.tsv": "\n".join(rows).replace('"', '""').replace("[", '"[').replace("]", ']"')})
    assert found["Ada3 left"] == [("PER", "Ada3")]


def test_brat_files_come_in_pairs(tmp_path: Path) -> None:
    files = {}
    for number in range(20):
        files |= {
            f"doc/{number}.txt": f"😀 Ada{number:02}\r\nleft Paris.",
            f"doc/{number}.ann": "T1\tPER 2 7\tAda\nR1\tx Arg1:T1 Arg2:T1\nT2\tLOC 14 19\tParis\n",
        }
    files["doc/3.ann"] = "T1\tPER 2 4;5 6\tAd 3\n"
    files["doc/5.ann"] = f"T1\tPER 2 {'9' * 5000}\tAda\n"
    del files["doc/4.txt"]
    report, found = take(tmp_path, files)
    assert report.format == "brat"
    assert found["😀 Ada07\r\nleft Paris."] == [("PER", "Ada07"), ("LOC", "Paris")]
    assert {row.problem for row in report.bad_rows.first} == {"brat_line", "brat_text"}
    assert len(found) == 17


@pytest.mark.parametrize("codec", ["gb18030", "utf-8-sig", "utf-16"])
def test_brat_texts_have_their_own_encoding(tmp_path: Path, codec: str) -> None:
    """Spans are plain ASCII, whatever the text is."""
    files: dict[str, str | bytes] = {}
    for number in range(20):
        files[f"{number}.txt"] = f"第{number:02}位客人住在北京的酒店。".encode(codec)
        files[f"{number}.ann"] = "T1\tLOC 8 10\tBeijing\n"
    _, found = take(tmp_path, files)
    assert found["第07位客人住在北京的酒店。"] == [("LOC", "北京")]


def test_brat_texts_in_a_declared_encoding(tmp_path: Path) -> None:
    files = {f"{number}.txt": f"第{number:02}位客人住在臺灣的飯店。".encode("big5") for number in range(20)}
    _, found = take(tmp_path, files | {f"{number}.ann": "T1\tLOC 8 10\tx\n" for number in range(20)}, encoding="big5")
    assert found["第07位客人住在臺灣的飯店。"] == [("LOC", "臺灣")]


@pytest.mark.parametrize("bad_bytes", ["refuse", "skip"])
def test_a_brat_text_with_a_broken_byte_is_a_bad_row(tmp_path: Path, bad_bytes: str) -> None:
    files: dict[str, str | bytes] = {}
    for number in range(20):
        files |= {f"{number}.txt": f"Ada{number:02} left.", f"{number}.ann": "T1\tPER 0 5\tAda\n"}
    files["3.txt"] = b"Ada03 \xff left."
    report, found = take(tmp_path, files, bad_bytes=bad_bytes)
    assert [(row.place.file, row.problem) for row in report.bad_rows.first] == [("3.ann", "bytes")]
    assert len(found) == 19


def test_segmented_and_slashed_lines(tmp_path: Path) -> None:
    _, found = take(tmp_path / "a", {"train.seg": "\n".join(f"第{number} 天 好" for number in range(20))})
    assert found["第3天好"] == [("word", "第3"), ("word", "天"), ("word", "好")]
    report, found = take(tmp_path / "b", {"train.tagged": "\n".join([*(f"希望{number}/n  1/2/m 的/u" for number in range(20)), "x y/n"])})
    assert found["希望3 1/2的"] == [("n", "希望3"), ("m", "1/2"), ("u", "的")]
    assert report.bad_rows.first[0].problem == "tags_number"
