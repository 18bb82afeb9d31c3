"""JSON bodies, types, sizes, languages, keys: what `POST /models/{endpoint}` takes and refuses."""

from __future__ import annotations

import json

import pytest

from hanlin.serving.confinement import offered
from hanlin.tasks import TASKS

pytestmark = pytest.mark.e2e

JSON = {"content-type": "application/json"}


def send(stack, body: bytes | str, **headers: str):
    content = body.encode() if isinstance(body, str) else body
    return stack.client.post("/models/sentiment", content=content, headers=JSON | headers)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 400, "empty_body"),
        ("{", 400, "malformed_json"),
        ("not json", 400, "malformed_json"),
        ('{"inputs": "a"} x', 400, "malformed_json"),
        ("{'inputs': 'a'}", 400, "malformed_json"),
        (b'{"inputs": "\xff\xfe"}', 400, "malformed_json"),
        (b'\xef\xbb\xbf{"inputs": "a"}', 400, "malformed_json"),
        ('{"inputs": "a\nb"}', 400, "malformed_json"),
        ("[]", 422, "body_not_an_object"),
        ("null", 422, "body_not_an_object"),
        ('"good"', 422, "body_not_an_object"),
        ("{}", 422, "missing_field"),
        ('{"inputs": "a", "input": "b"}', 422, "unknown_field"),
        ('{"inputs": "a", "inputs": "b"}', 422, "duplicate_key"),
        ('{"inputs": "a", "parameters": {"top_k": 1, "top_k": 2}}', 422, "duplicate_key"),
        ('{"inputs": NaN}', 422, "number_not_finite"),
        ('{"inputs": "a", "parameters": {"top_k": NaN}}', 422, "number_not_finite"),
        ('{"inputs": "a", "parameters": {"top_k": -Infinity}}', 422, "number_not_finite"),
        ('{"inputs": "a", "parameters": {"top_k": 1e999}}', 422, "number_not_finite"),
        ('{"inputs": "a", "parameters": {"top_k": ' + "9" * 5000 + "}}", 422, "number_not_finite"),
        ('{"inputs": NaN, "bogus": 1}', 422, "number_not_finite"),
        ('{"inputs": "\\ud800"}', 422, "invalid_unicode"),
        ('{"inputs": ["a", "\\udc00 b"]}', 422, "invalid_unicode"),
        ('{"inputs": "a", "\\ud800": 1}', 422, "invalid_unicode"),
        ("[" * 100_000, 422, "nested_too_deeply"),
        ('{"inputs": ' + "[" * 900 + "]" * 900 + "}", 422, "nested_too_deeply"),
        ('{"inputs": ' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}", 422, "nested_too_deeply"),
        ('{"inputs": 1}', 422, "invalid_inputs"),
        ('{"inputs": true}', 422, "invalid_inputs"),
        ('{"inputs": null}', 422, "invalid_inputs"),
        ('{"inputs": {"text": "a"}}', 422, "invalid_inputs"),
        ('{"inputs": ["a", 1]}', 422, "invalid_inputs"),
        ('{"inputs": [["a"]]}', 422, "invalid_inputs"),
        ('{"inputs": []}', 422, "empty_batch"),
        ('{"inputs": ""}', 422, "empty_text"),
        ('{"inputs": "  \\n "}', 422, "empty_text"),
        ('{"inputs": "a", "parameters": []}', 422, "parameters_not_an_object"),
        ('{"inputs": "a", "parameters": {"topk": 1}}', 422, "unknown_parameter"),
        *[
            ('{"inputs": "a", "parameters": {"top_k": ' + value + "}}", 422, "invalid_parameter")
            for value in ('"1"', "1.0", "true", "[]", "{}", "0", "-1", "1000000000", str(2**63))
        ],
        ('{"inputs": "a", "parameters": {"function_to_apply": 1}}', 422, "invalid_parameter"),
        ('{"inputs": "a", "parameters": {"truncation": "yes"}}', 422, "invalid_parameter"),
    ],
)  # fmt: skip
def test_bad_bodies(stack, body: bytes | str, status: int, code: str) -> None:
    """C021, C022, C025, C028, C036."""
    answer = send(stack, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert len(answer.content) <= 4096
    assert error["request_id"] == answer.headers["x-request-id"]
    chinese = send(stack, body, **{"accept-language": "zh-CN,zh;q=0.9,en;q=0.5"}).json()["error"]
    assert chinese["code"] == code
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese["message"])


def test_good_forms(stack) -> None:
    single, many = stack.post("good").json(), stack.post(["good", "bad"]).json()
    assert [entry["label"] for entry in single] and single == many[0]
    assert len(send(stack, '{"inputs": "good", "parameters": {"top_k": 1}}').json()) == 1
    assert send(stack, '{"inputs": "good", "parameters": null}').json() == single
    assert send(stack, '{"inputs": "\\u0000good \\ud83d\\ude00 早上好"}').status_code == 200
    assert send(stack, '{"inputs": "%s"}' % ("[" * 500)).status_code == 200, "brackets in a text are no depth"
    answer = stack.post("good")
    assert answer.headers["x-hanlin-model"] == "m:1 fake-fp32"
    assert all(part in answer.headers["server-timing"] for part in ("queue;dur=", "encode;dur=", "engine;dur="))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json; charset=gbk"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "Application/JSON; charset=UTF-8"}, 200),
        ({}, 415),
    ],
)
def test_content_type(stack, headers: dict[str, str], status: int) -> None:
    """C036."""
    assert stack.client.post("/models/sentiment", content=b'{"inputs": "good"}', headers=headers).status_code == status


def test_batch_limits(stack) -> None:
    for items, status in ((32, 200), (33, 413), (100_000, 413)):
        answer = stack.post(["good"] * items)
        assert answer.status_code == status, answer.text
    assert len(stack.post(["good"] * 32).json()) == 32


def test_one_bad_item_refuses_the_call_and_names_it(stack) -> None:
    error = stack.post(["good"] * 30 + [" ", "good"]).json()["error"]
    assert (error["code"], error["index"]) == ("empty_text", 30)


def test_text_of_wrong_type_and_any_size_is_not_echoed(stack) -> None:
    answer = send(stack, json.dumps({"inputs": "good", "parameters": {"top_k": "canary" * 150_000}}))
    assert answer.status_code == 422
    assert answer.text.count("canary") < 12
    assert len(answer.content) <= 4096


def test_long_text(stack) -> None:
    assert stack.post("good " * 65).status_code in (413, 422)
    assert send(stack, json.dumps({"inputs": "good " * 65, "parameters": {"truncation": True}})).status_code == 200
    assert stack.post("x" * (2**20 + 1)).status_code == 413


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e3", "x", "601", "9" * 40])
def test_bad_timeouts(stack, value: str) -> None:
    answer = stack.post("good", headers={"x-timeout-s": value})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_timeout")


@pytest.mark.parametrize(
    "header", [None, "Basic abc", "Bearer", "Bearer x", "Bearer ' OR 1=1 --", "Bearer " + "x" * 20_000, "bearer  hl_app"]
)
def test_no_or_bad_key_is_one_answer(stack, header: str | None) -> None:
    import httpx

    headers = {"x-request-id": "same", **({} if header is None else {"authorization": header})}
    answers = [
        httpx.post(f"{stack.url}/models/{name}", json={"inputs": "good"}, headers=headers) for name in ("sentiment", "nothing", "secret")
    ]
    answers.append(httpx.post(f"{stack.url}/models/sentiment", json={"inputs": "good"}, headers={"x-request-id": "same"}))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].headers["www-authenticate"] == "Bearer"


def test_scope_is_checked(stack) -> None:
    answer = stack.post("good", headers={"authorization": "Bearer hl_reader"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing")


def test_other_teams_endpoint_is_byte_equal_to_none(stack) -> None:
    names = ("secret", "nothing", "NoName!", ".certify-x", "x" * 200)
    for method in ("GET", "POST"):
        answers = [
            stack.client.request(method, f"/models/{name}", json={"inputs": "a"}, headers={"x-request-id": "same"}) for name in names
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1


def test_describe(stack) -> None:
    answer = stack.client.get("/models/sentiment").json()
    assert answer["labels"] == ["negative", "positive"]
    assert answer["version"] == "m:1"
    assert answer["limits"]["max_items"] == 32
    assert answer["protections"] == list(offered())
    assert stack.client.head("/models/sentiment").content == b""


def test_private_endpoint_is_for_admin_keys_of_its_team(stack) -> None:
    number = stack.deploy("m:1", ".certify-1")
    stack.wait_state(number, "ready")
    assert stack.post("good", ".certify-1").status_code == 404
    assert stack.post("good", ".certify-1", headers={"authorization": "Bearer hl_other"}).status_code == 404
    assert stack.post("good", ".certify-1", headers={"authorization": "Bearer hl_owner"}).status_code == 200


def test_pages_without_a_key(stack) -> None:
    import httpx

    assert httpx.get(stack.url + "/healthz").status_code == 200
    for path in ("/healthz", "/readyz"):
        head = httpx.head(stack.url + path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == "application/json"
    assert httpx.get(stack.url + "/readyz").json()["status"] == "ready"
    metrics = httpx.get(stack.url + "/metrics").text
    assert 'hanlin_requests_total{gateway="0",method="POST",route="/models/{endpoint}",status="200"}' in metrics
    assert "hanlin_worker_rows_total" in metrics
    schema = httpx.get(stack.url + "/openapi.json").json()
    assert "/models/{endpoint}" in schema["paths"]
    for name in TASKS.names():
        shown = schema["paths"]["/models/{endpoint}"]["post"]["requestBody"]["content"]["application/json"]["examples"]
        assert shown[name]["value"] == TASKS.get(name).example["request"]
    docs = httpx.get(stack.url + "/docs").text
    assert all(name in docs for name in TASKS.names())
    assert "/models/{endpoint}" in docs
    assert "http://" not in docs and "https://" not in docs and "<script" not in docs
    assert httpx.get(stack.url + "/nothing").json()["error"]["code"] == "no_such_page"
