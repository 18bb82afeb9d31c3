"""The event stream of a job: whole, resumable, safe with any text, ended with the key."""

from __future__ import annotations

import re

import pytest

from hanlin.console.views import JobEventView
from hanlin.messages.said import Said


def read_events(text: str) -> list[tuple[int, str, str]]:
    return [(int(number), kind, data) for number, kind, data in re.findall(r"id: (\d+)\nevent: (\w+)\ndata: (.*)\n\n", text)]


def test_event_stream_tells_the_whole_story_and_ends(member, port) -> None:
    port.has_ended = True
    answer = member.get("/console/jobs/job-7/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = read_events(answer.text)
    assert [number for number, _, _ in events] == [*range(1, 13), 12]
    assert events[-1][1:] == ("end", '{"state": "succeeded"}')


@pytest.mark.parametrize("how", [{"params": {"after": "9"}}, {"headers": {"last-event-id": "9"}}])
def test_event_stream_goes_on_where_it_was_left(member, port, how: dict) -> None:
    port.has_ended = True
    assert [number for number, _, _ in read_events(member.get("/console/jobs/job-7/events", **how).text)] == [10, 11, 12, 12]


def test_event_stream_survives_any_text_and_any_number(member, port) -> None:
    port.has_ended = True
    event = JobEventView(
        1, "message", metrics=(("loss", float("nan")),), said=Said("variant_error", {"problem": "a\n\ndata: b\r\n\u2028 \ud800"})
    )
    port.job_events = lambda principal, job, after: [event] if after < 1 else []
    events = read_events(member.get("/console/jobs/job-7/events").text)
    assert [kind for _, kind, _ in events] == ["message", "end"]


def test_event_stream_ends_when_the_key_is_revoked(member, port) -> None:
    original = port.job_events

    def revoke_after(principal, job, after):
        port.is_revoked = True
        return original(principal, job, after)

    port.job_events = revoke_after
    assert read_events(member.get("/console/jobs/job-7/events").text)[-1][1] == "gone"
