"""The page of a batch job in a real browser: its results are one click away."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_the_results_of_a_batch_are_fetched_by_a_click(visit) -> None:
    page = visit.sign_in()
    page.goto("/console/jobs/job-4")
    expect(page.locator("main")).to_contain_text("11\u202f999 answered")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Results: rows.results.jsonl").click()
    assert waiting.value.suggested_filename == "rows.results.jsonl"
    assert Path(waiting.value.path()).read_bytes() == b'{"row":1}\n'
    visit.check()
