"""The API's page in a real headless Chromium, and the ways to it from the console."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from hanlin.gateway.docs_page import page as draw
from hanlin.gateway.openapi import describe

pytestmark = pytest.mark.browser
PAGE = draw(describe({"openapi": "3.1.0", "info": {"title": "Hanlin", "version": "1"}, "paths": {}}))


@pytest.fixture
def with_docs(open_window):
    """A window in which `/docs` is the gateway's page."""

    def open_one(**options: object):
        visit = open_window(**options)
        visit.context.route("**/docs", lambda route: route.fulfill(body=PAGE, content_type="text/html; charset=utf-8"))
        return visit

    return open_one


@pytest.mark.parametrize(
    ("locale", "footer", "choices"), [("en", "API reference", "What a call may choose"), ("zh-CN", "接口文档", "调用时可选的参数")]
)
def test_the_console_leads_to_the_parameters_of_an_endpoints_task(with_docs, locale: str, footer: str, choices: str) -> None:
    visit = with_docs(locale=locale)
    page = visit.sign_in()
    page.goto("/console/endpoints/sentiment")
    page.get_by_role("link", name=choices).click()
    expect(page.locator("#parameters-text-classification")).to_be_in_viewport()
    expect(page.get_by_role("row").filter(has_text="function_to_apply").first).to_contain_text('"softmax"')
    page.go_back()
    page.get_by_role("link", name=footer).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Hanlin API")
    visit.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_tables_scroll_and_the_page_does_not(with_docs, scheme: str) -> None:
    visit = with_docs(viewport={"width": 390, "height": 844}, color_scheme=scheme, is_mobile=True)
    visit.page.goto("/docs")
    visit.check_shape()
