"""Several labels, scores, pairs, scales and labels named in the call, through every door that serves them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from huggingface_hub import InferenceClient


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client calls nobody while it is told to stay offline, not even this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture(scope="module")
def kinds(make_stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Endpoints `several`, `number` and `mood`."""
    found = make_stack(tmp_path_factory.mktemp("kinds") / "home")
    try:
        found.add_model("several:1", spec_more={"problem": "multi-label", "thresholds": (0.0, 1.0), "pairs": "joined"})
        found.add_model("number:1", labels=("score",), spec_more={"problem": "regression"})
        found.add_model("mood:1", task="sentiment", spec_more={"scale": (-1.0, 1.0)})
        for number in [found.deploy(f"{name}:1", name) for name in ("several", "number", "mood")]:
            found.wait_state(number, "ready")
        yield found
    finally:
        found.close()


def test_labels_that_pass(kinds) -> None:
    rows = kinds.post(["good", {"text": "good", "text_pair": "bad"}], "several").json()
    assert all({item["label"]: item["passes"] for item in row} == {"negative": True, "positive": False} for row in rows)
    infer = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}]}
    outputs = {item["name"]: item for item in kinds.client.post("/v2/models/several/infer", json=infer).json()["outputs"]}
    assert sorted(outputs["passes"]["data"]) == [0, 1]
    pair = kinds.client.post("/tei/several/predict", json={"inputs": [["good", "bad"]]}).json()
    assert pair == [rows[1]]


def test_scores_have_no_bounds(kinds) -> None:
    (item,) = kinds.post("good", "number").json()
    assert item["label"] == "score"
    assert item["score"] != pytest.approx(1.0)


def test_sentiment_is_served_where_classifiers_are(kinds) -> None:
    row = kinds.post("good", "mood").json()
    scores = {item["label"]: item["score"] for item in row}
    assert row[0]["value"] == pytest.approx(scores["positive"] - scores["negative"])
    assert kinds.client.post("/tei/mood/predict", json={"inputs": "good"}).status_code == 200
    found = InferenceClient(model=f"{kinds.url}/hf/mood", token="hl_app").text_classification("good")
    assert [item.label for item in found] == [item["label"] for item in row]


def test_labels_named_in_the_call(doors) -> None:
    asks = InferenceClient(model=f"{doors.url}/hf/vectors", token="hl_app")
    found = asks.zero_shot_classification("good w9", candidate_labels=["w9", "bad"], hypothesis_template="good {}")
    assert {item.label for item in found} == {"w9", "bad"}
    assert found[0].score >= found[1].score
    assert sum(item.score for item in found) == pytest.approx(1.0)
    several = asks.zero_shot_classification("good w9", candidate_labels=["w9"], multi_label=True)
    assert 0 < several[0].score < 1
