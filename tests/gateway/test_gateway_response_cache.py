"""Answers kept for calls that come again: bounded, per team, aged out, and gone with a version; hits are told and counted."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from hanlin.gateway.response_cache import ResponseCache, cache_key
from hanlin.serving.routes import EndpointRoute
from hanlin.types import TeamId

A, B = TeamId("a"), TeamId("b")
ROUTE = EndpointRoute("m", "m:1", "fake-fp32", "ready", deployment_id="d1", cache_ttl_s=60)


@dataclass(frozen=True)
class Body:
    body: bytes


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def get(cache: ResponseCache[Body], team: TeamId, key: bytes, ttl_s: int = 60) -> Body | None:
    return cache.get(team, key, ttl_s=ttl_s, endpoint=f"{team}/e")


def test_a_team_finds_its_own_answers_only() -> None:
    cache: ResponseCache[Body] = ResponseCache(100_000)
    cache.put(A, b"k", Body(b"mine"))
    assert get(cache, B, b"k") is None
    assert get(cache, A, b"k") == Body(b"mine")
    assert {name: (seen.hits, seen.misses) for name, seen in cache.lookups.items()} == {"b/e": (0, 1), "a/e": (1, 0)}


def test_an_answer_ages_by_the_time_that_counts_now() -> None:
    clock = Clock()
    cache: ResponseCache[Body] = ResponseCache(100_000, clock=clock)
    cache.put(A, b"k", Body(b"x"))
    clock.now_s = 30.0
    assert get(cache, A, b"k", ttl_s=60) is not None
    assert get(cache, A, b"k", ttl_s=30) is None, "shortened since"
    assert (cache.num_entries, cache.size_bytes) == (0, 0)


def test_room_is_bounded_and_the_least_used_answer_of_the_largest_team_goes() -> None:
    cache: ResponseCache[Body] = ResponseCache(10_000)
    cache.put(B, b"b", Body(b"x" * 500))
    for number in range(30):
        cache.put(A, b"%d" % number, Body(b"x" * 500))
        assert get(cache, A, b"0") is not None, "used all the time"
    assert cache.size_bytes <= 10_000
    assert cache.num_entries == 10
    assert cache.evictions_total == 21
    assert get(cache, B, b"b") is not None, "a small team is not pushed out by a large one"
    assert get(cache, A, b"1") is None


def test_what_is_too_large_is_not_kept_and_what_is_kept_anew_counts_once() -> None:
    cache: ResponseCache[Body] = ResponseCache(10_000)
    cache.put(A, b"k", Body(b"x" * 5000))
    assert cache.num_entries == 0
    for _ in range(3):
        cache.put(A, b"k", Body(b"x" * 500))
    assert (cache.num_entries, cache.size_bytes) == (1, 1000)
    ResponseCache[Body](0).put(A, b"k", Body(b""))


def test_a_key_names_who_answers_and_what_was_asked() -> None:
    key = cache_key(ROUTE, "good", {"top_k": 1, "long_text": None})
    assert key == cache_key(ROUTE, "good", {"long_text": None, "top_k": 1}), "the order of names does not matter"
    changed = [
        EndpointRoute("m", "m:2", "fake-fp32", "ready", deployment_id="d1"),
        EndpointRoute("m", "m:1", "other-fp32", "ready", deployment_id="d1"),
        EndpointRoute("m", "m:1", "fake-fp32", "ready", deployment_id="d2"),
        EndpointRoute("m", "m:1", "fake-fp32", "ready", deployment_id="d1", long_text="window"),
    ]
    others = [cache_key(route, "good", {"top_k": 1, "long_text": None}) for route in changed]
    others += [
        cache_key(ROUTE, "Good", {"top_k": 1, "long_text": None}),
        cache_key(ROUTE, ["good"], {"top_k": 1}),
        cache_key(ROUTE, "good", {}),
    ]
    assert len({key, *others}) == 8


def metric(stack, name: str) -> dict[str, float]:
    lines = [line for line in stack.client.get("/metrics").text.splitlines() if line.startswith(f"{name}{{")]
    return {line.partition('"')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.mark.e2e
def test_calls_that_come_again_are_answered_without_an_engine(own_stack) -> None:
    own_stack.add_model("m:1")
    own_stack.wait_state(own_stack.deploy("m:1", cache_ttl_s=600), "ready")
    own_stack.wait_state(own_stack.deploy("m:1", "plain"), "ready")
    own_stack.wait_state(own_stack.deploy("m:1", "theirs", team="other", cache_ttl_s=600), "ready")
    first, second = own_stack.post(["good", "bad"]), own_stack.post(["good", "bad"])
    assert (first.headers["x-hanlin-cache"], second.headers["x-hanlin-cache"]) == ("miss", "hit")
    assert first.content == second.content
    assert first.headers["x-hanlin-model"] == second.headers["x-hanlin-model"]
    assert "engine;dur=0.0," in second.headers["server-timing"]
    assert own_stack.post(["bad", "good"]).headers["x-hanlin-cache"] == "miss"
    assert "x-hanlin-cache" not in own_stack.post("good", "plain").headers
    for _ in range(200):  # until its gateway knows the endpoint, too
        foreign = own_stack.post(["good", "bad"], "theirs", headers={"authorization": "Bearer hl_other"})
        if foreign.status_code != 404:
            break
        own_stack.pause()
    assert foreign.headers["x-hanlin-cache"] == "miss", "never shared between teams"
    for _ in range(2):
        refused = own_stack.post(["good", ""])
        assert refused.status_code == 422 and "x-hanlin-cache" not in refused.headers, "a refusal is not kept"
    assert metric(own_stack, "hanlin_response_cache_hits_total") == {"default/sentiment": 1, "other/theirs": 0}
    assert metric(own_stack, "hanlin_response_cache_misses_total")["default/sentiment"] == 4
    assert 'hanlin_response_cache_entries{gateway="0"} 3.0' in own_stack.client.get("/metrics").text


@pytest.mark.e2e
def test_a_version_switch_starts_with_nothing_kept(own_stack) -> None:
    own_stack.add_model("m:1")
    own_stack.add_model("m:2", labels=("negative", "positive", "mixed"))
    own_stack.wait_state(own_stack.deploy("m:1", cache_ttl_s=600), "ready")
    assert [own_stack.post("good").headers["x-hanlin-cache"] for _ in range(2)] == ["miss", "hit"]
    own_stack.wait_state(own_stack.deploy("m:2", cache_ttl_s=600), "ready")
    for _ in range(200):
        answer = own_stack.post("good")
        if answer.headers["x-hanlin-model"].startswith("m:2"):
            break
        own_stack.pause()
    assert len(answer.json()) == 3 and answer.headers["x-hanlin-cache"] == "miss"
    assert len(own_stack.post("good").json()) == 3


@pytest.mark.e2e
def test_a_switch_turns_it_on_and_off_within_moments(own_stack) -> None:
    own_stack.add_model("m:1")
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    path = own_stack.home / "desired.json"
    for ttl_s, wanted in ((600, {"miss", "hit"}), (0, {None})):
        changed = [entry | {"cache_ttl_s": ttl_s} for entry in json.loads(path.read_text())]
        path.with_suffix(".new").write_text(json.dumps(changed))
        path.with_suffix(".new").replace(path)
        for _ in range(200):
            if (said := own_stack.post("good").headers.get("x-hanlin-cache")) in wanted:
                break
            own_stack.pause()
        assert said in wanted
