"""The register of doors, and what all doors share whatever their protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanlin.errors import FAMILIES
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.doors import ALL, Doors
from hanlin.gateway.openapi import describe
from hanlin.gateway.status import error_type
from hanlin.serving.router import Router
from hanlin.serving.routes import EndpointRoute, Routes, TrialRoute
from hanlin.settings import Settings
from hanlin.types import KeyId, Principal, TeamId

SCHEMA = describe({"openapi": "3.1.0", "info": {"title": "Hanlin", "version": "1"}, "paths": {}})


def read(body: bytes, endpoint: str) -> Ask:
    return Ask(endpoint, body.decode(), {})


A, B, C = Door("/a", read=read), Door("/x/{endpoint}", read=read), Door("/x/{endpoint}/y", read=read)
D = Door("/z/{endpoint}/y", read=read, alias="/z/{endpoint}/v/{version}/y")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a", (A, "", "")), ("/a/", None), ("/b", None), ("/x", None), ("/x/", (B, "", "")), ("/x/n", (B, "n", "")),
        ("/x/n/y", (C, "n", "")), ("/x/n/z", (B, "n/z", "")), ("/x/y", (B, "y", "")), ("/x/" + "n" * 500 + "/y", (C, "n" * 500, "")),
        ("/z/n/y", (D, "n", "")), ("/z/n/v/3/y", (D, "n", "3")), ("/z/n/v/3/4/y", (D, "n/v/3/4", "")), ("/z/n/v//y", (D, "n/v/", "")),
        ("/z/n/v/3", None),
    ],
)  # fmt: skip
def test_a_door_is_found_by_its_address(path: str, found: tuple[Door, str, str] | None) -> None:
    doors = Doors((A, B, C, D))
    assert doors.find(path) == doors.find(path) == found


def test_every_door_is_described_with_its_methods() -> None:
    for door in ALL:
        described = SCHEMA["paths"][door.path]
        assert described.keys() == {method for method, does in (("post", door.has_post), ("get", door.has_get)) if does}


def test_every_door_refuses_other_methods_and_names_its_own(stack) -> None:
    for door in ALL:
        path = door.path.replace("{endpoint}", "sentiment")
        for method in {"GET", "POST", "PUT", "DELETE"} - set(door.allowed.split(", ")):
            answer = stack.client.request(method, path)
            assert (answer.status_code, answer.headers["allow"], code_of(answer)) == (405, door.allowed, "method_not_allowed")


def code_of(answer) -> str:
    """Of a refusal in either form."""
    told = answer.json()
    return told["code"] if isinstance(told["error"], str) else told["error"]["code"]


def test_every_door_wants_a_key(stack) -> None:
    for door in ALL:
        if door.tell is not None:  # tells anyone
            assert door.allowed == "GET, HEAD"
            assert stack.client.get(door.path, headers={"authorization": ""}).status_code == 200
            continue
        path = door.path.replace("{endpoint}", "sentiment")
        for method in set(door.allowed.split(", ")) - {*door.elsewhere}:  # the control API asks for itself
            for key in ("", "Bearer hl_wrong"):
                answer = stack.client.request(method, path, headers={"authorization": key})
                assert answer.status_code == 401


def test_no_door_passes_over_a_query(stack) -> None:
    for door in ALL:
        path = door.path.replace("{endpoint}", "sentiment")
        for method in set(door.allowed.split(", ")) - {*door.elsewhere, "HEAD"}:
            answer = stack.client.request(method, path, params={"tpyo": "1"})
            if door.tell is not None:  # probes may say what they like
                assert answer.status_code == 200
                continue
            assert (answer.status_code, code_of(answer)) == (422, "unknown_query" if door.query else "no_query"), path
            assert stack.client.request(method, path, params={"tpyo": "1"}, headers={"authorization": ""}).status_code == 401
    for door in ALL:  # a method that it does not take is told so first, to anybody
        if "DELETE" not in door.elsewhere:
            path = door.path.replace("{endpoint}", "sentiment")
            answer = stack.client.delete(path, params={"tpyo": "1"}, headers={"authorization": ""})
            assert (answer.status_code, answer.headers["allow"]) == (405, door.allowed), path
    for path in (
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/responses",
        "/v1/responses/input_tokens",
    ):  # the beta parts of Anthropic's and OpenAI's packages
        answer = stack.client.post(f"{path}?beta=true", json={})
        assert (answer.status_code, code_of(answer)) == (422, "missing_field")


def test_every_door_counts_under_its_own_name(stack) -> None:
    for door in ALL:
        stack.client.request(door.allowed.rpartition(" ")[2], door.path.replace("{endpoint}", "none-such"))
    told = stack.client.get("/metrics").text
    for door in ALL:
        assert f'route="{door.path}"' in told


def test_an_error_has_the_type_that_clients_of_openai_look_for(stack) -> None:
    error = stack.post("").json()["error"]
    assert (error["code"], error["type"], error["family"]) == ("empty_text", "invalid_request_error", "InvalidInput")
    for name, family in FAMILIES.items():
        assert error_type(family("internal")), name


async def test_an_endpoint_that_is_just_going_is_not_listed(tmp_path: Path) -> None:
    """Of `gone` only a trial is left for a moment."""

    def route(name: str, *trials: TrialRoute) -> EndpointRoute:
        return EndpointRoute("m", "m:1", "fake-fp32", "ready", deployment_id=name, trials=trials)

    router = Router(max_waiting=1)
    gone = route("main", TrialRoute("canary", 5, route("trial")))
    router.update(Routes({"default/gone": gone, "default/here": route("here"), "default/.own": route("own"), "other/b": route("b")}))
    dataplane = Dataplane(NoKeys(), settings=Settings(home=tmp_path), router=router)
    caller = Principal(TeamId("default"), KeyId("any"), frozenset({"predict"}))
    assert [name for name, _ in dataplane.endpoints(caller)] == ["gone", "here"]
    router.withdraw("default/gone", ["main"])
    assert router.keys() == ["default/.own", "default/gone", "default/here", "other/b"]
    assert [name for name, _ in dataplane.endpoints(caller)] == ["here"]
    await router.close()


class NoKeys:
    def authenticate(self, header: str | None) -> Principal:
        raise AssertionError
