"""Writing in a real headless Chromium: streams, a stop, two endpoints, chances, hostile text, code of the call."""

from __future__ import annotations

import ast
import json
import re

import pytest
from playwright.sync_api import expect

from hanlin.errors import InvalidInput

pytestmark = pytest.mark.browser
HOSTILE = '<img src=x onerror="window.hacked = 1">\'</p>'


@pytest.fixture
def page(visit, port):
    """The page of `muse`, open."""
    port.add_writers()
    page = visit.sign_in()
    page.goto("/console/endpoints/muse")
    return page


def send(page, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def test_an_answer_is_seen_while_it_is_written_and_the_talk_goes_on(page, visit, port) -> None:
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    assert port.scribe.asked == []
    page.locator("#how summary").click()
    page.get_by_label("System prompt").fill("Be short.")
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Ends at").fill("x\ny")
    page.get_by_label("Your message").press("Enter")
    expect(page.locator("#side-first .written")).to_have_text("owt\neno")
    expect(page.locator("#side-first .turn-note")).to_contain_text("7 tokens read, 7 written")
    expect(page.locator("#side-first .turn-note")).to_contain_text(re.compile(r"first token after \d+ ms · [\d.]+ tokens/s"))
    expect(page.get_by_label("Your message")).to_have_value("")
    send(page, "on")
    expect(page.locator("#side-first .written").nth(1)).to_have_text("no")
    (_, first, parameters), (_, second, _) = port.scribe.asked
    system = {"role": "system", "content": "Be short."}
    assert first == {"messages": [system, {"role": "user", "content": "one\ntwo"}]}
    assert [each["content"] for each in second["messages"]] == ["Be short.", "one\ntwo", "owt\neno", "on"]
    assert parameters == {"temperature": 0.5, "seed": 7, "stop": ["x", "y"]}
    page.get_by_role("button", name="New talk").click()
    expect(page.locator(".turn")).to_have_count(0)
    visit.check()


def test_a_long_answer_is_stopped_and_its_place_is_free(page, visit, port) -> None:
    page.goto("/console/endpoints/endless")
    send(page, "abc")
    expect(page.locator("#side-first .written")).to_contain_text("abcabc")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#side-first .turn-note")).to_contain_text("stopped")
    expect(page.get_by_label("Your message")).to_be_focused()
    for _ in range(50):
        if port.scribe.given_up:
            break
        page.wait_for_timeout(20)
    assert port.scribe.given_up == ["endless"], "the call ends with its reader"
    assert port.scribe.streams.ends["gone"] == 1
    visit.check()


def test_two_endpoints_answer_the_same_side_by_side(page, visit, port) -> None:
    page.locator("#how summary").click()
    page.get_by_label("Beside it").select_option("endless")
    send(page, "xyz")
    expect(page.locator("#side-first .written")).to_have_text("zyx")
    expect(page.locator("#side-second .written")).to_contain_text("xyzxyz")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#side-second .turn-note")).to_contain_text("stopped")
    expect(page.locator("#side-first .turn-note")).not_to_contain_text("stopped")
    expect(page.get_by_role("log", name="endless")).to_be_visible()
    asked = sorted((endpoint, inputs["messages"][-1]["content"]) for endpoint, inputs, _ in port.scribe.asked)
    assert asked == [("endless", "xyz"), ("muse", "xyz")]
    page.get_by_label("Show each token").check()
    visit.check_shape()
    page.set_viewport_size({"width": 390, "height": 844})
    visit.check_shape()
    visit.check()


def test_chances_are_told_by_pointing_and_by_keys(page, visit) -> None:
    page.locator("#how summary").click()
    page.get_by_label("Show each token").check()
    send(page, "abc")
    tokens = page.locator("#side-first .token")
    expect(tokens).to_have_count(3)
    tokens.nth(1).hover()
    chances = page.locator("#side-first .chances")
    expect(chances).to_have_text(re.compile(r"b\s*50.0.%\s*<b>\s*25.0.%"))
    page.locator("#side-first .written").press("ArrowRight")
    expect(chances.locator(".is-taken dt")).to_have_text("a")
    page.locator("#kind").select_option("text")
    page.get_by_label("A text to go on with").fill("no")
    page.keyboard.press("Enter")
    expect(tokens).to_have_text(["o", "n"])
    visit.check()


def test_hostile_text_is_shown_and_does_nothing(page, visit, port) -> None:
    call = {"index": 0, "id": "1", "function": {"name": HOSTILE, "arguments": '{"a": '}}
    chunks = [{"content": HOSTILE}, {"tool_calls": [call]}, {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}]
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in chunks]
    port.told = [f"data: {json.dumps(event)}\n\n".encode() for event in [*events, {"error": {"message": HOSTILE, "next": "<b>"}}]]
    send(page, HOSTILE)
    for selector in (".said", ".written", ".problem-box p >> nth=0"):
        expect(page.locator(f"#side-first {selector}")).to_have_text(HOSTILE)
    expect(page.locator("#side-first .tool-call pre")).to_have_text(f'{HOSTILE}({{"a": 1}})')
    assert page.locator(".side img, .side b").count() == 0
    assert page.evaluate("window.hacked") is None
    visit.check()


def test_tools_are_told_of_called_and_answered(page, visit, port) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    called = '<tool_call>\n{"name": "weather", "arguments": {"city": "<b>Paris"}}\n</tool_call>'
    page.locator("#how summary").click()
    page.get_by_label("Tools it may call").fill("{}")
    assert page.get_by_label("Tools it may call").evaluate("field => field.validationMessage") == "This is no JSON list."
    page.get_by_label("Tools it may call").fill(json.dumps([tool]))
    send(page, called[::-1])
    expect(page.locator(".tool-call pre")).to_have_text('weather({"city": "<b>Paris"})')
    expect(page.locator("#side-first .turn-note")).to_contain_text("ended by calling a tool")
    page.get_by_label("What the tool answers").fill("rain")
    page.get_by_label("What the tool answers").press("Enter")
    expect(page.locator("#side-first .written").nth(1)).to_have_text("niar")
    (_, first, _), (_, second, _) = port.scribe.asked
    assert first["tools"] == [tool]
    told, answered = second["messages"][1:]
    assert (told["role"], told["content"], answered["role"], answered["content"]) == ("assistant", None, "tool", "rain")
    assert [call["function"]["name"] for call in told["tool_calls"]] == ["weather"]
    visit.check()


def test_errors_stand_where_the_answer_would_and_the_talk_forgets_them(page, visit, port) -> None:
    port.failure = InvalidInput("console_task_not_shown")
    send(page, "no")
    expect(page.locator("#side-first [role=alert]")).to_contain_text("cannot show")
    port.failure, port.told = None, [b'data: {"choices": []}\n\n']
    send(page, "no")
    expect(page.locator("#side-first [role=alert]").nth(1)).to_contain_text("broke off")
    port.told = []
    send(page, "on")
    expect(page.locator("#side-first .written").nth(2)).to_have_text("no")
    assert len(port.scribe.asked[0][1]["messages"]) == 1
    page.locator("#how summary").click()
    page.get_by_label("Form of the answer").select_option("json_schema")
    page.get_by_label("JSON schema").fill("{")
    page.locator("#how summary").click()
    send(page, "on")
    expect(page.get_by_label("JSON schema")).to_be_focused()
    assert page.get_by_label("JSON schema").evaluate("field => field.validationMessage") == "This is no JSON."
    assert len(port.scribe.asked) == 1
    page.get_by_label("JSON schema").fill('{"type": "object"}')
    page.get_by_label("Your message").press("Enter")
    expect(page.locator("#side-first .written").nth(3)).to_have_text("no")
    assert port.scribe.asked[1][2]["grammar"] == {"type": "json", "value": {"type": "object"}}
    visit.complaints = [text for text in visit.complaints if "422" not in text]
    visit.check()


def test_the_code_is_the_call_that_would_be_sent(page) -> None:
    page.locator("#how summary").click()
    page.get_by_label("Penalty for repetition").fill("1.2")
    page.get_by_label("Your message").fill('it\'s "so" \\n — 霜')
    texts = [page.locator(f"#code-{name}").text_content() or "" for name in ("curl", "sdk", "openai")]
    body = texts[0].split(" -d '")[1][:-1].replace("'\\''", "'")
    call = json.loads(body)
    assert call["messages"] == [{"role": "user", "content": 'it\'s "so" \\n — 霜'}]
    assert (call["model"], call["repetition_penalty"], call["stream"]) == ("muse", 1.2, True)
    assert "/v1/chat/completions" in texts[0]
    sdk = next(node.value for node in ast.parse(texts[1]).body if isinstance(node, ast.Assign))
    assert ast.literal_eval(sdk) == call
    create = next(node.value for node in ast.parse(texts[2]).body if isinstance(node, ast.Assign) and node.targets[0].id == "stream")
    asked = {keyword.arg: ast.literal_eval(keyword.value) for keyword in create.keywords}
    assert asked.pop("extra_body") == {"repetition_penalty": call.pop("repetition_penalty")}
    assert asked == call
    assert page.locator("[data-of=code-sdk]").get_attribute("data-copy") == texts[1]
