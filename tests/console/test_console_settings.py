"""The settings form of an endpoint over the fake platform: what it shows, takes and refuses, and who sees it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hanlin.console.views import EndpointSettings
from hanlin.console.words import say

PATH = "/console/endpoints/sentiment"
FORM = {"long_text": "window", "cache_ttl_s": "60", "min_replicas": "0", "max_replicas": "3", "isolation": "own", "idle_s": "120"}


def post(member, **changes: str):
    return member.post(f"{PATH}/settings", data={"csrf": member.token(), **FORM, **changes})


def test_the_form_shows_what_is_set(member, port) -> None:
    port.endpoints[0] = replace(port.endpoints[0], settings=EndpointSettings("shared", 0, 4, 90, "truncate", 30))
    page = member.get(PATH).text
    for words in (
        'value="shared" selected', 'value="truncate" selected', 'max="16" value="0"', 'max="16" value="4"', 'max="2592000" value="90"',
        'max="604800" value="30"',
    ):  # fmt: skip
        assert words in page


@pytest.mark.parametrize(("isolation", "saved"), [("own", "saved"), ("shared", "restarted")])
def test_saving_says_whether_the_model_is_started_anew(member, port, isolation: str, saved: str) -> None:
    answer = post(member, isolation=isolation)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}?saved={saved}")
    assert port.endpoints[0].settings == EndpointSettings(isolation, 0, 3, 120, "window", 60)
    assert 'role="status">Saved.' in member.get(f"{PATH}?saved={saved}").text.replace('class="saved" ', "")
    assert ("started anew as you said" in member.get(answer.headers["location"]).text) == (saved == "restarted")


def test_the_page_says_nothing_that_a_link_makes_up(member) -> None:
    assert 'class="saved"' not in member.get(f"{PATH}?saved=title").text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("long_text", "eat"), ("isolation", ""), ("cache_ttl_s", "604801"), ("cache_ttl_s", "-1"), ("cache_ttl_s", "1.5"),
        ("idle_s", "2592001"), ("idle_s", "\u0663"), ("min_replicas", "17"), ("max_replicas", "0"), ("max_replicas", ""),
        ("max_replicas", "9" * 400),
    ],
)  # fmt: skip
def test_what_cannot_be_set_is_refused_by_name(member, port, name: str, value: str) -> None:
    answer = post(member, **{name: value})
    assert (answer.status_code, f"“{say('en', f'settings.{name}')}” must be" in answer.text) == (422, True)
    assert port.endpoints[0].settings == EndpointSettings()


def test_a_maximum_below_the_minimum_is_refused_in_chinese_too(member, port) -> None:
    headers = {"x-csrf-token": member.token(), "hx-request": "true", "accept-language": "zh"}
    answer = member.post(f"{PATH}/settings", data={**FORM, "min_replicas": "4"}, headers=headers)
    assert (answer.status_code, "“最多副本数”应为 4–16" in answer.text, "<html" in answer.text) == (422, True, False)
    assert port.endpoints[0].settings == EndpointSettings()


def test_who_may_not_write_sees_no_form_and_is_refused(member, port) -> None:
    port.principal = replace(port.principal, scopes=frozenset({"read", "predict"}))
    assert "settings-form" not in member.get(PATH).text
    assert post(member).status_code == 403
