"""The playground over the fake platform: what it draws, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hanlin.console.views_play import Piece, Prediction
from hanlin.errors import InvalidInput


def test_playground_answers_with_bars(member, port) -> None:
    token = member.token()
    answer = member.post(
        "/console/endpoints/sentiment/classify", data={"text": "房间很干净"}, headers={"x-csrf-token": token, "hx-request": "true"}
    )
    assert answer.status_code == 200
    assert port.asked == ["房间很干净"]
    for words in ("bar-fill", "neg", "pos", "openvino-int8", "sentiment-zh", "1.4\u202fms"):
        assert words in answer.text
    assert answer.text.count("is-best") == 1


def test_playground_draws_vectors_entities_and_rankings(member, port) -> None:
    headers = {"x-csrf-token": member.token(), "hx-request": "true"}

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


def test_playground_draws_predicates_one_below_the_other_and_a_place_on_the_scale(member, port) -> None:
    def asked() -> str:
        return member.post("/console/endpoints/sentiment/classify", data={"text": "x"}, headers={"x-csrf-token": member.token()}).text

    first = (Piece("Ada", "A0", 0.8), Piece(" <met> ", "V", 0.9), Piece("Bob"))
    port.answer = Prediction((), "m", 1, frames=(first, (Piece("Ada <met> "), Piece("Bob", "V", 0.7))))
    page = asked()
    assert (page.count('<p class="marked">'), page.count("<mark"), "<met>" in page) == (2, 3, False)
    assert [role in page for role in (">A0 80", ">V 90", ">V 70")] == [True, True, True]
    assert "Place on the scale" not in page
    port.answer = Prediction((("bad", 0.9),), "m", 1, place=-0.8)
    page = asked()
    assert "<dt>Place on the scale</dt><dd>-0.80</dd>" in page


def test_playground_shows_what_was_written_line_by_line(member, port) -> None:
    port.answer = Prediction((), "m", 1, written="疑是地上霜。\n<b>")
    page = member.post("/console/endpoints/sentiment/classify", data={"text": "床前"}, headers={"x-csrf-token": member.token()}).text
    assert '<p class="written">疑是地上霜。\n&lt;b&gt;</p>' in page


def test_a_ranking_endpoint_asks_for_a_query(member, port) -> None:
    assert 'name="query"' not in member.get("/console/endpoints/sentiment").text
    port.endpoints = [replace(port.endpoints[0], task="reranking")]
    page = member.get("/console/endpoints/sentiment").text
    assert 'name="query"' in page
    assert "--query" in page


def test_a_reader_is_asked_a_question_about_a_text(member, port) -> None:
    port.endpoints = [replace(port.endpoints[0], task="question-answering")]
    page = member.get("/console/endpoints/sentiment").text
    assert 'name="query"' in page
    assert "--question" in page
    port.answer = Prediction((("", 0.7),), "m", 1, pieces=(Piece("It rains."),))
    fields = {"text": "It rains.", "query": "When?"}
    headers = {"x-csrf-token": member.token(), "hx-request": "true"}
    assert "No answer" in member.post("/console/endpoints/sentiment/classify", data=fields, headers=headers).text


def test_a_text_may_be_judged_beside_another(member, port) -> None:
    assert 'name="pair"' not in member.get("/console/endpoints/sentiment").text
    port.endpoints = [replace(port.endpoints[0], pairs=True)]
    page = member.get("/console/endpoints/sentiment").text
    assert ('name="pair"' in page, "--pair" in page, "text_pair" in page) == (True, True, True)
    headers = {"x-csrf-token": member.token(), "hx-request": "true"}
    for pair in ("waiter", " "):
        answer = member.post("/console/endpoints/sentiment/classify", data={"text": "cold soup", "pair": pair}, headers=headers)
        assert "bar-fill" in answer.text
    assert port.asked == ["cold soup", "waiter", "cold soup"]


def test_playground_shows_errors_in_the_visitors_language(member, port) -> None:
    port.failure = InvalidInput("console_task_not_shown")
    headers = {"x-csrf-token": member.token(), "hx-request": "true", "accept-language": "zh-CN,zh;q=0.9"}
    answer = member.post("/console/endpoints/sentiment/classify", data={"text": "x"}, headers=headers)
    assert answer.status_code == 422
    assert "无法显示" in answer.text
    assert "<html" not in answer.text


def test_a_text_of_nothing_is_not_sent(member, port) -> None:
    headers = {"x-csrf-token": member.token(), "hx-request": "true"}
    assert member.post("/console/endpoints/sentiment/classify", data={"text": "  \n"}, headers=headers).status_code == 200
    assert port.asked == []


@pytest.mark.parametrize(
    ("body", "status"), [(b"text=" + b"a" * (4 * 2**20), 413), (b"text=%ff%fe", 422), (b"a=1&" * 60, 422), ("text=é".encode(), 422)]
)
def test_odd_forms_are_refused(member, body: bytes, status: int) -> None:
    headers = {"x-csrf-token": member.token(), "content-type": "application/x-www-form-urlencoded"}
    assert member.post("/console/endpoints/sentiment/classify", content=body, headers=headers).status_code == status
