"""A real headless Chromium at a real server over the fake platform."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from hanlin.console.application import create_application

KEY = "hl_" + "k" * 43
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


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


OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
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

    def check_shape(self) -> None:
        """Nothing is wider than the window, and everything to press has a name."""
        assert self.page.evaluate(OVERFLOW) <= 0, self.page.url
        assert self.page.evaluate(NAMELESS) == 0, f"{self.page.url}: something to press has no name"

    def check(self) -> None:
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith(f"{self.address}/")] == []


@pytest.fixture
def open_window(browser: Browser, address: str) -> Iterator[Callable[..., Visit]]:
    """Windows of any size, light and language."""
    windows: list[Visit] = []

    def open_one(**options: object) -> Visit:
        windows.append(Visit(browser, address, **options))
        return windows[-1]

    yield open_one
    for window in windows:
        window.context.close()


@pytest.fixture
def visit(open_window: Callable[..., Visit]) -> Visit:
    return open_window(locale="en-GB")
