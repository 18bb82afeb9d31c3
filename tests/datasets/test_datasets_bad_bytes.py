"""`bad_bytes="skip"`: rows whose bytes are not of the file's encoding are left out and counted, with their lines."""

from __future__ import annotations

import json

import pytest

REVIEWS = [(f"第{index}家酒店的服务员非常热情，房间干净", "好评" if index % 2 else "差评") for index in range(60)]
BROKEN = {7, 30, 58}  # rows; the header is line 1


def csv_of(codec: str, broken: set[int] = BROKEN) -> bytes:
    rows = [f"{text},{label}".encode(codec) for text, label in REVIEWS]
    return b"\n".join([b"text,label", *(b"\xff" + row if number in broken else row for number, row in enumerate(rows)), b""])


def places(report) -> list[tuple[int, str]]:
    return [(item.place.line, item.problem) for item in report.bad_rows.first]


def sound_twin(bench) -> str:
    rows = [f"{text},{label}" for number, (text, label) in enumerate(REVIEWS) if number not in BROKEN]
    return bench.ingest(("twin.csv", "\n".join(["text,label", *rows, ""]))).digest


@pytest.mark.parametrize(("codec", "declared"), [("utf-8", ""), ("utf-8", "utf-8"), ("gb18030", ""), ("gb18030", "gbk")])
def test_broken_rows_are_left_out_and_named(bench, codec, declared):
    content = csv_of(codec)
    assert bench.refusal(("rows.csv", content), encoding=declared).code in {"invalid_encoding", "mixed_encoding"}
    report = bench.ingest(("rows.csv", content), encoding=declared, bad_bytes="skip")
    assert places(report) == [(number + 2, "bytes") for number in sorted(BROKEN)]
    assert (report.rows_read, report.bad_rows.total) == (60, 3)
    assert report.digest == sound_twin(bench)
    assert report.to_json()["bad_rows"]["first"][0]["problem_zh"] == "含有不符合文件编码的字节"


def test_of_another_encoding_that_is_declared(bench):
    rows = [f"房間乾淨{number},{'ab'[number % 2]}".encode("big5") for number in range(60)]
    content = b"\n".join([b"text,label", *rows, b"\xff,a", b""])
    assert places(bench.ingest(("rows.csv", content), encoding="big5", bad_bytes="skip")) == [(62, "bytes")]


def test_the_first_ten_are_listed_and_all_are_counted(bench):
    report = bench.ingest(("rows.csv", csv_of("utf-8", set(range(10, 25)))), bad_bytes="skip")
    assert (report.bad_rows.total, len(report.bad_rows.first)) == (15, 10)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_of_json_the_object_goes(bench, name):
    objects = [json.dumps({"text": text, "label": label}, ensure_ascii=False).encode() for text, label in REVIEWS]
    objects = [item.replace("第".encode(), b"\xff") if number in BROKEN else item for number, item in enumerate(objects)]
    is_lines = name.endswith("l")
    content = b"\n".join(objects) if is_lines else b"[" + b",\n".join(objects) + b"]"
    report = bench.ingest((name, content), bad_bytes="skip")
    assert places(report) == [(number + 1, "bytes") for number in sorted(BROKEN)]
    assert report.digest == sound_twin(bench)


def test_of_label_files_the_line_or_the_text_goes(bench):
    lines = {label: [text.encode() for text, found in REVIEWS if found == label] for label in ("好评", "差评")}
    lines["好评"][3] += b"\xff"
    report = bench.ingest(*((f"{label}.txt", b"\n".join(texts)) for label, texts in lines.items()), bad_bytes="skip")
    assert places(report) == [(4, "bytes")]
    files = [(f"{label}/{number}.txt", f"{text}".encode()) for number, (text, label) in enumerate(REVIEWS)]
    files[5] = (files[5][0], "一\n二".encode() + b"\xff")
    report = bench.ingest(*files, bad_bytes="skip", format="folder")
    assert [(item.place.file, item.place.line) for item in report.bad_rows.first] == [(files[5][0], 2)]


def test_a_record_over_several_lines_goes_as_one(bench):
    rows = csv_of("utf-8", set()) + b'"one\n two \xff\n three",x\n'
    report = bench.ingest(("rows.csv", rows), bad_bytes="skip")
    assert places(report) == [(63, "bytes")]


def test_few_broken_lines_among_plain_ones_are_skipped_and_another_encoding_is_not(bench):
    english = b"text,label\n" + b"".join(b"stay number %d,%s\n" % (index, b"ab"[index % 2 : index % 2 + 1]) for index in range(60))
    assert places(bench.ingest(("rows.csv", english + b"broken \xff byte,a\n"), bad_bytes="skip")) == [(62, "bytes")]
    latin = "text,label\n" + "".join(f"très bon café numéro {index},{'ab'[index % 2]}\n" for index in range(60))
    assert bench.refusal(("rows.csv", latin.encode("cp1252")), bad_bytes="skip").code == "invalid_encoding"


def test_what_is_no_matter_of_single_rows_is_refused_all_the_same(bench):
    assert bench.refusal(("rows.csv", b"te\xffxt,label\n" + csv_of("utf-8")), bad_bytes="skip").params["line"] == 1
    mostly_gbk = b"".join(row.encode("utf-8" if number == 40 else "gbk") + b",a\n" for number, (row, _) in enumerate(REVIEWS))
    assert bench.refusal(("rows.csv", b"text,label\n" + mostly_gbk), bad_bytes="skip").code == "mixed_encoding"
    assert bench.refusal(("rows.csv", csv_of("utf-8")), encoding="gbk", bad_bytes="skip").code == "invalid_encoding"
    assert bench.refusal(("rows.csv", csv_of("utf-8")), bad_bytes="perhaps").code == "invalid_dataset_option"
