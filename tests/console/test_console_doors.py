"""Who is let in and what every answer carries: sessions, cookies, form tokens, headers."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route

from hanlin.console.application import OPEN, PAGES, create_application
from hanlin.console.headers import POLICY

KEY = "hl_" + "k" * 43


def paths() -> list[tuple[str, str]]:
    names = {
        "{job}/files": "job-4/files",
        "{model}": "sentiment-zh",
        "{version:number}": "2",
        "{picture}": "pareto",
        "{job}": "job-6",
        "{endpoint}": "sentiment",
    }
    names |= {"{dataset}": "reviews-zh", "{which}": "output"}
    found = []
    for template, method, _ in PAGES:
        path = template
        for name, value in names.items():
            path = path.replace(name, value)
        found.append((method, path))
    return found


def test_the_table_of_pages_is_all_there_is(port) -> None:
    routes = [route for route in create_application(port, secret=b"s" * 32).routes if isinstance(route, Route)]
    assert [route.path for route in routes] == [path for path, _, _ in PAGES]
    assert {handler.__name__ for handler in OPEN} == {"show_login", "login", "prefer"}


@pytest.mark.parametrize(("method", "path"), [item for item, page in zip(paths(), PAGES, strict=True) if page[2] not in OPEN])
def test_without_a_session_every_page_answers_401(visitor, method: str, path: str) -> None:
    answer = visitor.request(method, path, headers={"accept": "text/html"})
    assert answer.status_code == 401
    assert "sentiment" not in answer.text.replace(path, "")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_program_at_the_console_is_told_where_to_sign_in(visitor, language: str) -> None:
    answer = visitor.get("/", headers={"accept": "*/*", "accept-language": language})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "console_signed_out")
    assert "/console/login" in answer.json()["error"]["next"]


@pytest.mark.parametrize("path", [path for method, path in paths() if method == "GET"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_carries_the_policy_and_nothing_inline(member, path: str, language: str) -> None:
    answer = member.get(path, headers={"accept-language": language})
    assert answer.status_code in {200, 303}
    assert answer.headers["x-content-type-options"] == "nosniff"
    if path.endswith(".svg"):
        assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        return
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?! src=\"/console/static/)", answer.text)
    assert not re.findall(r'(?:src|action|hx-\w+)="(?:https?:|//)|<link[^>]+href="(?!/console/static/)', answer.text)
    if "<html" in answer.text:
        assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in answer.text


def test_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    assert POLICY.startswith("default-src 'self';")
    assert "unsafe" not in POLICY
    assert "http" not in POLICY


def test_sign_in_sets_a_strict_cookie_that_is_not_the_key(visitor) -> None:
    answer = visitor.sign_in()
    cookie = answer.headers["set-cookie"]
    assert answer.headers["location"] == "/console/jobs"
    assert cookie.startswith("hanlin_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert KEY not in cookie


def test_cookies_are_secure_on_https(make_visitor) -> None:
    assert all("Secure" in cookie for cookie in make_visitor("https").sign_in().headers.get_list("set-cookie"))


@pytest.mark.parametrize("key", ["", "hl_wrong", "' OR 1=1 --", "\0", "钥匙", "x" * 100_000])
def test_wrong_keys_get_one_answer(visitor, key: str) -> None:
    answer = visitor.sign_in(key)
    assert answer.status_code == 401
    assert "unknown, expired or revoked" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_revoked_key_is_signed_out_at_once(member, port) -> None:
    assert member.get("/").status_code == 200
    port.is_revoked = True
    assert member.get("/").status_code == 401
    fragment = member.get("/console/now", headers={"hx-request": "true"})
    assert (fragment.status_code, fragment.headers["hx-redirect"]) == (401, "/console/login")


def test_sign_out_forgets_the_session(member) -> None:
    member.post("/console/logout", data={"csrf": member.token()})
    assert member.get("/").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"content-type": "text/plain"},
        {"content-type": "application/json"},
        {"content-type": "multipart/form-data; boundary=x"},
    ],
)
@pytest.mark.parametrize("path", [path for method, path in paths() if method == "POST"])
def test_posts_from_elsewhere_are_refused(member, headers: dict[str, str], path: str) -> None:
    token = member.token()
    headers = {"content-type": "application/x-www-form-urlencoded"} | headers
    answer = member.post(path, content=f"csrf={token}&text=good&key={KEY}", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
@pytest.mark.parametrize("path", [path for method, path in paths() if method == "POST"])
def test_posts_without_the_form_token_are_refused(member, path: str, token: str) -> None:
    assert member.post(path, data={"csrf": token, "text": "good"}).status_code == 403


def test_a_form_token_of_another_visitor_is_refused(member, make_visitor) -> None:
    stolen = make_visitor().token("/console/login")
    assert member.post("/console/logout", data={"csrf": stolen}).status_code == 403


@pytest.mark.parametrize("target", ["https://evil.test", "//evil.test", "/\\evil.test", "/a\nb", "evil"])
def test_nobody_is_sent_elsewhere(member, target: str) -> None:
    token = member.token()
    answer = member.post("/console/preferences", data={"csrf": token, "theme": "dark", "next": target})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_preferences_are_remembered(member) -> None:
    token = member.token()
    member.post("/console/preferences", data={"csrf": token, "language": "zh", "theme": "dark", "next": "/"})
    page = member.get("/", headers={"accept-language": "en"}).text
    assert 'data-theme="dark"' in page
    assert "总览" in page


def test_a_wrong_method_is_told_what_the_page_takes(visitor) -> None:
    answer = visitor.delete("/console/login")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("number", ["1" * 5000, "1" * 10, "-1", "\u0661", "1.0", "%00"])
@pytest.mark.parametrize("page", ["datasets/reviews-zh", "models/sentiment-zh"])
def test_what_is_no_number_of_a_version_is_no_page(member, visitor, page: str, number: str) -> None:
    """Python makes no number of 5,000 digits: that was an internal error, for visitors too."""
    for who in (visitor, member):
        assert who.get(f"/console/{page}/{number}").status_code == 404
