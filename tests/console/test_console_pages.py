"""What pages show over the fake platform, and what they never let through."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from hanlin.console.views import EndpointView, JobView, LabelScores, ModelView
from hanlin.messages.said import Said


def test_overview_shows_endpoints_models_and_jobs(member) -> None:
    page = member.get("/").text
    for words in ("sentiment", "openvino-int8", "85.1", "@production", "ready", "published", "Train", 'value="48" max="400"'):
        assert words in page


def test_empty_states_name_the_next_command(member, port) -> None:
    port.endpoints, port.models, port.jobs = [], [], []
    port.list_jobs = lambda principal, limit: []
    page = member.get("/").text
    for command in ("hanlin deploy", "hanlin demo", "hanlin train"):
        assert command in page


@pytest.mark.parametrize(("language", "words"), [("en", "loses 0.81 points, budget 0.5"), ("zh", "损失 0.81 个百分点，预算为 0.5")])
def test_why_a_variant_is_out_is_told_in_the_readers_language(member, language: str, words: str) -> None:
    assert f'title="{words}"' in member.get("/console/models/sentiment-zh/2", headers={"accept-language": language}).text


def test_version_page_shows_the_whole_record(member) -> None:
    page = member.get("/console/models/sentiment-zh/2").text
    for words in (
        "83.4",
        "pictures/pareto.svg",
        "over budget",
        "chosen",
        "stamp.svg",
        "99.50",
        "95 %: 97.2",
        "0.0123",
        "750",
        "86.1",
        "reviews-zh:1",
        "Reads reviews.",
    ):
        assert words in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "example.org/x.png" not in page or '<img src="https' not in page


def test_a_failed_certificate_is_shown_as_failed(member, port) -> None:
    version = port.models[0].versions[0]
    failed = replace(version.certificates[0], is_passed=False)
    port.models[0] = replace(port.models[0], versions=(replace(version, certificates=(failed,)),))
    page = member.get("/console/models/sentiment-zh/2").text
    assert "stamp-failed.svg" in page
    assert "cannot be published" in page


@pytest.mark.parametrize(
    "path",
    [
        "/console/models/none",
        "/console/models/sentiment-zh/9",
        "/console/jobs/none",
        "/console/endpoints/none",
        "/console/models/..%2f",
        "/console/none",
    ],
)
def test_missing_pages_answer_404_in_words(member, path: str) -> None:
    answer = member.get(path)
    assert answer.status_code == 404
    assert "there is no such page" in answer.text


def test_unknown_paths_outside_the_console_answer_json(visitor) -> None:
    answer = visitor.get("/nothing")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "address_missing")
    assert "/v1" in answer.json()["error"]["next"]


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e{{7*191919}}'


def test_foreign_text_is_inert_everywhere(member, port) -> None:
    version = port.models[0].versions[0]
    metrics = replace(version.metrics, per_class=tuple(LabelScores(EVIL, 1, 1, 1, 1) for _ in "ab"))
    version = replace(version, metrics=metrics, lineage=((EVIL, EVIL),), labels=(EVIL, EVIL), target=EVIL)
    port.models = [ModelView("sentiment-zh", EVIL, ((EVIL, 2),), (version,))]
    port.endpoints = [EndpointView("sentiment", EVIL, EVIL, EVIL, 2, EVIL, reason={"en": EVIL, "zh": EVIL}, languages=())]
    port.jobs = [
        JobView(
            "job-6",
            EVIL,
            "failed",
            EVIL,
            said=Said("variant_error", {"problem": EVIL}),
            config={EVIL: EVIL},
            error={"message": EVIL, "next": EVIL},
            result={"model": EVIL, "version": 1},
        )
    ]
    port.card = lambda *_: f"{EVIL} [x](javascript:alert(1)) <iframe src=x>"
    for path in (
        "/",
        "/console/models",
        "/console/models/sentiment-zh",
        "/console/models/sentiment-zh/2",
        "/console/jobs",
        "/console/jobs/job-6",
        "/console/endpoints/sentiment",
    ):
        page = member.get(path)
        assert page.status_code == 200, path
        assert not re.search(r"<script>|<img src=x|<iframe|href=\"javascript|1343433", page.text.replace("\u202f", "")), path


def test_the_address_above_the_endpoints_leads_to_their_list(member) -> None:
    answer = member.get("/console/endpoints", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/#endpoints")
