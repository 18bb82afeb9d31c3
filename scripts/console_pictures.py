"""Takes the pictures of docs/console.md from a running server, with the Chromium that the browser tests use.

python scripts/console_pictures.py http://127.0.0.1:8000 ~/.hanlin/owner.key docs/images
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
TEXT = {"en": "Clean rooms and a kind staff; breakfast was so-so.", "zh-CN": "房间很干净，服务也好，就是早餐一般。"}


def open_page(browser: Browser, url: str, key: str, *, locale: str, scheme: str, width: int, height: int) -> Page:
    """A signed-in window."""
    context = browser.new_context(base_url=url, locale=locale, color_scheme=scheme, viewport={"width": width, "height": height})  # type: ignore[arg-type]
    page = context.new_page()
    page.goto("/console/login")
    page.locator("#key").fill(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/")
    return page


def follow(page: Page, kind: str, *, last: bool = False) -> bool:
    """Open the first (or last) thing of a kind on the page; False when there is none."""
    links = page.locator(f"[id^=to-{kind}-]")
    link = links.last if last else links.first
    if link.count() == 0:
        return False
    page.goto(str(link.get_attribute("href")))
    return True


def type_text(page: Page, locale: str) -> None:
    """Type in the playground and wait for the bars to settle."""
    page.locator("#text").fill(TEXT[locale])
    page.locator(".bar").first.wait_for()
    page.wait_for_timeout(800)


def main(url: str, key_file: str, folder: str) -> None:
    """All pictures."""
    key, out = Path(key_file).expanduser().read_text(encoding="utf-8").strip(), Path(folder)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = open_page(browser, url, key, locale="en", scheme="light", width=1180, height=720)
        page.wait_for_timeout(500)
        page.screenshot(path=out / "console.png")
        if follow(page, "model", last=True):  # by name: a trained one comes after the base it was made from
            page.wait_for_timeout(800)
            page.screenshot(path=out / "console-report.png", full_page=True)
        page.goto("/")
        if follow(page, "job"):
            page.wait_for_timeout(2500)
            page.screenshot(path=out / "console-job.png")
        page.goto("/console/datasets")
        if follow(page, "dataset"):
            page.screenshot(path=out / "console-dataset.png", full_page=True)
        page = open_page(browser, url, key, locale="zh-CN", scheme="dark", width=1180, height=720)
        if follow(page, "endpoint"):
            type_text(page, "zh-CN")
            page.screenshot(path=out / "console-playground-zh.png")
        page = open_page(browser, url, key, locale="zh-CN", scheme="light", width=390, height=844)
        page.screenshot(path=out / "console-phone-zh.png")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
