"""Every page over the fake platform: what it shows, whom it lets in, what it never lets through."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from hanlin.console.application import OPEN, PAGES, create_application
from hanlin.console.headers import POLICY
from hanlin.console.port import EndpointView, JobEventView, JobView, LabelScores, ModelView, Piece, Prediction
from hanlin.errors import InvalidInput
from hanlin.messages.said import Said

KEY = "hl_" + "k" * 43
CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


def token_of(page: str) -> str:
    found = CSRF.search(page)
    assert found
    return found[1]


def sign_in(visitor: TestClient, key: str = KEY):
    page = visitor.get("/console/login")
    return visitor.post("/console/login", data={"csrf": token_of(page.text), "key": key, "next": "/console/jobs"})


@pytest.fixture
def member(visitor: TestClient) -> TestClient:
    assert sign_in(visitor).status_code == 303
    return visitor


def paths() -> list[tuple[str, str]]:
    names = {"{model}": "sentiment-zh", "{version:int}": "2", "{picture}": "pareto", "{job}": "job-6", "{endpoint}": "sentiment"}
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
def test_without_a_session_every_page_answers_401(visitor: TestClient, method: str, path: str) -> None:
    answer = visitor.request(method, path, headers={"accept": "text/html"})
    assert answer.status_code == 401
    assert "sentiment" not in answer.text.replace(path, "")


@pytest.mark.parametrize("path", [path for method, path in paths() if method == "GET"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_carries_the_policy_and_nothing_inline(member: TestClient, path: str, language: str) -> None:
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


def test_sign_in_sets_a_strict_cookie_that_is_not_the_key(visitor: TestClient) -> None:
    answer = sign_in(visitor)
    cookie = answer.headers["set-cookie"]
    assert answer.headers["location"] == "/console/jobs"
    assert cookie.startswith("hanlin_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert KEY not in cookie


def test_cookies_are_secure_on_https(port) -> None:
    visitor = TestClient(create_application(port, secret=b"s" * 32), base_url="https://console.test", follow_redirects=False)
    assert all("Secure" in cookie for cookie in sign_in(visitor).headers.get_list("set-cookie"))


@pytest.mark.parametrize("key", ["", "hl_wrong", "' OR 1=1 --", "\0", "钥匙", "x" * 100_000])
def test_wrong_keys_get_one_answer(visitor: TestClient, key: str) -> None:
    answer = sign_in(visitor, key)
    assert answer.status_code == 401
    assert "unknown, expired or revoked" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_revoked_key_is_signed_out_at_once(member: TestClient, port) -> None:
    assert member.get("/").status_code == 200
    port.is_revoked = True
    assert member.get("/").status_code == 401
    fragment = member.get("/console/now", headers={"hx-request": "true"})
    assert (fragment.status_code, fragment.headers["hx-redirect"]) == (401, "/console/login")


def test_sign_out_forgets_the_session(member: TestClient) -> None:
    member.post("/console/logout", data={"csrf": token_of(member.get("/").text)})
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
def test_posts_from_elsewhere_are_refused(member: TestClient, headers: dict[str, str], path: str) -> None:
    token = token_of(member.get("/").text)
    headers = {"content-type": "application/x-www-form-urlencoded"} | headers
    answer = member.post(path, content=f"csrf={token}&text=good&key={KEY}", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
@pytest.mark.parametrize("path", [path for method, path in paths() if method == "POST"])
def test_posts_without_the_form_token_are_refused(member: TestClient, path: str, token: str) -> None:
    assert member.post(path, data={"csrf": token, "text": "good"}).status_code == 403


def test_a_form_token_of_another_visitor_is_refused(member: TestClient, port) -> None:
    other = TestClient(create_application(port, secret=b"s" * 32), base_url="http://console.test")
    stolen = token_of(other.get("/console/login").text)
    assert member.post("/console/logout", data={"csrf": stolen}).status_code == 403


@pytest.mark.parametrize("target", ["https://evil.test", "//evil.test", "/\\evil.test", "/a\nb", "evil"])
def test_nobody_is_sent_elsewhere(member: TestClient, target: str) -> None:
    token = token_of(member.get("/").text)
    answer = member.post("/console/preferences", data={"csrf": token, "theme": "dark", "next": target})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_preferences_are_remembered(member: TestClient) -> None:
    token = token_of(member.get("/").text)
    member.post("/console/preferences", data={"csrf": token, "language": "zh", "theme": "dark", "next": "/"})
    page = member.get("/", headers={"accept-language": "en"}).text
    assert 'data-theme="dark"' in page
    assert "总览" in page


def test_overview_shows_endpoints_models_and_jobs(member: TestClient) -> None:
    page = member.get("/").text
    for words in ("sentiment", "openvino-int8", "85.1", "@production", "ready", "published", "Train", 'value="48" max="400"'):
        assert words in page


def test_empty_states_name_the_next_command(member: TestClient, port) -> None:
    port.endpoints, port.models, port.jobs = [], [], []
    port.list_jobs = lambda principal, limit: []
    page = member.get("/").text
    for command in ("hanlin deploy", "hanlin demo", "hanlin train"):
        assert command in page


@pytest.mark.parametrize(("language", "words"), [("en", "loses 0.81 points, budget 0.5"), ("zh", "损失 0.81 个百分点，预算为 0.5")])
def test_why_a_variant_is_out_is_told_in_the_readers_language(member: TestClient, language: str, words: str) -> None:
    assert f'title="{words}"' in member.get("/console/models/sentiment-zh/2", headers={"accept-language": language}).text


def test_version_page_shows_the_whole_record(member: TestClient) -> None:
    page = member.get("/console/models/sentiment-zh/2").text
    for words in (
        "83.4",
        "pictures/pareto.svg",
        "over budget",
        "chosen",
        "stamp.svg",
        "99.50",
        "95 %: 97.2",
        "0.0123",
        "750",
        "86.1",
        "reviews-zh:1",
        "Reads reviews.",
    ):
        assert words in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "example.org/x.png" not in page or '<img src="https' not in page


def test_a_failed_certificate_is_shown_as_failed(member: TestClient, port) -> None:
    version = port.models[0].versions[0]
    failed = replace(version.certificates[0], is_passed=False)
    port.models[0] = replace(port.models[0], versions=(replace(version, certificates=(failed,)),))
    page = member.get("/console/models/sentiment-zh/2").text
    assert "stamp-failed.svg" in page
    assert "cannot be published" in page


@pytest.mark.parametrize(
    "path",
    [
        "/console/models/none",
        "/console/models/sentiment-zh/9",
        "/console/jobs/none",
        "/console/endpoints/none",
        "/console/models/..%2f",
        "/console/none",
    ],
)
def test_missing_pages_answer_404_in_words(member: TestClient, path: str) -> None:
    answer = member.get(path)
    assert answer.status_code == 404
    assert "there is no such page" in answer.text


def test_unknown_paths_outside_the_console_answer_json(visitor: TestClient) -> None:
    answer = visitor.get("/nothing")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "console_page_missing")


def test_playground_answers_with_bars(member: TestClient, port) -> None:
    token = token_of(member.get("/").text)
    answer = member.post(
        "/console/endpoints/sentiment/classify", data={"text": "房间很干净"}, headers={"x-csrf-token": token, "hx-request": "true"}
    )
    assert answer.status_code == 200
    assert port.asked == ["房间很干净"]
    for words in ("bar-fill", "neg", "pos", "openvino-int8", "sentiment-zh", "1.4\u202fms"):
        assert words in answer.text
    assert answer.text.count("is-best") == 1


def test_playground_draws_vectors_entities_and_rankings(member: TestClient, port) -> None:
    headers = {"x-csrf-token": token_of(member.get("/").text), "hx-request": "true"}

    def asked(**fields: str) -> str:
        return member.post("/console/endpoints/sentiment/classify", data=fields, headers=headers).text

    port.answer = Prediction((), "m", 1, vector=(0.5, -0.25, 0.0) * 128)
    page = asked(text="x")
    assert ("384 values" in page, page.count('class="stroke"')) == (True, 96)
    port.answer = Prediction((), "m", 1, pieces=(Piece("Ada", "PER", 0.98), Piece(" <met> "), Piece("Bob", "PER", 0.9)))
    page = asked(text="Ada <met> Bob")
    assert (page.count("<mark"), "&lt;met&gt;" in page, "<met>" in page) == (2, True, False)
    port.answer = Prediction((("second <b>", 0.9), ("first", 0.2)), "m", 1)
    page = asked(text="first\nsecond <b>", query="which?")
    assert page.index("second &lt;b&gt;") < page.index("first")
    assert asked(text="first", query=" ") == asked(text=" ")


def test_a_ranking_endpoint_asks_for_a_query(member: TestClient, port) -> None:
    assert 'name="query"' not in member.get("/console/endpoints/sentiment").text
    port.endpoints = [replace(port.endpoints[0], task="reranking")]
    page = member.get("/console/endpoints/sentiment").text
    assert 'name="query"' in page
    assert "--query" in page


def test_playground_shows_errors_in_the_visitors_language(member: TestClient, port) -> None:
    port.failure = InvalidInput("console_task_not_shown")
    headers = {"x-csrf-token": token_of(member.get("/").text), "hx-request": "true", "accept-language": "zh-CN,zh;q=0.9"}
    answer = member.post("/console/endpoints/sentiment/classify", data={"text": "x"}, headers=headers)
    assert answer.status_code == 422
    assert "无法显示" in answer.text
    assert "<html" not in answer.text


def test_a_text_of_nothing_is_not_sent(member: TestClient, port) -> None:
    headers = {"x-csrf-token": token_of(member.get("/").text), "hx-request": "true"}
    assert member.post("/console/endpoints/sentiment/classify", data={"text": "  \n"}, headers=headers).status_code == 200
    assert port.asked == []


@pytest.mark.parametrize(
    ("body", "status"), [(b"text=" + b"a" * (4 * 2**20), 413), (b"text=%ff%fe", 422), (b"a=1&" * 60, 422), ("text=é".encode(), 422)]
)
def test_odd_forms_are_refused(member: TestClient, body: bytes, status: int) -> None:
    headers = {"x-csrf-token": token_of(member.get("/").text), "content-type": "application/x-www-form-urlencoded"}
    assert member.post("/console/endpoints/sentiment/classify", content=body, headers=headers).status_code == status


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e{{7*191919}}'


def test_foreign_text_is_inert_everywhere(member: TestClient, port) -> None:
    version = port.models[0].versions[0]
    metrics = replace(version.metrics, per_class=tuple(LabelScores(EVIL, 1, 1, 1, 1) for _ in "ab"))
    version = replace(version, metrics=metrics, lineage=((EVIL, EVIL),), labels=(EVIL, EVIL), target=EVIL)
    port.models = [ModelView("sentiment-zh", EVIL, ((EVIL, 2),), (version,))]
    port.endpoints = [EndpointView("sentiment", EVIL, EVIL, EVIL, 2, EVIL, reason={"en": EVIL, "zh": EVIL}, languages=())]
    port.jobs = [
        JobView(
            "job-6",
            EVIL,
            "failed",
            EVIL,
            said=Said("variant_error", {"problem": EVIL}),
            config={EVIL: EVIL},
            error={"message": EVIL, "next": EVIL},
            result={"model": EVIL, "version": 1},
        )
    ]
    port.card = lambda *_: f"{EVIL} [x](javascript:alert(1)) <iframe src=x>"
    for path in (
        "/",
        "/console/models",
        "/console/models/sentiment-zh",
        "/console/models/sentiment-zh/2",
        "/console/jobs",
        "/console/jobs/job-6",
        "/console/endpoints/sentiment",
    ):
        page = member.get(path)
        assert page.status_code == 200, path
        assert not re.search(r"<script>|<img src=x|<iframe|href=\"javascript|1343433", page.text.replace("\u202f", "")), path


def read_events(text: str) -> list[tuple[int, str, str]]:
    return [(int(number), kind, data) for number, kind, data in re.findall(r"id: (\d+)\nevent: (\w+)\ndata: (.*)\n\n", text)]


def test_event_stream_tells_the_whole_story_and_ends(member: TestClient, port) -> None:
    port.has_ended = True
    answer = member.get("/console/jobs/job-7/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = read_events(answer.text)
    assert [number for number, _, _ in events] == [*range(1, 13), 12]
    assert events[-1][1:] == ("end", '{"state": "succeeded"}')


@pytest.mark.parametrize("how", [{"params": {"after": "9"}}, {"headers": {"last-event-id": "9"}}])
def test_event_stream_goes_on_where_it_was_left(member: TestClient, port, how: dict) -> None:
    port.has_ended = True
    assert [number for number, _, _ in read_events(member.get("/console/jobs/job-7/events", **how).text)] == [10, 11, 12, 12]


def test_event_stream_survives_any_text_and_any_number(member: TestClient, port) -> None:
    port.has_ended = True
    event = JobEventView(
        1, "message", metrics=(("loss", float("nan")),), said=Said("variant_error", {"problem": "a\n\ndata: b\r\n\u2028 \ud800"})
    )
    port.job_events = lambda principal, job, after: [event] if after < 1 else []
    events = read_events(member.get("/console/jobs/job-7/events").text)
    assert [kind for _, kind, _ in events] == ["message", "end"]


def test_event_stream_ends_when_the_key_is_revoked(member: TestClient, port) -> None:
    original = port.job_events

    def revoke_after(principal, job, after):
        port.is_revoked = True
        return original(principal, job, after)

    port.job_events = revoke_after
    assert read_events(member.get("/console/jobs/job-7/events").text)[-1][1] == "gone"


def test_a_wrong_method_is_told_what_the_page_takes(visitor: TestClient) -> None:
    answer = visitor.delete("/console/login")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
