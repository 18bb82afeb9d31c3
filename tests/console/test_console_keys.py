"""What the pages say about keys."""

from __future__ import annotations

import re

from starlette.testclient import TestClient

KEY = "hl_" + "k" * 43


def test_the_pages_say_how_to_come_by_a_key_wherever_the_home_is(visitor: TestClient) -> None:
    login = visitor.get("/console/login").text
    assert "~/.hanlin" not in login
    assert "hanlin key create --name console --scope read --scope predict" in login
    token = re.findall(r'name="csrf" value="([0-9a-f]{64})"', login)[0]
    visitor.post("/console/login", data={"csrf": token, "key": KEY, "next": "/"})
    page = visitor.get("/console/endpoints/sentiment").text
    assert "export HANLIN_KEY=$(hanlin key create --name curl)" in page
    assert page.index("export HANLIN_KEY") < page.index("Bearer $HANLIN_KEY")
