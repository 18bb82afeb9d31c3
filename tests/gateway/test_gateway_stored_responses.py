"""Stored responses through two gateways with OpenAI's client: talks that go on, also after a restart; what another team may not see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests.gateway.muse import data_of
from tests.gateway.stacks import STACK, TALKS

from hanlin.accounts import Accounts
from hanlin.generation import GenerationSettings
from hanlin.storage.database import Database
from hanlin.storage.tables import TeamRow
from hanlin.types import TeamId, utc_now

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def two(make_stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """Two gateways with the control API, and keys of two teams."""
    stack = make_stack(tmp_path_factory.mktemp("stored") / "home", gateways=2, program=STACK.with_name("whole.py"), grpc_port=0)
    database = None
    try:
        more = {"generation": GenerationSettings(max_new_tokens=8), "chat": TALKS}
        stack.add_model("muse:1", task="text-generation", labels=(), spec_more=more, writes=True, max_rows=8)
        number = stack.deploy("muse:1", "muse")
        while not (path := stack.home / "key.txt").exists():
            stack.pause()
        stack.wait_state(number, "ready")
        database = Database(f"sqlite:///{stack.home / 'hanlin.db'}")
        with database.write() as session:
            session.add(TeamRow(team_id="other", name="other", is_active=True, created_at=utc_now()))
        _, other = Accounts(database).create_key(TeamId("other"), "other", ("predict", "read", "write"))
        yield stack, path.read_text(), other
    finally:
        for client in OPENED:
            client.close()
        if database is not None:
            database.close()
        stack.close()


OPENED: list[openai.OpenAI] = []


def client_of(stack, key: str) -> openai.OpenAI:
    OPENED.append(openai.OpenAI(base_url=f"{stack.url}/v1", api_key=key, max_retries=3, timeout=30))
    return OPENED[-1]


def test_a_talk_goes_on_at_another_gateway_and_after_a_restart(two) -> None:
    stack, key, other = two
    client = client_of(stack, key)
    first = client.responses.create(model="muse", input="w20 w21", instructions="good", metadata={"about": "rooms"}, max_output_tokens=3)
    assert first.store is True
    ids = [first.id]
    for _ in range(6):  # connections of their own: either gateway
        with client_of(stack, key) as each:
            told = each.responses.create(model="muse", input="w30", previous_response_id=ids[-1], max_output_tokens=1)
            ids.append(told.id)
    assert told.usage is not None and first.usage is not None
    assert told.usage.input_tokens > first.usage.input_tokens + 5, "all turns were read"
    stack.gateways[0].terminate()
    stack.gateways[0].wait(20)
    stack.start_gateway(0)
    with client_of(stack, key) as again:
        kept = again.responses.retrieve(first.id)
        assert (kept.output_text, kept.metadata, kept.instructions) == (first.output_text, {"about": "rooms"}, "good")
        stream = list(again.responses.create(model="muse", input="w31", previous_response_id=ids[-1], stream=True, max_output_tokens=1))
        last = stream[-1].response  # type: ignore[union-attr]
        counted = again.responses.input_tokens.count(model="muse", input="w31", previous_response_id=ids[-1])
        assert counted.input_tokens == last.usage.input_tokens
        assert again.responses.retrieve(last.id).output_text == last.output_text
        items = again.responses.input_items.list(first.id, order="asc")
        assert [item.content[0].text for item in items] == ["w20 w21"]  # type: ignore[union-attr]
        page = again.responses.input_items.list(last.id, limit=1)
        assert [item.type for item in page.data] == ["message"]
        again.responses.delete(first.id)
        for call in (
            lambda: again.responses.retrieve(first.id), lambda: again.responses.delete(first.id),
            lambda: again.responses.create(model="muse", input="w31", previous_response_id=ids[-1]),
            lambda: again.responses.input_tokens.count(model="muse", input="w31", previous_response_id=ids[-1]),
        ):  # fmt: skip
            with pytest.raises(openai.NotFoundError):
                call()
        unstored = again.responses.create(model="muse", input="w20", store=False)
        assert unstored.store is False
        with pytest.raises(openai.NotFoundError):
            again.responses.retrieve(unstored.id)
    with client_of(stack, other) as stranger:
        for call in (
            lambda: stranger.responses.retrieve(last.id), lambda: stranger.responses.delete(last.id),
            lambda: stranger.responses.input_items.list(last.id),
        ):  # fmt: skip
            with pytest.raises(openai.NotFoundError) as refused:
                call()
            assert refused.value.code == "not_found"
    stranger_body = {"model": "muse", "input": "x", "previous_response_id": last.id}
    answer = httpx.post(f"{stack.url}/v1/responses", json=stranger_body, headers={"authorization": f"Bearer {other}"})
    assert answer.status_code == 404
    lost = {"model": "muse", "input": "x", "previous_response_id": "resp_none", "stream": True}
    answer = httpx.post(f"{stack.url}/v1/responses", json=lost, headers={"authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    whole = {"model": "muse", "input": [{"role": "user", "content": "w20"}], "stream": True, "store": False}
    told = data_of(httpx.post(f"{stack.url}/v1/responses", json=whole, headers={"authorization": f"Bearer {key}"}))
    assert (told[0]["response"]["store"], told[-1]["response"]["store"]) == (False, False)


def test_what_the_page_shows_runs(two) -> None:
    stack, key, _ = two
    text = (Path(__file__).parents[2] / "docs" / "clients" / "openai-chat.md").read_text(encoding="utf-8")
    shown = text.partition("## Stored responses")[2].partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {"client": client_of(stack, key)}
    told: list[Any] = []
    exec(shown, names | {"print": told.append})
    assert told == [True, ["message"]]
