"""The settings of an endpoint in a real headless Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from hanlin.console.views import EndpointSettings

pytestmark = pytest.mark.browser


def test_settings_are_saved_and_told(visit, port) -> None:
    page = visit.sign_in()
    page.goto("/console/endpoints/sentiment")
    page.get_by_label("Long texts").select_option("window")
    page.get_by_label("Keep answers, seconds").fill("60")
    page.get_by_label("Replicas, at least").fill("0")
    page.get_by_label("Worker process").select_option("shared")
    page.get_by_label("Sleep after, seconds").fill("90")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".saved")).to_contain_text("started anew")
    assert port.endpoints[0].settings == EndpointSettings("shared", 0, 1, 90, "window", 60)
    expect(page.get_by_label("Keep answers, seconds")).to_have_value("60")
    expect(page.locator(".lead").first).to_contain_text("answers kept for 60 s")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".saved")).to_have_text("Saved.")
    visit.check()


def test_a_refusal_stands_beside_the_button_and_keeps_what_was_typed(visit, port) -> None:
    page = visit.sign_in()
    page.goto("/console/endpoints/sentiment")
    page.get_by_label("Replicas, at least").fill("4")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#settings-problem [role=alert]")).to_contain_text("“Replicas, at most” must be 4–16")
    expect(page.get_by_label("Replicas, at least")).to_have_value("4")
    assert port.endpoints[0].settings == EndpointSettings()


def test_the_browser_holds_back_what_is_out_of_bounds(visit, port) -> None:
    page = visit.sign_in()
    page.goto("/console/endpoints/sentiment")
    page.get_by_label("Replicas, at most").fill("17")
    page.get_by_role("button", name="Save").click()
    assert page.get_by_label("Replicas, at most").evaluate("field => field.validity.rangeOverflow")
    assert port.endpoints[0].settings == EndpointSettings()
    visit.check()
