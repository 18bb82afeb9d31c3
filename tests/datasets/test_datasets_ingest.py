"""Ingesting as a whole: counts, splits, duplicates, conflicts, leaks, refusals, digests."""

import csv
import hashlib
import io
import json
from collections import Counter

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanlin.datasets import SPLITS, ReadOptions, open_split, read_labels, read_split, split_of
from hanlin.datasets.store import read_manifest
from hanlin.datasets.values import PROBLEMS
from hanlin.errors import Cancelled, DataCorrupt, InvalidInput

ROWS = [(f"第{index}条评论，味道不错 review {index}", "好" if index % 2 else "bad") for index in range(100)]


def csv_of(rows, header=("text", "label"), **options):
    stream = io.StringIO()
    writer = csv.writer(stream, **options)
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def stored(bench):
    return {(text, label): split for split in SPLITS for text, label in zip(*pieces(bench, split), strict=True)}


def pieces(bench, split):
    found = read_split(bench.out, split)
    return found.texts, found.labels


def test_splits_follow_the_published_rule(bench):
    bench.ingest(("rows.csv", csv_of(ROWS)))
    for (text, _), split in stored(bench).items():
        bucket = int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10
        assert split == ("train" if bucket < 8 else "validation" if bucket == 8 else "test")


def test_80_20_keeps_the_test_fifth_and_carves_validation_from_train(bench):
    bench.ingest(("rows.csv", csv_of([(f"row {index}", str(index % 2)) for index in range(3000)])), split="80/20")
    counts = Counter(stored(bench).values())
    for (text, _), split in stored(bench).items():
        assert (split == "test") == (int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10 >= 8)
    assert 0.15 < counts["test"] / 3000 < 0.25
    assert 0.05 < counts["validation"] / 3000 < 0.11


def test_the_report_accounts_for_every_row(bench):
    bad = [("", "好"), ("text", ""), ("   ", "bad"), ("\u200b", "bad")]
    rows = [*ROWS, *ROWS[:7], ("both", "好"), ("both", "bad"), ("both", "好"), *bad]
    report = bench.ingest(("rows.csv", csv_of(rows)))
    assert report.rows_read == len(rows)
    assert (report.rows_kept, report.duplicates, report.bad_rows.total) == (100, 7, 4)
    assert (report.conflicts.total, report.conflict_rows) == (1, 3)
    assert report.rows_read == report.rows_kept + report.bad_rows.total + report.duplicates + report.conflict_rows
    assert [(item.place.line, item.problem) for item in report.bad_rows.first] == [
        (112, "text_empty"), (113, "label_missing"), (114, "text_empty"), (115, "text_empty"),
    ]  # fmt: skip
    assert report.conflicts.first[0].line == 109
    assert set(stored(bench)) == set(ROWS)
    assert report.language == "zh"
    value = json.loads(json.dumps(report.to_json()))
    assert sum(value["rows"].values()) == 100
    assert sum(value["labels"]["好"].values()) == 50
    assert value["lengths"]["max"] == max(len(text) for text, _ in ROWS)
    assert value["bad_rows"]["first"][0]["problem_zh"]


def test_only_the_first_ten_bad_rows_are_listed(bench):
    report = bench.ingest(("rows.csv", csv_of([*ROWS, *[("", "好")] * 25])))
    assert report.bad_rows.total == 25
    assert len(report.bad_rows.first) == 10


def test_leaks_are_counted_and_listed(bench):
    texts = [f"Good food {index}" for index in range(200)]
    twin_of_train = next(
        variant for base in texts if split_of(base) == "train"
        for variant in (base.upper(), base + "!", base.replace(" ", "  "), "Ｇ" + base[1:]) if split_of(variant) == "test"
    )  # fmt: skip
    rows = [(text, str(index % 2)) for index, text in enumerate(texts)] + [(twin_of_train, "0")]
    report = bench.ingest(("rows.csv", csv_of(rows)))
    assert report.leaks.total == 1
    leak = report.leaks.first[0]
    assert (leak.place.line, leak.split, leak.twin_split) == (202, "test", "train")
    assert rows[leak.twin.line - 2][0].casefold()[:5] == "good "
    assert "Good" not in json.dumps(report.to_json()["leaks"])  # places, not texts


def test_leaks_can_be_moved_away(bench):
    rows = [(f"{word} {index}", str(index % 2)) for index in range(300) for word in ("Fine", "fine!", "ＦＩＮＥ")]
    assert bench.ingest(("rows.csv", csv_of(rows))).leaks.total > 50
    report = bench.ingest(("rows.csv", csv_of(rows)), leaks="move")
    assert report.leaks.total == 0
    assert report.moved > 50
    assert report.rows_kept == len(rows)


def test_every_format_gives_the_same_rows_and_digest(bench):
    import pyarrow as pa

    records = [{"text": text, "label": label} for text, label in ROWS]
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), parquet)
    sources = {
        "rows.csv": csv_of(ROWS),
        "semicolon.csv": csv_of(ROWS, delimiter=";"),
        "rows.tsv": csv_of(ROWS, delimiter="\t"),
        "mac.csv": csv_of(ROWS, lineterminator="\r"),
        "rows.jsonl": "\n".join(json.dumps(record) for record in records),
        "rows.json": json.dumps(records, ensure_ascii=False, indent=1),
        "wrapped.json": json.dumps({"data": records}),
        "rows.parquet": parquet.getvalue(),
        "no-suffix": csv_of(ROWS),
        "lines": "\n".join(json.dumps(record) for record in records),
        "list": json.dumps(records),
    }
    digests = {name: bench.ingest((name, content)).digest for name, content in sources.items()}
    assert len(set(digests.values())) == 1, digests
    folder = {label: "\n".join(text for text, own in ROWS if own == label) for label in ("bad", "好")}
    bench.ingest(*((f"{label}.txt", content) for label, content in folder.items()))
    assert set(stored(bench)) == set(ROWS)
    bench.ingest(*((f"{label}/{index}.txt", text) for index, (text, label) in enumerate(ROWS)))
    assert set(stored(bench)) == set(ROWS)


def test_the_digest_is_of_the_rows(bench):
    first = bench.ingest(("a.csv", csv_of(ROWS))).digest
    assert bench.ingest(("b.csv", csv_of(ROWS))).digest == first
    assert bench.ingest(("c.csv", csv_of([*ROWS[:-1], (ROWS[-1][0] + "!", ROWS[-1][1])]))).digest != first
    assert bench.ingest(("d.csv", csv_of([*ROWS[:-1], (ROWS[-1][0], "other"), ("more", "other")]))).digest != first
    assert read_manifest(bench.out)["labels"] == sorted({"好", "bad", "other"})
    assert read_labels(bench.out) == ("bad", "other", "好")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), st.sampled_from(["好", "bad"])), max_size=30))
def test_rows_added_later_never_move_others(bench, added):
    bench.ingest(("before.jsonl", lines_of(ROWS)))
    before = stored(bench)
    bench.ingest(("after.jsonl", lines_of([*added[:15], *ROWS, *added[15:]])))
    after = stored(bench)
    labels = {text: {label for own, label in [*ROWS, *added] if own == text} for text, _ in ROWS}
    stays = {row: split for row, split in before.items() if len(labels[row[0]]) == 1}
    assert {row: split for row, split in after.items() if row in before} == stays


def lines_of(rows):
    return "\n".join(json.dumps({"text": text, "label": label}) for text, label in rows)


def test_texts_are_stored_exactly(bench):
    odd = ["  spaces  ", "=cmd|' /C calc'!A0", "+1", "@SUM(1)", 'quo"te', "com,ma", "line\nend", "nul\0nul", "tab\tx", "😀", "é vs é"]
    bench.ingest(("rows.csv", csv_of([*ROWS, *((text, "好") for text in odd)])))
    assert {text for text, _ in stored(bench)} >= set(odd)


def test_labels_are_trimmed_composed_and_words(bench):
    rows = [
        {"text": f"row {index}", "label": label}
        for index, label in enumerate([0, 1, True, 2.0, " a ", "a", "cafe\u0301", "caf\u00e9"] * 20)
    ]
    bench.ingest(("rows.jsonl", "\n".join(map(json.dumps, rows))))
    assert read_labels(bench.out) == ("0", "1", "2", "a", "café", "true")


@pytest.mark.parametrize("label", [1.5, None, [], {}, "", " ", "a\nb", "a\0", "x" * 201, 10**30])
def test_rows_with_unfit_labels_are_bad(bench, label):
    rows = [{"text": text, "label": own} for text, own in ROWS] + [{"text": "odd", "label": label}]
    report = bench.ingest(("rows.jsonl", "\n".join(map(json.dumps, rows))))
    assert (report.bad_rows.total, report.bad_rows.first[0].place.line) == (1, 101)
    assert report.bad_rows.first[0].problem in {"label", "label_missing"}


@pytest.mark.parametrize("text", [None, 3, [], {}, "", "\ud800", "x" * (2**20 + 1)])
def test_rows_with_unfit_texts_are_bad(bench, text):
    rows = [{"text": own, "label": label} for own, label in ROWS] + [{"text": text, "label": "好"}]
    report = bench.ingest(("rows.jsonl", "\n".join(map(json.dumps, rows))))
    assert (report.bad_rows.total, report.bad_rows.first[0].place.line) == (1, 101)


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([], "dataset_empty"),
        ([("one", "a")], "dataset_one_class"),
        ([(f"row {index}", "a") for index in range(50)], "dataset_one_class"),
        ([*ROWS, ("single", "lonely")], "class_too_small"),
        ([("same", "a"), ("same", "b")], "dataset_one_class"),
        ([("", "a"), (" ", "b")], "dataset_all_bad"),
        ([(f"row {index}", "ab"[index % 2]) for index in range(4)], "dataset_split_empty"),
        ([(f"row {index}", f"class {index}") for index in range(10_001)], "too_many_classes"),
    ],
)
def test_c116_what_cannot_be_trained_is_refused_with_the_reason(bench, rows, code):
    assert bench.refusal(("rows.csv", csv_of(rows))).code == code


def test_all_labels_of_one_row_are_named_beside_what_was_left_out(bench):
    found = bench.refusal(("rows.csv", csv_of([*ROWS, ("single", "lonely"), ("once", "rare"), ("", "lonely"), (" ", "rare")])))
    assert (found.code, found.params["labels"], found.params["count"], found.params["bad"]) == ("class_too_small", "lonely, rare", 2, 2)
    many = bench.refusal(("rows.csv", csv_of([*ROWS, *((f"row {index}", f"rare {index}") for index in range(6))])))
    assert many.params["labels"] == "rare 0, rare 1, rare 2, rare 3, rare 4, …"


def test_an_open_quotation_mark_is_told_in_one_language(bench):
    refusal = bench.refusal(("rows.csv", 'text,label\n"never closed,a\n'))
    assert refusal.code == "dataset_all_bad"
    assert refusal.text("en").isascii()
    assert refusal.text("zh").endswith("引号未闭合，或出现在字段中间")


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_of_a_row_has_words_in_both_languages(problem):
    english, chinese = PROBLEMS[problem]
    assert english.isascii()
    assert english != chinese


def test_what_was_left_out_is_told_when_one_class_remains(bench):
    rows = [("same", "a"), ("same", "b"), ("", "b"), ("good", "a")]
    assert "1 bad rows and 2 rows whose text stands with two labels" in bench.refusal(("rows.csv", csv_of(rows))).text("en")


def test_c116_empty_files(bench):
    for name in ("rows.csv", "rows.tsv", "rows.jsonl", "rows.json", "nothing"):
        for content in ("", "\n", "\ufeff"):
            assert bench.refusal((name, content)).code == "dataset_empty"
    assert bench.refusal(("rows.json", "[]")).code == "dataset_empty"
    assert bench.refusal(("rows.parquet", b"")).code == "parquet_unreadable"
    assert bench.refusal(("a.txt", ""), ("b.txt", "")).code == "dataset_empty"
    assert bench.refusal().code == "no_files"


def test_a_label_that_never_reaches_train_is_refused(bench):
    unlucky = [text for text in (f"odd {index}" for index in range(100)) if split_of(text) == "test"][:2]
    assert bench.refusal(("rows.csv", csv_of([*ROWS, *((text, "rare") for text in unlucky)]))).code == "class_not_in_train"


def test_c120_no_option_names_a_path():
    for name in ("path", "source", "url", "files", "dataset_source"):
        with pytest.raises(InvalidInput, match="no dataset option"):
            ReadOptions.from_json({name: "/etc/passwd"})
    for name in ("format", "encoding", "split", "leaks"):
        for value in ("/etc/passwd", 3, ["csv"]):
            with pytest.raises(InvalidInput):
                ReadOptions.from_json({name: value})
    assert ReadOptions.from_json({"text": "正文", "label": None}) == ReadOptions(text="正文")


def test_work_files_go_away_and_cancelling_stops(bench):
    from hanlin.datasets import ingest
    from hanlin.tasks import TASKS

    def stop(done, total):
        assert 0 <= done <= total
        raise Cancelled("internal")

    file = bench.file("rows.csv", csv_of([(f"row {index}", str(index % 2)) for index in range(20_000)]))
    out = bench.folder / "cancelled"
    with pytest.raises(Cancelled):
        ingest([file], task=TASKS.get("text-classification"), options=ReadOptions(), out=out, progress=stop)
    assert list(out.iterdir()) == []
    bench.ingest(file)
    assert sorted(path.name for path in bench.out.iterdir()) == ["manifest.json", "test.parquet", "train.parquet", "validation.parquet"]


def test_reading_back_in_pieces(bench):
    bench.ingest(("rows.csv", csv_of([(f"row {index}", str(index % 2)) for index in range(30_000)])))
    sizes = [len(piece) for piece in open_split(bench.out, "train")]
    assert max(sizes) <= 8192
    assert sum(sizes) == len(read_split(bench.out, "train"))
    with pytest.raises(InvalidInput, match="no split"):
        read_split(bench.out, "dev")


def test_damaged_stores_are_noticed(bench):
    bench.ingest(("rows.csv", csv_of(ROWS)))
    path = bench.out / "train.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataCorrupt):
        read_split(bench.out, "train")
    (bench.out / "test.parquet").unlink()
    with pytest.raises(DataCorrupt):
        read_split(bench.out, "test")
    (bench.out / "manifest.json").write_text("{")
    with pytest.raises(DataCorrupt):
        read_labels(bench.out)
