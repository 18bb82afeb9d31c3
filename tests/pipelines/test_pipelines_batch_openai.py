"""Batches of requests as OpenAI has them: lines of a file to rows, answers of a door to lines."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from hanlin.datasets import SourceFile
from hanlin.errors import InvalidInput
from hanlin.pipelines.batch_calls import Answered
from hanlin.pipelines.batch_forms import OpenAIForm
from hanlin.pipelines.batch_source import Requests
from hanlin.pipelines.batch_spool import Row


def requests(tmp_path: Path, *lines: str) -> Requests:
    path = tmp_path / "requests.jsonl"
    path.write_text("\n".join(lines))
    return Requests(SourceFile(path.name, path), "/v1/embeddings", max_rows=1000)


def request(name: object = "a", **more: object) -> str:
    return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/embeddings", "body": {"model": "e"}} | more)


def test_lines_of_requests_are_rows(tmp_path: Path) -> None:
    lines = list(requests(tmp_path, request("a"), "", request("b")).lines())
    assert [json.loads(line) for line in lines] == [[1, 1, "", {"model": "e"}, None, "a"], [2, 3, "", {"model": "e"}, None, "b"]]


def test_wrong_lines_of_requests_are_told_by_number(tmp_path: Path) -> None:
    found = requests(
        tmp_path, request("a"), "{", "[]", request(None), request("b", method="GET"), request("c", url="/v1/x"),
        request("d", body=[]), request("a"), request("e", body={"stream": True}),
    )  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        list(found.lines())
    assert caught.value.params["count"] == 8
    assert [(item["line"], item["code"]) for item in found.problems] == [
        (2, "batch_line_json"), (3, "batch_line_json"), (4, "batch_line_custom_id"), (5, "batch_line_method"), (6, "batch_line_url"),
        (7, "batch_line_body"), (9, "batch_line_stream"), (8, "batch_line_twin"),
    ]  # fmt: skip


def test_lines_are_as_strict_as_the_doors(tmp_path: Path) -> None:
    """A single call would be refused for each of these; a line that is too long is told to be that."""
    found = requests(
        tmp_path, request("a"), request("b", extra=1), request("c\0"), request("d").replace('"method"', '"url": "/v1/files", "method"'),
        request("e").replace('"model"', '"model": "f", "model"'), request("f", body={"input": "x" * 9 * 2**20}),
        request("g", body={"a:b": "c: d"}),
    )  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        list(found.lines())
    assert [(item["line"], item["code"]) for item in found.problems] == [
        (2, "batch_line_field"), (3, "batch_line_custom_id"), (4, "batch_line_twice"), (5, "batch_line_twice"),
        (6, "batch_line_too_long"),
    ]  # fmt: skip
    assert "'extra'" in str(found.problems[0]["message"])
    assert "4,194,304" in str(found.problems[4]["message"])
    assert caught.value.params["count"] == 5


def test_a_body_nested_deeply_is_a_wrong_line(tmp_path: Path) -> None:
    deep = request("a").replace('"e"', "[" * 1000 + "]" * 1000)
    found = requests(tmp_path, request("b"), deep)
    with pytest.raises(InvalidInput):
        list(found.lines())
    assert [(item["line"], item["code"]) for item in found.problems] == [(2, "batch_line_body")]


def test_openai_lines_hold_what_the_door_said() -> None:
    class Door:
        async def ask(self, path: str, body: bytes) -> Answered:
            if b"wrong" in body:
                return Answered(422, b'{"error":{"code":"x"}}', "r2", InvalidInput("x"))
            return Answered(200, b'{"object":"list"}', "r1")

    rows = [Row(1, 1, "", b'{"input":"a"}', b"null", b'"one"'), Row(2, 2, "", b'{"input":"wrong"}', b"null", b'"two"')]  # type: ignore[arg-type]
    good, bad = asyncio.run(OpenAIForm("/v1/embeddings", "batch_x").lines(Door(), rows))  # type: ignore[arg-type]
    assert json.loads(good[0]) == {
        "id": "batch_req_x_1", "custom_id": "one", "error": None,
        "response": {"status_code": 200, "request_id": "r1", "body": {"object": "list"}},
    }  # fmt: skip
    assert json.loads(bad[0])["response"]["status_code"] == 422
