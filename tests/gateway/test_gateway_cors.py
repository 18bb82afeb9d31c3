"""Pages of other origins: none by default, exactly those that are set, and never with cookies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hanlin.errors import InvalidInput
from hanlin.settings import load_settings

PAGE = "https://app.example:8443"
ASKS = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type,x-stainless-lang"}


@pytest.fixture(scope="module")
def open_stack(make_stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    found = make_stack(tmp_path_factory.mktemp("cors") / "home", cors_origins=["http://localhost:3000", PAGE])
    found.add_model("m:1")
    try:
        found.wait_state(found.deploy("m:1"), "ready")
        yield found
    finally:
        found.close()


def allowed(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", ["/models/sentiment", "/v1/embeddings", "/api/v1/models", "/none-such"])
def test_a_preflight_is_answered_before_any_key_is_asked_for(open_stack, path: str) -> None:
    answer = httpx.options(open_stack.url + path, headers={"origin": PAGE, **ASKS})
    assert (answer.status_code, answer.content) == (204, b"")
    assert allowed(answer) == {
        "access-control-allow-origin": PAGE, "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": ASKS["access-control-request-headers"], "access-control-max-age": "600",
    }  # fmt: skip
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("POST", "/models/sentiment", "hl_app", 200), ("POST", "/models/sentiment", "hl_wrong", 401), ("GET", "/v1/models", "hl_app", 200),
        ("GET", "/healthz", "hl_app", 200), ("GET", "/none-such", "hl_app", 404), ("PUT", "/models/sentiment", "hl_app", 405),
    ],
)  # fmt: skip
def test_its_page_may_read_answers_and_refusals(open_stack, method: str, path: str, key: str, status: int) -> None:
    body = {"inputs": "good"} if method == "POST" else None
    headers = {"origin": PAGE, "authorization": f"Bearer {key}"}
    answer = httpx.request(method, open_stack.url + path, json=body, headers=headers)
    assert answer.status_code == status
    told = allowed(answer)
    exposed = told.pop("access-control-expose-headers").split(", ")
    assert told == {"access-control-allow-origin": PAGE}
    assert {"x-request-id", "retry-after", "server-timing", "x-hanlin-model", "traceresponse"} <= {*exposed}
    assert answer.headers["vary"] == "Origin"


OTHERS = ["https://app.example", "http://app.example:8443", PAGE + "/", PAGE.upper(), "https://evil.app.example:8443",
          PAGE + ".evil.example",
          "null", "*", "", f"{PAGE}, {PAGE}"]  # fmt: skip


@pytest.mark.parametrize("origin", OTHERS)
def test_no_other_origin_may(open_stack, origin: str) -> None:
    body, key = {"inputs": "good"}, {"authorization": "Bearer hl_app"}
    answer = httpx.post(f"{open_stack.url}/models/sentiment", json=body, headers={"origin": origin, **key})
    assert (answer.status_code, allowed(answer), answer.headers["vary"]) == (200, {}, "Origin")
    asked = httpx.options(f"{open_stack.url}/models/sentiment", headers={"origin": origin, **ASKS})
    assert (asked.status_code, allowed(asked)) == (405, {})


@pytest.mark.parametrize(
    "asks",
    [
        {}, {"access-control-request-method": "TRACE"}, {"access-control-request-method": "post"},
        {**ASKS, "access-control-request-headers": "a b"}, {**ASKS, "access-control-request-headers": "x" * 65},
        {**ASKS, "access-control-request-headers": ",".join(["x"] * 65)}, {**ASKS, "access-control-request-headers": "*"},
    ],
)  # fmt: skip
def test_what_is_no_preflight_is_not_answered_as_one(open_stack, asks: dict[str, str]) -> None:
    assert httpx.options(f"{open_stack.url}/models/sentiment", headers={"origin": PAGE, **asks}).status_code == 405


def test_nothing_is_said_of_it_by_default(stack) -> None:
    answer = stack.client.post("/models/sentiment", json={"inputs": "good"}, headers={"origin": PAGE})
    assert (answer.status_code, allowed(answer)) == (200, {})
    assert "vary" not in answer.headers
    assert stack.client.options("/models/sentiment", headers={"origin": PAGE, **ASKS}).status_code == 405


@pytest.mark.parametrize("text", ["*", "null", "https://a.example/", "https://a.example/x", "a.example", "https://A.example", "https://*.a.example",
                                  "ftp://a.example", "https://a.example:123456", "https://u@a.example", "https://-a.example"])  # fmt: skip
def test_a_setting_that_is_no_origin_stops_the_start(text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cors_origins"):
        load_settings({"HANLIN_CORS_ORIGINS": f"https://good.example {text}"}, home=tmp_path)


def test_the_setting_is_a_list_with_commas(tmp_path: Path) -> None:
    found = load_settings({"HANLIN_CORS_ORIGINS": "https://a.example, http://localhost:3000 http://[::1]:8080"}, home=tmp_path)
    assert found.cors_origins == ("https://a.example", "http://localhost:3000", "http://[::1]:8080")
    assert load_settings({}, home=tmp_path).cors_origins == ()
    (tmp_path / "hanlin.toml").write_text('cors_origins = ["https://a.example"]')
    assert load_settings({}, home=tmp_path).cors_origins == ("https://a.example",)
