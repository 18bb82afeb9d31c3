"""Datasets of semantic roles: JSONL frames, CoNLL-2005 and CoNLL-2012 props, CoNLL-2009, the same frames."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanlin.datasets import ReadOptions, SourceFile, ingest, read_split
from hanlin.datasets.report import DatasetReport
from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS
from hanlin.tasks.frames import read_frames

TASK = TASKS.get("semantic-role-labelling")
WANTED = [("wrote", [("ARG0", "Ada{}"), ("ARG1", "a letter"), ("ARGM-TMP", "today")]), ("smiled", [("ARG0", "Ada{}")])]


def take(folder: Path, name: str, content: str) -> tuple[DatasetReport, dict[str, list]]:
    """The report, and each text's frames in words."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "file"
    path.write_text(content, encoding="utf-8")
    report = ingest([SourceFile(name, path)], task=TASK, options=ReadOptions(split="34/33/33"), out=folder / "out")
    found = {}
    for split in ("train", "validation", "test"):
        rows = read_split(folder / "out", split)
        for text, annotation in zip(rows.texts, rows.labels, strict=True):
            frames = read_frames(annotation)
            found[text] = [
                (text[slice(*frame.predicate)], [(role, text[start:end]) for start, end, role in frame.arguments]) for frame in frames
            ]  # fmt: skip
    return report, found


def senses_of(folder: Path) -> list[list[tuple[str, str]]]:
    """The words and senses of what `take` kept."""
    rows = read_split(folder / "out", "train")
    return [
        [(text[slice(*frame.predicate)], frame.sense) for frame in read_frames(annotation)]
        for text, annotation in zip(rows.texts, rows.labels, strict=True)
    ]


def wanted(number: int) -> list:
    return [(verb, [(role, words.format(number)) for role, words in arguments]) for verb, arguments in WANTED]


def test_frames_of_jsonl(tmp_path: Path) -> None:
    arguments = [{"start": 0, "end": 1, "role": "ARG0"}, {"start": 2, "end": 4, "role": "ARG1"}, {"start": 4, "end": 5, "role": "ARGM-TMP"}]
    frames = [{"predicate": 1, "arguments": arguments}, {"predicate": 6, "arguments": arguments[:1]}]
    rows = [{"tokens": [f"Ada{n}", "wrote", "a", "letter", "today", "and", "smiled"], "frames": frames} for n in range(20)]
    report, found = take(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert found["Ada3 wrote a letter today and smiled"] == wanted(3)
    assert [label for label, _ in report.labels] == ["ARG0", "ARG1", "ARGM-TMP"]


PROPS = """{} - (A0* (A0*)
wrote write (V*) *
a - (A1* *
letter - *) *
today - (AM-TMP*) *
and - * *
smiled smile * (V*)

"""


def test_props_of_conll_2005(tmp_path: Path) -> None:
    content = "".join(PROPS.format(f"Ada{n}").replace("(A0* (", "(A0*) (") for n in range(20))
    report, found = take(tmp_path, "a.props", content + PROPS.format("Ada99").replace("*)", "*"))
    assert found["Ada3 wrote a letter today and smiled"] == wanted(3)
    assert report.bad_rows.first[0].problem == "props_brackets"


def test_props_of_conll_2012(tmp_path: Path) -> None:
    lines = [
        line.split()
        for line in PROPS.replace("(A0* (", "(ARG0*) (")
        .replace("(A0", "(ARG0")
        .replace("(A1", "(ARG1")
        .replace("(AM", "(ARGM")
        .splitlines()
        if line
    ]
    head = ["#begin document (x); part 000"]
    framesets = {"write": "03"}
    body = [
        "\t".join(["x", "0", str(at), word, "P", "*", lemma, framesets.get(lemma, "-"), "-", "-", "*", *roles, "-"])
        for at, (word, lemma, *roles) in enumerate(lines)
    ]
    content = "\n".join([*head, *("\n".join(body).format(f"Ada{n}") + "\n" for n in range(20)), "#end document", ""])
    _, found = take(tmp_path, "a.gold_conll", content)
    assert found["Ada3 wrote a letter today and smiled"] == wanted(3)
    assert senses_of(tmp_path)[0] == [("wrote", "write.03"), ("smiled", "")]


@pytest.mark.parametrize("name", ["a.gold_conll", "a.conll12", "a.conll09"])
def test_lines_of_too_few_columns_are_bad_rows(tmp_path: Path, name: str) -> None:
    """Bug: a file of CoNLL-2012 with fewer than four columns ended its job with an internal error."""
    files = [SourceFile(name, tmp_path / "file")]
    files[0].path.write_text("Ada wrote\n\nAda\n\n", encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        ingest(files, task=TASK, options=ReadOptions(), out=tmp_path / "out")
    assert "not the columns of the format" in str(caught.value.params)


def test_heads_of_conll_2009(tmp_path: Path) -> None:
    rows = [
        ("Ada{}", "_", "A0", "A0"),
        ("wrote", "write.01", "_", "_"),
        ("letters", "_", "A1", "_"),
        ("today", "_", "AM-TMP", "_"),
        ("smiling", "smile.01", "_", "_"),
    ]
    body = [
        "\t".join([str(at), word, *["_"] * 10, "Y" if sense != "_" else "_", sense, *roles])
        for at, (word, sense, *roles) in enumerate(rows, 1)
    ]
    _, found = take(tmp_path, "a.conll09", "".join("\n".join(body).format(n) + "\n\n" for n in range(20)))
    assert found["Ada3 wrote letters today smiling"] == [
        ("wrote", [("ARG0", "Ada3"), ("ARG1", "letters"), ("ARGM-TMP", "today")]), ("smiling", [("ARG0", "Ada3")]),
    ]  # fmt: skip
    assert senses_of(tmp_path)[0] == [("wrote", "write.01"), ("smiling", "smile.01")]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("A1", "ARG1"), ("C-A1", "C-ARG1"), ("R-A0", "R-ARG0"), ("AA", "ARGA"), ("AM-TMP", "ARGM-TMP"), ("C-AM-LOC", "C-ARGM-LOC"),
        ("C-R-A1", "C-R-ARG1"), ("ARG2", "ARG2"), ("R-ARGM-LOC", "R-ARGM-LOC"), ("ADV", "ADV"), ("AGENT", "AGENT"),
        ("A0|R-A1|ADV", "ARG0|R-ARG1|ADV"),
    ],
)  # fmt: skip
def test_roles_have_the_same_names_in_all_forms(tmp_path: Path, said: str, name: str) -> None:
    props = "".join(f"Ada{n} - (A0*)\nwrote write (V*)\nletters - ({said}*)\n\n" for n in range(20))
    _, found = take(tmp_path / "props", "a.props", props)
    assert found["Ada3 wrote letters"] == [("wrote", [("ARG0", "Ada3"), (name, "letters")])]
    cells = [("Ada{}", "_", "A0"), ("wrote", "write.01", "_"), ("letters", "_", said)]
    heads = ["\t".join([str(at), word, *["_"] * 11, sense, role]) for at, (word, sense, role) in enumerate(cells, 1)]
    _, found = take(tmp_path / "heads", "a.conll09", "".join("\n".join(heads).format(n) + "\n\n" for n in range(20)))
    assert found["Ada3 wrote letters"] == [("wrote", [("ARG0", "Ada3"), (name, "letters")])]


def test_a_dash_is_nothing_in_chinese_files_of_conll_2009(tmp_path: Path) -> None:
    cells = [("他{}", "-", "A0"), ("卖", "卖.01", "-"), ("书", "-", "A1")]
    lines = ["\t".join([str(at), word, *["_"] * 11, sense, role]) for at, (word, sense, role) in enumerate(cells, 1)]
    _, found = take(tmp_path, "a.conll09", "".join("\n".join(lines).format(n) + "\n\n" for n in range(20)))
    assert found["他3卖书"] == [("卖", [("ARG0", "他3"), ("ARG1", "书")])]
