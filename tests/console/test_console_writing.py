"""The page of an endpoint that writes, and what it streams, over endpoints that write without a worker."""

from __future__ import annotations

import html
import json
import re

import pytest

from hanlin.console.words import section
from hanlin.errors import EngineFailed, InvalidInput, NotReady

PATH = "/console/endpoints/muse"
CALL = {"messages": [{"role": "user", "content": "<b>noon"}], "stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture
def writer(member, port):
    """Somebody signed in, and three endpoints that write."""
    port.add_writers()
    return member


def ask(member, call: object = CALL, *, kind: str = "chat", endpoint: str = "muse", **headers: str):
    fields = {"kind": kind, "body": call if isinstance(call, str) else json.dumps(call)}
    told = {"x-csrf-token": member.token(), "accept": "text/event-stream"} | headers
    return member.post(f"/console/endpoints/{endpoint}/write", data=fields, headers=told)


def data_of(answer) -> list[dict]:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_speaks_and_names_what_else_writes(writer, language: str) -> None:
    page = html.unescape(writer.get(PATH, headers={"accept-language": language}).text)
    words = section(language, "write")
    assert [name for name in ("say", "system", "temperature", "chances", "no_script") if f">{words[name]}<" not in page] == []
    assert re.findall(r'<option value="(\w*)"', page.split('id="beside"')[1].split("</select>")[0]) == ["", "endless", "poet"]
    assert json.loads(re.findall(r'data-words="(.*?})"', page)[0]) == section(language, "write_live")
    assert page.count("<script") == 5
    assert "playground.js" not in page


def test_a_model_that_reads_no_talks_is_given_texts_alone(writer) -> None:
    kinds = re.compile(r'<option value="(chat|text)"( selected)?>')
    assert kinds.findall(writer.get(PATH).text.split('id="kind"')[1].split("</select>")[0]) == [("chat", " selected"), ("text", "")]
    assert kinds.findall(writer.get("/console/endpoints/poet").text.split('id="kind"')[1].split("</select>")[0]) == [("text", " selected")]
    assert 'id="write"' not in writer.get("/console/endpoints/sentiment").text


def test_a_talk_is_streamed_as_openai_has_it(writer, port) -> None:
    answer = ask(writer, CALL | {"model": "sentiment", "temperature": 0.5, "logprobs": True, "top_logprobs": 2})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    *chunks, last = data_of(answer)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "noon>b<"
    assert last["usage"] == {"prompt_tokens": 7, "completion_tokens": 7, "total_tokens": 14}
    told = chunks[1]["choices"][0]["logprobs"]["content"][0]
    assert (told["token"], [each["token"] for each in told["top_logprobs"]]) == ("n", ["n", "<b>"])
    ((endpoint, inputs, parameters),) = port.scribe.asked
    assert (endpoint, inputs) == ("muse", {"messages": CALL["messages"]}), "the address names the endpoint, not the body"
    assert parameters["temperature"] == 0.5


def test_a_text_is_gone_on_with(writer, port) -> None:
    chunks = data_of(ask(writer, {"model": "x", "prompt": "abc", "stream": True, "logprobs": 1, "max_tokens": 4}, kind="text"))
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "cba"
    assert port.scribe.asked[0][1:] == (["abc"], {"max_new_tokens": 4, "details": True, "top_n_tokens": 1})


@pytest.mark.parametrize(
    ("call", "more", "refused"),
    [
        ("{", {}, (400, "malformed_json")),
        (CALL | {"stream": False, "stream_options": None}, {}, (422, "invalid_parameter")),
        (CALL | {"temperature": 9}, {}, (422, "invalid_parameter")),
        (CALL, {"kind": "song"}, (422, "console_form_invalid")),
        (CALL, {"endpoint": "sentiment"}, (422, "endpoint_has_other_task")),
        (CALL, {"endpoint": ".x"}, (404, "console_page_missing")),
        (CALL, {"x-csrf-token": "0" * 64}, (403, "console_foreign_form")),
        (CALL, {"origin": "http://evil.test"}, (403, "console_foreign_form")),
        (CALL, {"sec-fetch-site": "cross-site"}, (403, "console_foreign_form")),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_in_the_form_of_the_api(writer, port, call, more: dict, refused: tuple[int, str]) -> None:
    answer = ask(writer, call, **more)
    assert (answer.status_code, answer.json()["error"]["code"]) == refused
    assert port.scribe.asked == []


def test_a_refusal_before_the_first_part_speaks_the_visitors_language(writer, port) -> None:
    port.failure = NotReady("stream_drained", retry_after_s=1.0)
    answer = ask(writer, **{"accept-language": "zh"})
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["content-type"]) == (503, "1", "application/json")
    assert re.search("[\u4e00-\u9fff]", answer.json()["error"]["message"])


def test_a_failure_behind_the_first_part_is_the_last_event(writer, port, monkeypatch) -> None:
    async def half(*args: object, on_part, **more: object):
        on_part(port.scribe.part("x"))
        raise EngineFailed("engine_step_failed")

    monkeypatch.setattr(port.scribe, "predict", half)
    answer = ask(writer)
    assert answer.status_code == 200
    assert "[DONE]" not in answer.text
    assert json.loads(answer.text.strip().split("\n\n")[-1].removeprefix("data: "))["error"]["code"] == "engine_step_failed"


def test_who_may_only_read_is_refused(writer, port) -> None:
    object.__setattr__(port.principal, "scopes", frozenset({"read"}))
    answer = ask(writer)
    assert (answer.status_code, answer.json()["error"]["family"]) == (403, "PermissionDenied")


def test_a_session_that_has_ended_is_told_to_the_script(writer, port) -> None:
    token = writer.token()
    port.is_revoked = True
    answer = writer.post(f"{PATH}/write", data={}, headers={"x-csrf-token": token, "accept": "text/event-stream"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "console_signed_out")


def test_errors_of_a_page_stay_pages(writer, port) -> None:
    port.failure = InvalidInput("console_task_not_shown")
    answer = writer.post("/console/endpoints/none/classify", data={"text": "x"}, headers={"x-csrf-token": writer.token()})
    assert "<html" in answer.text
