"""The pages in a real headless Chromium: typing, live curves, languages, light, phone width; no errors, nobody else is asked."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from hanlin.console.application import create_application

pytestmark = pytest.mark.browser
KEY = "hl_" + "k" * 43
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
PATHS = (
    "/", "/console/models", "/console/models/sentiment-zh", "/console/models/sentiment-zh/2", "/console/jobs", "/console/jobs/job-7",
    "/console/jobs/job-5", "/console/endpoints/sentiment", "/console/none",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "these tests need Chromium: apt-get install chromium fonts-noto-cjk"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def address(port) -> Iterator[str]:
    """A real server over the fake platform."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_application(port, secret=b"s" * 32), log_level="critical", timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


NAMELESS = "[...document.querySelectorAll('button, a')].filter(e => !e.textContent.trim() && !e.ariaLabel).length"


class Visit:
    """One browser window with everything it complained about and everybody it asked."""

    def __init__(self, browser: Browser, address: str, **options: object) -> None:
        self.address = address
        self.context = browser.new_context(base_url=address, **options)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type in {"error", "warning"} else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.context.on("request", lambda request: self.asked.append(request.url))

    def sign_in(self) -> Page:
        self.page.goto("/console/login")
        self.page.locator("#key").fill(KEY)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(f"{self.address}/")
        return self.page

    def check(self) -> None:
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith(f"{self.address}/")] == []


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    found = Visit(browser, address, locale="en-GB")
    yield found
    found.context.close()


def test_sign_in_and_out(visit: Visit) -> None:
    page = visit.sign_in()
    expect(page.get_by_role("heading", name="Endpoints")).to_be_visible()
    cookies = {cookie["name"]: cookie for cookie in visit.context.cookies()}
    assert cookies["hanlin_session"]["httpOnly"]
    assert cookies["hanlin_session"]["sameSite"] == "Strict"
    assert page.evaluate("document.cookie") == ""
    visit.check()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key")).to_be_focused()


def test_a_revoked_key_is_thrown_out_without_a_click(visit: Visit, port) -> None:
    page = visit.sign_in()
    port.is_revoked = True
    expect(page.get_by_label("Key")).to_be_visible()


def test_typing_gives_bars(visit: Visit, port) -> None:
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


def test_composing_chinese_asks_once_and_only_when_it_is_done(visit: Visit, port) -> None:
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


def test_an_error_is_shown_where_the_answer_would_be(visit: Visit, port) -> None:
    from hanlin.errors import InvalidInput

    page = visit.sign_in()
    page.goto("/console/endpoints/sentiment")
    port.failure = InvalidInput("console_task_not_shown")
    page.locator("#text").fill("x")
    expect(page.locator("#answer [role=alert]")).to_contain_text("cannot show")


def test_curves_grow_while_a_job_runs_and_the_result_follows(visit: Visit, port) -> None:
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
    assert "Loss, validation" in loss.inner_text()
    port.has_ended = True
    expect(page.locator("#job-state")).to_contain_text("done")
    expect(loss).to_have_attribute("data-points", "40")
    visit.check()


def test_language_and_light_are_one_click_and_stay(visit: Visit) -> None:
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
def test_no_page_overflows_or_complains(browser: Browser, address: str, width: int, scheme: str, locale: str) -> None:
    visit = Visit(browser, address, viewport={"width": width, "height": 844}, color_scheme=scheme, locale=locale, is_mobile=width < 500)
    page = visit.sign_in()
    for path in PATHS:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, path
        assert page.evaluate(NAMELESS) == 0, f"{path}: something to press has no name"
    visit.complaints = [text for text in visit.complaints if "404" not in text]  # the page that is not there
    visit.check()
    visit.context.close()


def test_everything_can_be_reached_by_keyboard(visit: Visit) -> None:
    page = visit.sign_in()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    seen: list[str] = []
    for _ in range(25):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
    assert {"to-endpoint-sentiment", "to-model-sentiment-zh", "to-job-job-7"} <= set(seen)


def test_focus_stays_while_the_overview_refreshes(visit: Visit, port) -> None:
    page = visit.sign_in()
    page.locator("#to-job-job-7").focus()
    port.steps = 50
    expect(page.locator("#progress-job-7")).to_have_attribute("value", "200")
    expect(page.locator("#to-job-job-7")).to_be_focused()


def test_inline_script_does_not_run(visit: Visit, port, tmp_path: Path) -> None:
    page = visit.sign_in()
    page.goto("/console/models/sentiment-zh/2")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 1\"><b style=\"color: red\">x</b>')")
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert any(re.search("Content Security Policy", text) for text in visit.complaints)
