"""What the pages say about keys."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

KEY = "hl_" + "k" * 43


@pytest.mark.parametrize(("language", "words"), [("en", "lacks the scope read"), ("zh", "缺少 read 权限")])
def test_a_key_that_may_not_read_is_refused_at_the_door(visitor: TestClient, port, language: str, words: str) -> None:
    port.principal = replace(port.principal, scopes=frozenset({"predict"}))
    visitor.cookies.set("hanlin_language", language)
    token = re.findall(r'name="csrf" value="([0-9a-f]{64})"', visitor.get("/console/login").text)[0]
    refused = visitor.post("/console/login", data={"csrf": token, "key": KEY, "next": "/"})
    assert refused.status_code == 403
    assert words in refused.text
    assert "hanlin_session" not in visitor.cookies


def test_the_pages_say_how_to_come_by_a_key_wherever_the_home_is(visitor: TestClient) -> None:
    login = visitor.get("/console/login").text
    assert "~/.hanlin" not in login
    assert "hanlin key create --name console --scope read --scope predict" in login
    token = re.findall(r'name="csrf" value="([0-9a-f]{64})"', login)[0]
    visitor.post("/console/login", data={"csrf": token, "key": KEY, "next": "/"})
    page = visitor.get("/console/endpoints/sentiment").text
    assert "KEY=$(hanlin key create --name curl)" in page
    assert page.index("KEY=$(hanlin") < page.index("Bearer $KEY")
    assert "HANLIN_KEY" not in page, "it would take the owner's key from the command line"
