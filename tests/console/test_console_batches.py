"""What a batch job's page shows: counts, and links to what the batch made."""

from __future__ import annotations


def test_a_batch_links_to_what_it_made(member) -> None:
    page = member.get("/console/jobs/job-4").text
    assert 'href="/console/jobs/job-4/files/output"' in page
    assert "rows.results.jsonl" in page
    assert "files/errors" not in page
    assert "12\u202f000 rows: 11\u202f999 answered, 1 failed" in page


def test_the_results_are_fetched_whole_or_from_any_byte_on(member) -> None:
    whole = member.get("/console/jobs/job-4/files/output")
    assert (whole.status_code, whole.content) == (200, b'{"row":1}\n')
    assert 'filename="rows.results.jsonl"' in whole.headers["content-disposition"]
    part = member.get("/console/jobs/job-4/files/output", headers={"range": "bytes=5-"})
    assert (part.status_code, part.content) == (206, b'":1}\n')


def test_what_is_not_there_is_not_found(member) -> None:
    for path in ("job-4/files/errors", "job-4/files/other", "job-9/files/output", "job-6/files/output"):
        assert member.get(f"/console/jobs/{path}").status_code == 404
