"""Rows of one group stay in one split, whatever the task; only rows that say so have one."""

from hanlin.datasets import read_split


def table(column, groups):
    rows = [f"text number {at},{'good' if at % 2 else 'bad'},{groups(at)}" for at in range(600)]
    return f"text,label,{column}\n" + "\n".join(rows) + "\n"


def splits_by_group(bench):
    found = {}
    for split in ("train", "validation", "test"):
        for text in read_split(bench.out, split).texts:
            found.setdefault(int(text.rsplit(" ", 1)[1]) // 6, set()).add(split)
    return found


def test_a_group_is_in_one_split(bench):
    report = bench.ingest(("a.csv", table("group", lambda at: f"page {at // 6}")))
    assert report.rows_kept == 600
    assert dict(report.columns)["group"] == "group"
    assert all(len(splits) == 1 for splits in splits_by_group(bench).values())


def test_without_groups_texts_are_split_by_themselves(bench):
    bench.ingest(("a.csv", table("page", lambda at: f"page {at // 6}")))
    assert any(len(splits) > 1 for splits in splits_by_group(bench).values())
    bench.ingest(("a.csv", table("group", lambda at: "")))
    assert any(len(splits) > 1 for splits in splits_by_group(bench).values())


def test_another_column_can_be_named_as_the_group(bench):
    bench.ingest(("a.csv", table("page", lambda at: f"page {at // 6}")), columns="group=page")
    assert all(len(splits) == 1 for splits in splits_by_group(bench).values())


def test_a_label_called_group_is_a_label(bench):
    report = bench.ingest(("a.csv", "text,group\n" + "\n".join(f"text {at},{at % 2}" for at in range(200))), label="group")
    assert report.rows_kept == 200
    assert [label for label, _ in report.labels] == ["0", "1"]


def test_json_rows_may_have_groups_now_and_then(bench):
    rows = [f'{{"text": "text number {at}", "label": "{at % 2}"' + (f', "group": "{at // 6}"}}' if at % 2 else "}") for at in range(600)]
    bench.ingest(("a.jsonl", "\n".join(rows)))
    odd = {}
    for split in ("train", "validation", "test"):
        for text in read_split(bench.out, split).texts:
            at = int(text.rsplit(" ", 1)[1])
            if at % 2:
                odd.setdefault(at // 6, set()).add(split)
    assert all(len(splits) == 1 for splits in odd.values())


def test_a_group_that_is_no_unicode_is_a_bad_row(bench):
    rows = [f'{{"text": "text number {at}", "label": "{at % 2}", "group": "{chr(92) + "ud800" if at == 3 else at}"}}' for at in range(60)]
    report = bench.ingest(("a.jsonl", "\n".join(rows)))
    assert [(row.problem, row.place.line) for row in report.bad_rows.first] == [("text_unicode", 4)]
