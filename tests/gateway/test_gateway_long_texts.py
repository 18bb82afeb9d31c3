"""Texts longer than the model takes, through a real gateway and worker: refused, cut or read in windows, and never in silence."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytestmark = pytest.mark.e2e
LONG = " ".join(f"w{number % 190 + 7}" for number in range(150))  # the model takes 64 tokens


@pytest.fixture(scope="module", autouse=True)
def endpoints(stack) -> None:
    for policy in ("truncate", "window"):
        stack.wait_state(stack.deploy("m:1", policy, long_text=policy), "ready")
        assert stack.post("good", policy).status_code == 200


def test_by_default_it_is_refused_with_limit_and_length(stack) -> None:
    refused = stack.post(["good", LONG])
    assert refused.status_code == 413
    error = refused.json()["error"]
    assert (error["code"], error["index"]) == ("text_too_long", 1)
    assert "at least 150 tokens, where 64 are allowed" in error["message"]
    assert "long_text" in error["next"]


def test_an_endpoint_that_cuts_says_which(stack) -> None:
    found = stack.post(["good", LONG, "bad", LONG], "truncate")
    assert found.status_code == 200
    assert found.headers["x-hanlin-truncated"] == "1,3"
    assert found.json()[1] == stack.post(" ".join(LONG.split()[:64])).json()
    assert "x-hanlin-truncated" not in stack.post(["good", "bad"], "truncate").headers


def test_an_endpoint_that_reads_windows_says_how_many(stack) -> None:
    found = stack.post(["good", LONG, "bad"], "window")
    assert found.status_code == 200
    assert found.headers["x-hanlin-windows"] == "1=3"
    assert "x-hanlin-truncated" not in found.headers
    assert len(found.json()) == 3
    assert found.json()[::2] == [stack.post("good").json(), stack.post("bad").json()]
    assert stack.post(LONG, "window").json() == found.json()[1], "alone as among others"


def test_windows_are_merged_by_their_own_tokens(stack) -> None:
    words = LONG.split()
    pieces = [" ".join(words[start : start + 64]) for start in (0, 43, 86)]
    logits = [
        {item["label"]: item["score"] for item in row}
        for row in stack.client.post("/models/sentiment", json={"inputs": pieces, "parameters": {"function_to_apply": "none"}}).json()
    ]
    own = (53, 43, 54)
    wanted = {label: sum(n * row[label] for n, row in zip(own, logits, strict=True)) / 150 for label in ("negative", "positive")}
    answer = stack.client.post("/models/window", json={"inputs": LONG, "parameters": {"function_to_apply": "none"}}).json()
    assert {item["label"]: item["score"] for item in answer} == pytest.approx(wanted, abs=1e-5)


def test_windows_of_each_task_are_merged_as_it_says(doors) -> None:
    def ask(endpoint: str, inputs: object, header: str | None = None) -> list:
        found = doors.client.post(f"/models/{endpoint}", json={"inputs": inputs, "parameters": {"long_text": "window"} if header else {}})
        assert (found.status_code, found.headers.get("x-hanlin-windows")) == (200, header)
        assert "x-hanlin-truncated" not in found.headers
        return found.json()

    words, own = LONG.split(), (53, 43, 54)
    pieces = [" ".join(words[start : start + 64]) for start in (0, 43, 86)]
    short, long = ask("vectors", ["good", LONG], "1=3")
    mean = np.average(ask("vectors", pieces), axis=0, weights=own)
    assert short == ask("vectors", "good")
    np.testing.assert_allclose(long, mean, atol=1e-5)

    beside_query = [" ".join(words[start : start + 63]) for start in (0, 43, 87)]
    scores = {item["index"]: item["score"] for item in ask("ranks", {"query": "good", "texts": ["bad", LONG]}, "1=3")}
    alone = {item["index"]: item["score"] for item in ask("ranks", {"query": "good", "texts": [*beside_query, "bad"]})}
    assert scores == {0: alone[3], 1: max(alone[number] for number in range(3))}

    tagged = ask("tags", LONG, "0=3")
    alike = [found for start in range(0, 150, 30) for found in ask("tags", words[start : start + 30])]
    starts = [len(" ".join(words[:number])) + (number > 0) for number in range(150)]
    wanted = [
        entity | {"index": number, "start": start, "end": start + entity["end"]}
        for number, (start, found) in enumerate(zip(starts, alike, strict=True)) for entity in found
    ]  # fmt: skip
    assert len(wanted) > 20
    assert tagged == wanted


@pytest.mark.parametrize(
    ("endpoint", "parameters", "status", "header"),
    [
        ("sentiment", {"truncation": True}, 200, "x-hanlin-truncated"),
        ("sentiment", {"long_text": "window"}, 200, "x-hanlin-windows"),
        ("window", {"long_text": "truncate"}, 200, "x-hanlin-truncated"),
        ("window", {"long_text": "refuse"}, 413, None),
        ("truncate", {"truncation": False}, 413, None),
    ],
)
def test_a_call_may_ask_for_another_way(stack, endpoint: str, parameters: dict, status: int, header: str | None) -> None:
    found = stack.client.post(f"/models/{endpoint}", json={"inputs": LONG, "parameters": parameters})
    assert found.status_code == status
    assert {name for name in found.headers if name in ("x-hanlin-truncated", "x-hanlin-windows")} == ({header} if header else set())


def test_it_is_described_and_counted(stack) -> None:
    assert [stack.client.get(f"/models/{name}").json()["long_text"] for name in ("sentiment", "truncate", "window")] == [
        "refuse", "truncate", "window"
    ]  # fmt: skip
    before = counts(stack)
    stack.post([LONG, "good"], "truncate")
    stack.post([LONG, LONG], "window")
    after = counts(stack)
    assert {key: after[key] - before[key] for key in after if after[key] != before[key]} == {
        ("truncate", "hanlin_worker_truncated_texts_total"): 1,
        ("window", "hanlin_worker_windowed_texts_total"): 2,
    }


def counts(stack) -> dict[tuple[str, str], float]:
    lines = [
        line for line in stack.client.get("/metrics").text.splitlines() if line.startswith("hanlin_worker_") and "ed_texts_total" in line
    ]
    return {(line.partition("default/")[2].partition('"')[0], line.partition("{")[0]): float(line.rpartition(" ")[2]) for line in lines}


def test_the_policy_changes_without_a_new_worker(own_stack) -> None:
    own_stack.add_model("m:1")
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    assert own_stack.post(LONG).status_code == 413
    pids = own_stack.worker_pids()
    path = own_stack.home / "desired.json"
    changed = [entry | {"long_text": "window"} for entry in json.loads(path.read_text())]
    path.with_suffix(".new").write_text(json.dumps(changed))
    path.with_suffix(".new").replace(path)
    for _ in range(200):
        if (found := own_stack.post(LONG)).status_code == 200:
            break
        own_stack.pause()
    assert found.headers["x-hanlin-windows"] == "0=3"
    assert own_stack.worker_pids() == pids


def test_what_answers_say_in_headers_is_described(stack) -> None:
    described = stack.client.get("/openapi.json").json()["paths"]["/models/{endpoint}"]["post"]["responses"]["200"]["headers"]
    answers = [stack.post(LONG, "truncate"), stack.post(LONG, "window")]
    sent = {name for answer in answers for name in answer.headers if name.startswith("x-hanlin-") or name == "server-timing"}
    assert len(sent) == 4
    assert sent <= {name.lower() for name in described}
