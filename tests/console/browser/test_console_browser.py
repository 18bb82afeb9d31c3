"""The pages in a real headless Chromium: typing, live curves, languages, light, phone width; no errors, nobody else is asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
PATHS = (
    "/", "/console/datasets", "/console/datasets/reviews-zh", "/console/datasets/reviews-zh/2", "/console/datasets/reviews-zh/1",
    "/console/models", "/console/models/sentiment-zh", "/console/models/sentiment-zh/2", "/console/jobs", "/console/jobs/job-7",
    "/console/jobs/job-5", "/console/jobs/job-4", "/console/endpoints/sentiment", "/console/none",
)  # fmt: skip


def test_sign_in_and_out(visit) -> None:
    page = visit.sign_in()
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    cookies = {cookie["name"]: cookie for cookie in visit.context.cookies()}
    assert cookies["hanlin_session"]["httpOnly"]
    assert cookies["hanlin_session"]["sameSite"] == "Strict"
    assert page.evaluate("document.cookie") == ""
    visit.check()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key")).to_be_focused()


def test_a_revoked_key_is_thrown_out_without_a_click(visit, port) -> None:
    page = visit.sign_in()
    port.is_revoked = True
    expect(page.get_by_label("Key")).to_be_visible()


def test_typing_gives_bars(visit, port) -> None:
    page = visit.sign_in()
    page.get_by_role("link", name="sentiment", exact=True).click()
    text = page.get_by_label("Write, and the model reads along")
    expect(text).to_be_focused()
    text.press_sequentially("Clean rooms", delay=5)
    expect(page.locator(".bar")).to_have_count(2)
    expect(page.locator(".bar.is-best")).to_have_count(1)
    expect(page.locator("#answer")).to_contain_text("openvino-int8")
    assert port.asked[-1] == "Clean rooms"
    assert len(port.asked) < len("Clean rooms"), "it asks after a pause, not at every key"
    before = page.locator("#bar-2").get_attribute("width")
    text.press_sequentially(" and kind people", delay=5)
    expect(page.locator("#bar-2")).not_to_have_attribute("width", before or "")
    assert port.asked[-1] == "Clean rooms and kind people"
    page.locator(".chip").first.click()
    expect(text).not_to_have_value("Clean rooms and kind people")
    text.fill("")
    expect(page.locator(".bar")).to_have_count(0)
    visit.check()


def test_composing_chinese_asks_once_and_only_when_it_is_done(visit, port) -> None:
    page = visit.sign_in()
    page.goto("/console/endpoints/sentiment")
    page.locator("#text").focus()
    keyboard = visit.context.new_cdp_session(page)
    for composed in ("f", "fa", "fang", "fangj", "fang jian"):
        keyboard.send("Input.imeSetComposition", {"text": composed, "selectionStart": len(composed), "selectionEnd": len(composed)})
        page.wait_for_timeout(350)  # longer than the pause after which a text would be sent
    assert port.asked == []
    keyboard.send("Input.insertText", {"text": "房间"})
    expect(page.locator(".bar")).to_have_count(2)
    assert port.asked == ["房间"]
    visit.check()


def test_an_error_is_shown_where_the_answer_would_be(visit, port) -> None:
    from hanlin.errors import InvalidInput

    page = visit.sign_in()
    page.goto("/console/endpoints/sentiment")
    port.failure = InvalidInput("console_task_not_shown")
    page.locator("#text").fill("x")
    expect(page.locator("#answer [role=alert]")).to_contain_text("cannot show")


def test_curves_grow_while_a_job_runs_and_the_result_follows(visit, port) -> None:
    page = visit.sign_in()
    port.steps = 3
    page.goto("/console/jobs/job-7")
    loss = page.locator("[data-chart=loss]")
    expect(loss).to_have_attribute("data-points", "3")
    expect(page.locator("[data-chart=score]")).to_have_count(0)
    port.steps = 40
    expect(loss).to_have_attribute("data-points", "40")
    expect(page.locator("[data-chart=score] canvas")).to_be_visible()
    expect(page.locator("#job-step")).to_have_text("160 / 400")
    assert page.locator("#job-progress").evaluate("bar => bar.value") == 160
    assert "Validation loss" in loss.inner_text()
    port.has_ended = True
    expect(page.locator("#job-state")).to_contain_text("done")
    expect(loss).to_have_attribute("data-points", "40")
    visit.check()


def test_language_and_light_are_one_click_and_stay(visit) -> None:
    page = visit.sign_in()
    page.goto("/console/models/sentiment-zh/2")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", name="压缩报告")).to_be_visible()
    assert page.url.endswith("/console/models/sentiment-zh/2")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="深色").click()
    expect(page.get_by_role("button", name="深色")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper
    page.goto("/")
    expect(page.get_by_role("heading", name="端点")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    visit.check()


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en"), ("dark", "zh-CN")])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_overflows_or_complains(open_window, width: int, scheme: str, locale: str) -> None:
    visit = open_window(viewport={"width": width, "height": 844}, color_scheme=scheme, locale=locale, is_mobile=width < 500)
    page = visit.sign_in()
    for path in PATHS:
        page.goto(path)
        visit.check_shape()
    visit.complaints = [text for text in visit.complaints if "404" not in text]  # the page that is not there
    visit.check()


def test_everything_can_be_reached_by_keyboard(visit) -> None:
    page = visit.sign_in()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    seen: list[str] = []
    for _ in range(25):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
    assert {"to-endpoint-sentiment", "to-model-sentiment-zh", "to-job-job-7"} <= set(seen)


def test_focus_stays_while_the_overview_refreshes(visit, port) -> None:
    page = visit.sign_in()
    page.locator("#to-job-job-7").focus()
    port.steps = 50
    expect(page.locator("#progress-job-7")).to_have_attribute("value", "200")
    expect(page.locator("#to-job-job-7")).to_be_focused()


def test_inline_script_does_not_run(visit, port, tmp_path: Path) -> None:
    page = visit.sign_in()
    page.goto("/console/models/sentiment-zh/2")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 1\"><b style=\"color: red\">x</b>')")
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert any(re.search("Content Security Policy", text) for text in visit.complaints)
