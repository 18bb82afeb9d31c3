"""Rows without a second text among rows that have one: they stay, and the report warns of them."""

import json

PAIRS = [
    {"text": f"第{index}条评论，味道不错 review {index}", "text_pair": f"other {index}", "label": "好" if index % 2 else "bad"}
    for index in range(100)
]  # fmt: skip


def lines_of(rows):
    return "\n".join(map(json.dumps, rows))


def test_rows_of_one_kind_are_not_warned_of(bench):
    singles = [{name: value for name, value in row.items() if name != "text_pair"} for row in PAIRS]
    assert bench.ingest(("rows.jsonl", lines_of(PAIRS))).unpaired is None
    assert bench.ingest(("rows.jsonl", lines_of(singles))).unpaired is None


def test_rows_without_a_second_text_among_pairs_are_warned_of(bench):
    rows = [dict(row) for row in PAIRS]
    rows[4]["text_pair"], rows[7]["text_pair"] = "", None
    del rows[9]["text_pair"]
    report = bench.ingest(("rows.jsonl", lines_of([*rows, {"text": "", "label": "bad"}])))
    assert report.to_json()["warnings"][0] == {
        "code": "unpaired_rows",
        "params": {"rows": 3, "total": 100, "file": "rows.jsonl", "line": 5},
    }
    assert report.unpaired.text("en").startswith("3 of 100 rows have no second text (text_pair, aspect), the first in rows.jsonl, line 5")
    assert "100 行中有 3 行没有第二段文本" in report.unpaired.text("zh")
