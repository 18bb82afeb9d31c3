"""Stored responses: whose they are, how talks go on, when they go, what of a masked text is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import delete, func, select, update

from hanlin.control import stored_responses
from hanlin.control.platform import Platform
from hanlin.control.stored_responses import StoredResponses
from hanlin.errors import InvalidInput, NotFound, NotReady, PermissionDenied
from hanlin.gateway.dataplane import Dataplane, Outcome
from hanlin.gateway.door import Ask
from hanlin.gateway.ports import NoMask, NoResponses
from hanlin.gateway.responses_door import read_response
from hanlin.serving.router import Router
from hanlin.storage.kept_tables import ResponseRow
from hanlin.storage.tables import TeamRow
from hanlin.types import JsonObject, JsonValue, Principal, utc_now

Named = dict[str, str]


def keep(platform: Platform, principal: Principal, name: str, *turns: str, text: str = "x") -> None:
    answer: JsonObject = {"id": name, "output": [], "metadata": None, "text": text}
    StoredResponses(platform).keep(principal, answer, [{"id": f"msg_{name}"}], turns)


def names(platform: Platform, principal: Principal, last: str) -> list[str]:
    return [turn.id for turn in StoredResponses(platform).talk(principal, last)]


def with_settings(platform: Platform, **more: object) -> Platform:
    return replace(platform, settings=platform.settings.model_copy(update=more))


def test_a_talk_goes_on_from_any_of_its_turns(platform, owner) -> None:
    keep(platform, owner, "one")
    keep(platform, owner, "two", "one")
    keep(platform, owner, "three", "one", "two")
    keep(platform, owner, "other", "one")
    assert names(platform, owner, "three") == ["one", "two", "three"]
    assert names(platform, owner, "other") == ["one", "other"]
    stored_responses.delete_response(platform, owner, "one")
    for name in ("one", "three", "other", "none", "\x00", "x" * 300):
        with pytest.raises(NotFound):
            names(platform, owner, name)
    assert stored_responses.get_response(platform, owner, "three").items == ({"id": "msg_three"},)
    with pytest.raises(NotFound):  # before the database is asked: PostgreSQL takes no such text
        StoredResponses(replace(platform, database=None)).talk(owner, "\x00")  # type: ignore[arg-type]


def test_a_talk_longer_than_a_body_is_not_gone_on_with(platform, owner) -> None:
    keep(platform, owner, "one", text="x" * 600)
    keep(platform, owner, "two", "one", text="x" * 600)
    small = StoredResponses(with_settings(platform, max_body_bytes=1024))
    assert [turn.id for turn in small.talk(owner, "one")] == ["one"]
    with pytest.raises(InvalidInput) as refused:
        small.talk(owner, "two")
    assert refused.value.code == "talk_too_large"
    assert refused.value.params["size_bytes"] > 1200


def test_responses_are_private_to_their_team_and_go_with_it(platform, owner, stranger) -> None:
    keep(platform, owner, "mine")
    calls = (
        lambda who, name: stored_responses.get_response(platform, who, name),
        lambda who, name: stored_responses.delete_response(platform, who, name),
        lambda who, name: names(platform, who, name),
    )
    for call in calls:
        told = []
        for name in ("mine", "none"):
            with pytest.raises(NotFound) as refused:
                call(stranger, name)
            told.append(refused.value.message.replace(name, ""))
        assert told[0] == told[1], "as one that never was"
        with pytest.raises(PermissionDenied):
            call(replace(owner, scopes=frozenset({"read"})), "mine")
    keep(platform, stranger, "theirs")
    with platform.database.write() as session:
        session.execute(delete(TeamRow).where(TeamRow.team_id == stranger.team_id))
    with platform.database.read() as session:
        assert session.scalars(select(ResponseRow.id)).all() == ["mine"]
    with pytest.raises(NotFound):  # an error of ours, of which the answer survives
        keep(platform, stranger, "late")


def test_each_turn_renews_a_talk_and_old_ones_are_swept(platform, owner) -> None:
    keep(platform, owner, "one")
    keep(platform, owner, "alone")
    soon = utc_now() + timedelta(seconds=60)
    with platform.database.write() as session:
        session.execute(update(ResponseRow).values(expires_at=soon))
    keep(platform, owner, "two", "one")
    assert stored_responses.get_response(platform, owner, "one").expires_at > soon
    with platform.database.write() as session:
        session.execute(update(ResponseRow).where(ResponseRow.id == "alone").values(expires_at=utc_now() - timedelta(seconds=1)))
    with pytest.raises(NotFound):
        stored_responses.get_response(platform, owner, "alone")
    stored_responses.sweep(platform)
    with platform.database.read() as session:
        assert sorted(session.scalars(select(ResponseRow.id))) == ["one", "two"]


def test_of_more_than_a_team_may_keep_the_oldest_go(platform, owner, stranger) -> None:
    few, small = with_settings(platform, max_responses=3), with_settings(platform, max_responses_bytes=2000)
    keep(platform, stranger, "theirs")
    for number in range(5):
        keep(few, owner, f"r{number}")
    with platform.database.read() as session:
        assert sorted(session.scalars(select(ResponseRow.id))) == ["r2", "r3", "r4", "theirs"]
    keep(small, owner, "large", text="x" * 1900)
    keep(small, owner, "larger", text="x" * 5000)
    with platform.database.read() as session:
        assert sorted(session.scalars(select(ResponseRow.id))) == ["larger", "theirs"], "the newest stays whatever its size"
    store = StoredResponses(with_settings(platform, max_response_bytes=1024))
    with pytest.raises(InvalidInput) as refused:
        store.check([{"text": "x" * 1024}], "")
    assert refused.value.code == "response_too_large"
    assert not StoredResponses(with_settings(platform, response_ttl_s=0.0)).check([{"text": "x" * 9999}], "")


class Stars(NoMask):
    """Hides digits."""

    def mask(self, principal: Principal, endpoint: str, inputs: JsonValue) -> JsonValue:
        assert isinstance(inputs, list)
        return ["".join("*" if letter.isdigit() else letter for letter in str(text)) for text in inputs]


class Broken(NoResponses):
    """Has no room."""

    def check(self, items: Sequence[JsonObject], instructions: str) -> bool:
        return True

    def keep(self, principal: Principal, answer: JsonObject, items: Sequence[JsonObject], turns: Sequence[str]) -> None:
        raise NotReady("storage_full", retry_after_s=1.0)


async def answered(dataplane: Dataplane, owner: Principal, **asked: object) -> tuple[Ask, JsonObject]:
    """What a call became and what it was told."""
    ask = read_response(json.dumps({"model": "muse", "input": "call 555", **asked}).encode(), "")
    assert ask.memory is not None and ask.write is not None
    ask = await ask.memory.recall(dataplane, owner, ask)
    row = {"generated_text": "done 777", "finish_reason": "stop", "num_tokens": 2}
    outcome = Outcome(msgspec.json.encode(row), "muse:1", "fake-fp32", 1, 4, 0, 0, 0)
    await ask.memory.keep(dataplane, owner, outcome)  # type: ignore[union-attr]
    told: JsonObject = json.loads(ask.write(outcome).body)  # type: ignore[union-attr, misc]
    return ask, told


def test_what_is_stored_is_masked_and_what_is_told_is_not(platform, owner, settings) -> None:
    async def run() -> None:
        dataplane = Dataplane(
            platform.accounts, settings=settings, mask=Stars(), responses=StoredResponses(platform), router=Router(max_waiting=1)
        )
        _, told = await answered(dataplane, owner, instructions="be 1", metadata={"phone": "123"})
        assert told["store"] is True and "777" in str(told["output"])
        found = stored_responses.get_response(platform, owner, str(told["id"]))
        seen = json.dumps([found.answer["output"], found.answer["instructions"], found.answer["metadata"], *found.items])
        for text in ("done ***", "be *", '"phone": "***"', "call ***"):
            assert text in seen
        assert not {"777", "555", "123"} & set(seen.split())
        again, second = await answered(dataplane, owner, previous_response_id=told["id"], instructions="new")
        said = [(message["role"], message["content"]) for message in again.inputs["messages"]]  # type: ignore[index, call-overload]
        assert said == [("system", "new"), ("user", "call ***"), ("assistant", "done ***"), ("user", "call 555")]
        assert second["metadata"] is stored_responses.get_response(platform, owner, str(second["id"])).answer["metadata"] is None
        _, unstored = await answered(dataplane, owner, previous_response_id=second["id"], store=False)
        assert (unstored["store"], unstored["previous_response_id"]) == (False, second["id"])
        with platform.database.read() as session:
            assert session.scalar(select(func.count()).select_from(ResponseRow)) == 2
        full = Dataplane(platform.accounts, settings=settings, responses=Broken(), router=Router(max_waiting=1))
        _, told = await answered(full, owner)
        assert (told["store"], told["status"]) == (False, "completed"), "an answer that cannot be stored is given, and says so"
        await dataplane.stop()
        await full.stop()

    asyncio.run(run())
