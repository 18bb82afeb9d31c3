"""Datasets in a real headless Chromium: from the navigation to a snapshot, and from a version's lineage back to it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_dataset_is_reached_by_navigation_and_leads_to_its_models(visit) -> None:
    page = visit.sign_in()
    page.get_by_role("link", name="Datasets").click()
    page.get_by_role("link", name="reviews-zh").click()
    assert page.url.endswith("/console/datasets/reviews-zh/2")
    expect(page.get_by_role("link", name="Datasets").first).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="sentiment-zh:2").click()
    page.get_by_role("link", name="reviews-zh:1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("reviews-zh:1")
    visit.check()


def test_labels_are_drawn_as_wide_as_they_have_rows(visit) -> None:
    page = visit.sign_in()
    page.goto("/console/datasets/reviews-zh/2")
    bars = page.locator(".labels .bar")
    expect(bars).to_have_count(2)
    drawn = "bar => [...bar.querySelectorAll('rect')].map(part => part.getBoundingClientRect().width)"
    longest, shorter = (bars.nth(place).evaluate(drawn) for place in (0, 1))
    whole = bars.first.locator("svg").evaluate("bar => bar.getBoundingClientRect().width")
    assert sum(longest) == pytest.approx(whole, abs=1)
    assert sum(shorter) == pytest.approx(whole * 4600 / 7400, abs=1)
    assert longest[0] == pytest.approx(whole * 6000 / 7400, abs=1)
    fills = page.evaluate("[1, 2, 3].map(part => getComputedStyle(document.querySelector('.labels .split-' + part)).fill)")
    assert len(set(fills)) == 3
    visit.check()


def test_where_trouble_was_found_opens_on_a_press(visit) -> None:
    page = visit.sign_in()
    page.goto("/console/datasets/reviews-zh/2")
    place = page.get_by_text("films.csv:5")
    expect(place).to_be_hidden()
    page.get_by_text("Bad rows: the first 1 of 1").click()
    expect(place).to_be_visible()
