"""Each format by itself: columns, line numbers, quotes, broken files."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanlin.datasets import read_labels, read_split

GOOD = [f"row number {index},{'a' if index % 2 else 'b'}" for index in range(60)]


def bad_lines(report):
    return [(item.place.line, item.problem) for item in report.bad_rows.first]


def texts(bench):
    return {text for split in ("train", "validation", "test") for text in read_split(bench.out, split).texts}


def test_columns_by_alias_and_any_case(bench):
    for header in ("Review,Sentiment", "内容,标签", " TEXT , Label ", "id,text,label,content"):
        rows = GOOD if header.count(",") == 1 else [f"{index},{line},x" for index, line in enumerate(GOOD)]
        report = bench.ingest(("rows.csv", "\n".join([header, *rows])))
        assert report.rows_kept == 60


def test_columns_by_option(bench):
    report = bench.ingest(("rows.csv", "\n".join(["Frage,Klasse", *GOOD])), text="Frage", label="klasse")
    assert report.columns == (("text", "Frage"), ("label", "Klasse"))


@pytest.mark.parametrize(
    ("header", "options", "code", "shown"),
    [
        ("frage,klasse", {}, "column_not_found", "“frage”, “klasse”"),
        ("text,klasse", {}, "column_not_found", "“klasse”"),
        ("review,comment,label", {}, "column_ambiguous", "“review”, “comment”"),
        ("text,text,label", {}, "column_ambiguous", "“text”"),
        ("text,label", {"text": "nope"}, "column_not_found", "nope"),
        ("text,label", {"text": "label"}, "column_ambiguous", "“label”"),
        ("text", {}, "column_not_found", "“text”"),
    ],
)
def test_unclear_columns_list_what_was_found(bench, header, options, code, shown):
    error = bench.refusal(("rows.csv", "\n".join([header, *GOOD])), **options)
    assert error.code == code
    assert shown in error.message


def test_line_numbers_survive_quoted_line_ends(bench):
    content = ["text,label", '"two', 'lines",a', '"three', "", 'lines",b', ",a", *GOOD, "x,", '"a ""quote"" and, comma",b']
    report = bench.ingest(("rows.csv", "\r\n".join(content)))
    assert bad_lines(report) == [(7, "text_empty"), (68, "label_missing")]
    assert texts(bench) >= {"two\r\nlines", "three\r\n\r\nlines", 'a "quote" and, comma'}


def test_a_quote_that_never_closes_costs_one_row(bench):
    content = ["text,label", *GOOD[:30], '"never closed,a', *GOOD[30:]]
    report = bench.ingest(("rows.csv", "\n".join(content)))
    assert report.rows_kept == 60
    assert bad_lines(report) == [(32, "quotes")]


def test_two_stray_quotes_never_merge_the_rows_between(bench):
    content = ["text,label", *GOOD[:20], '"open,a', *GOOD[20:40], '"open again,b', *GOOD[40:]]
    report = bench.ingest(("rows.csv", "\n".join(content)))
    assert report.rows_kept == 60
    assert bad_lines(report) == [(22, "quotes"), (43, "quotes")]


def test_wrong_numbers_of_columns(bench):
    content = ["text,label,note", "a,b", "a,b,c,d", "fine,a,x,", *[f"{line},n" for line in GOOD]]
    report = bench.ingest(("rows.csv", "\n".join(content)))
    assert bad_lines(report) == [(2, "columns"), (3, "columns")]
    assert report.rows_kept == 61


def test_a_huge_field_costs_one_row(bench):
    content = ["text,label", GOOD[0], "x" * 5_000_000 + ",a", '"' + "y" * 2_000_000 + '",b', *GOOD[1:]]
    report = bench.ingest(("rows.csv", "\n".join(content)))
    assert report.rows_kept == 60
    assert bad_lines(report) == [(3, "row_too_long"), (4, "text_too_long")]


def test_hopeless_quotes_refuse_the_file(bench):
    lines = [part for index in range(1100) for part in (f'"open {index},a', f"row {index},b")]
    error = bench.refusal(("rows.csv", "\n".join(["text,label", *lines])))
    assert error.code == "csv_unreadable"
    assert error.params["line"] > 1000


def test_tsv_takes_bare_quotes_as_text(bench):
    content = ["text\tlabel", '"Great movie\ta', 'He said "no" twice\tb', *[line.replace(",", "\t") for line in GOOD]]
    report = bench.ingest(("rows.tsv", "\n".join(content)))
    assert report.bad_rows.total == 0
    assert '"Great movie' in texts(bench)


def test_tsv_with_quoted_fields(bench):
    content = ["text\tlabel", '"two\nlines"\ta', '"a ""b"" c"\tb', *[line.replace(",", "\t") for line in GOOD]]
    report = bench.ingest(("rows.tsv", "\n".join(content)))
    assert report.bad_rows.total == 0
    assert {"two\nlines", 'a "b" c'} <= texts(bench)


def test_jsonl_bad_lines(bench):
    good = [json.dumps({"text": line, "label": line[-1]}) for line in GOOD]
    bad = ["{", "[]", "3", "null", '{"text": NaN, "label": "a"}', "[" * 100_000, '{"label": "a"}', '{"text": "x"}', "9" * 10_000]
    twice = '{"text": "one", "text": "two", "label": "a"}'
    report = bench.ingest(("rows.jsonl", "\n".join([good[0], "", *bad, twice, *good[1:]])))
    assert [line for line, _ in bad_lines(report)] == list(range(3, 13))
    assert bad_lines(report)[-1] == (12, "json_twice")
    assert report.rows_kept == 60
    report = bench.ingest(("rows.json", "[\n" + ",\n".join([good[0], twice, *good[1:]]) + "\n]"))
    assert bad_lines(report) == [(3, "json_twice")]
    assert report.rows_kept == 60


def test_json_says_where_it_breaks(bench):
    good = ",\n".join(json.dumps({"text": line, "label": line[-1]}) for line in GOOD)
    assert bench.ingest(("rows.json", f"[\n{good}\n]")).rows_kept == 60
    error = bench.refusal(("rows.json", f"[\n{good},\n{{broken}}\n]"))
    assert (error.code, error.params["line"]) == ("json_unreadable", 62)
    for content in ('{"text": ["a"], "label": ["b"]}', '"text"', "3", f"[{good}", f"[{good}}}", f"[{good} {good}]", "[" * 100_000, "{}"):
        assert bench.refusal(("rows.json", content)).code in {"json_unreadable", "dataset_all_bad"}, content[:40]


def test_json_larger_than_the_window(bench):
    rows = [{"text": f"{index} " + "好" * 40_000, "label": str(index % 2)} for index in range(60)]
    assert bench.ingest(("rows.json", json.dumps(rows, ensure_ascii=False))).rows_kept == 60


def parquet(columns, **options):
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    return stream.getvalue()


def test_parquet_with_class_names(bench):
    table = pa.table({"sentence": [line.split(",")[0] for line in GOOD], "label": [index % 2 for index in range(60)]})
    names = {"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), stream)
    bench.ingest(("train.parquet", stream.getvalue()))
    assert read_labels(bench.out) == ("neg", "pos")


def test_parquet_with_gaps_and_dictionaries(bench):
    rows = [line.split(",")[0] for line in GOOD] + [None, "x"]
    labels = pa.array([float(index % 2) for index in range(60)] + [1.0, None])
    report = bench.ingest(("rows.parquet", parquet({"text": pa.array(rows).dictionary_encode(), "label": labels})))
    assert bad_lines(report) == [(61, "text_missing"), (62, "label_missing")]
    assert read_labels(bench.out) == ("0", "1")


def test_broken_parquet(bench):
    good = parquet({"text": ["a"] * 100, "label": ["b"] * 100})
    for content in (b"PAR1", good[:-10], good[:50] + good[-50:], b"PAR1" + b"\0" * 100 + b"PAR1"):
        assert bench.refusal(("rows.parquet", content)).code == "parquet_unreadable"
    assert bench.refusal(("rows.parquet", parquet({"frage": ["a"]}))).code == "column_not_found"
    assert bench.refusal(("rows.parquet", parquet({"text": [1, 2], "label": ["a", "b"]}))).code == "dataset_all_bad"


@pytest.mark.parametrize("magic", [b"PK\x03\x04rest", b"\xd0\xcf\x11\xe0rest", b"\x1f\x8brest", b"%PDF-1.7", b"BZh9", b"\xfd7zXZ\0"])
def test_packed_files_are_named_as_such(bench, magic):
    assert bench.refusal(("rows.xlsx", magic)).code == "unknown_format"


def test_several_files_of_one_format(bench):
    report = bench.ingest(
        ("a.csv", "\n".join(["text,label", *GOOD[:30], ","])),
        ("b.csv", "\n".join(["label,text", *(f"{x[-1]},{x[:-2]}" for x in GOOD[30:]), ","])),
    )
    assert report.rows_kept == 60
    assert [(item.place.file, item.place.line) for item in report.bad_rows.first] == [("a.csv", 32), ("b.csv", 32)]
    assert bench.refusal(("a.csv", "text,label"), ("b.json", "[]")).code == "mixed_formats"
