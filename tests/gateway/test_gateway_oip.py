"""The Open Inference Protocol over REST: tensors in JSON and in binary form, what it tells, its orders, its errors."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from tests.gateway.oip_ways import BINARY, by_name, of_ranking, of_texts, packed, tensor
from tests.gateway.ways import ALL_ENDPOINTS

IDS = {"name": "input_ids", "datatype": "INT64", "shape": [2, 3], "data": [2, 9, 10, 11, 12, 13]}


def infer(doors, body: object, endpoint: str = "sentiment", **headers: str) -> httpx.Response:
    return doors.client.post(f"/v2/models/{endpoint}/infer", json=body, headers=headers)


def refused(answer: httpx.Response) -> tuple[int, str]:
    told = answer.json()
    assert isinstance(told["error"], str)
    assert told["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, told["code"]


def test_labels_and_scores_are_tensors(doors) -> None:
    answer = infer(doors, of_texts(["good", "bad w9"]) | {"id": "mine"})
    told = answer.json()
    assert (told["model_name"], told["model_version"], told["id"]) == ("sentiment", "1", "mine")
    assert [(item["name"], item["datatype"], item["shape"]) for item in told["outputs"]] == [
        ("label", "BYTES", [2, 2]),
        ("score", "FP32", [2, 2]),
    ]
    task = doors.post(["good", "bad w9"]).json()
    assert told["outputs"][0]["data"] == [item["label"] for row in task for item in row]
    assert told["outputs"][1]["data"] == [item["score"] for row in task for item in row]
    assert answer.headers["x-hanlin-model"]
    assert answer.headers["server-timing"]


def test_parameters_go_to_the_task(doors) -> None:
    assert infer(doors, of_texts(["good"], top_k=1)).json()["outputs"][0]["shape"] == [1, 1]
    assert refused(infer(doors, of_texts(["good"], nonsense=1))) == (422, "unknown_parameter")
    ranks = by_name(infer(doors, of_ranking("good", ["bad", "good"], return_text=True, top_k=1), "ranks"))
    assert ranks["text"] == [["bad", "good"][ranks["index"][0]]]


def test_a_column_of_texts_may_be_nested(doors) -> None:
    flat, nested = tensor("text", ["good", "bad"]), tensor("text", [["good"], ["bad"]]) | {"shape": [2, 1]}
    assert by_name(infer(doors, {"inputs": [flat]})) == by_name(infer(doors, {"inputs": [nested]}))


def test_the_outputs_that_are_named_come_in_that_order(doors) -> None:
    body = of_texts(["good"])
    one = infer(doors, body | {"outputs": [{"name": "score"}]}).json()["outputs"]
    assert [item["name"] for item in one] == ["score"]
    two = infer(doors, body | {"outputs": [{"name": "score", "parameters": {"binary_data": True}}, {"name": "label"}]})
    assert two.headers["content-type"] == "application/octet-stream"
    assert list(by_name(two)) == ["score", "label"]
    assert refused(infer(doors, body | {"outputs": [{"name": "logits"}]})) == (422, "unknown_tensor")
    assert refused(infer(doors, body | {"outputs": [{"name": "score"}] * 2})) == (422, "invalid_parameter")


def test_every_output_is_binary_where_the_request_says_so_but_those_that_say_otherwise(doors) -> None:
    body = of_texts(["good"], binary_data_output=True)
    whole = infer(doors, body)
    told = json.loads(whole.content[: int(whole.headers["inference-header-content-length"])])
    assert all("data" not in item for item in told["outputs"])
    mixed = infer(doors, body | {"outputs": [{"name": "label", "parameters": {"binary_data": False}}, {"name": "score"}]})
    told = json.loads(mixed.content[: int(mixed.headers["inference-header-content-length"])])
    assert ["data" in item for item in told["outputs"]] == [True, False]


def binary(doors, raw: bytes, *, size: int | None = None, length: str | None = None, **tensor: object) -> httpx.Response:
    head = {
        "name": "text",
        "datatype": "BYTES",
        "shape": [2],
        "parameters": {"binary_data_size": len(raw) if size is None else size},
        **tensor,
    }
    text = json.dumps({"inputs": [head]}).encode()
    headers = {"inference-header-content-length": str(len(text)) if length is None else length, "content-type": "application/octet-stream"}
    return doors.client.post("/v2/models/sentiment/infer", content=text + raw, headers=headers)


def test_texts_may_come_in_binary_form(doors) -> None:
    texts = ["good 好", "w9 🙂"]
    assert by_name(binary(doors, packed(texts))) == by_name(infer(doors, of_texts(texts)))


@pytest.mark.parametrize(
    ("raw", "more", "verdict"),
    [
        (packed(["good"]), {}, (422, "invalid_tensor")),  # one, where the shape says two
        (packed(["good", "bad"])[:-1], {}, (422, "invalid_tensor")),
        (packed(["good", "bad"]) + b"\x01", {}, (422, "invalid_tensor")),
        (b"\xff\xff\xff\xff", {}, (422, "invalid_tensor")),
        (bytes(4 * 120_001), {"shape": [120_001]}, (413, "tensor_too_long")),
        (bytes(8 * 120_001), {"name": "input_ids", "datatype": "INT64", "shape": [120_001, 1]}, (413, "tensor_too_long")),
        (packed(["good"]), {"shape": [1] * 9}, (422, "invalid_tensor")),
        (b"\x01\x00\x00\x00\xff" + packed(["bad"]), {}, (422, "text_not_utf8")),
        (b"\x03\x00\x00\x00\xed\xa0\x80" + packed(["bad"]), {}, (422, "text_not_utf8")),
        (packed(["good", "bad"]), {"size": 5}, (422, "invalid_tensor")),
        (packed(["good", "bad"]), {"size": 10_000}, (422, "invalid_parameter")),
        (packed(["good", "bad"]), {"size": -1}, (422, "invalid_parameter")),
        (packed(["good", "bad"]), {"data": ["good", "bad"]}, (422, "invalid_parameter")),
        (packed(["good", "bad"]), {"datatype": "FP32"}, (422, "invalid_tensor")),
        (packed(["good", "bad"]), {"length": "100000"}, (422, "invalid_parameter")),
        (packed(["good", "bad"]), {"length": "-1"}, (422, "invalid_parameter")),
        (packed(["good", "bad"]), {"length": "0"}, (400, "empty_body")),
        (packed(["good", "bad"]), {"length": "9"}, (400, "malformed_json")),
        (packed(["", "bad"]), {}, (422, "empty_text")),
    ],
)
def test_what_does_not_fit_in_binary_form_is_refused(doors, raw: bytes, more: dict[str, object], verdict: tuple[int, str]) -> None:
    assert refused(binary(doors, raw, **more)) == verdict


def test_token_ids_are_a_tensor_too(doors) -> None:
    answer = by_name(infer(doors, {"inputs": [IDS]}))
    assert answer["label"][0] == [item["label"] for item in doors.post({"token_ids": [2, 9, 10]}).json()]
    mask = IDS | {"name": "attention_mask", "data": [1, 1, 0, 1, 1, 1]}
    masked = by_name(infer(doors, {"inputs": [IDS, mask]}))
    assert masked["score"][0] == [item["score"] for item in doors.post({"token_ids": [2, 9]}).json()]
    assert masked["score"][1] == answer["score"][1]
    tags = by_name(infer(doors, {"inputs": [IDS], "parameters": {"ignore_labels": []}}, "tags"))
    assert (tags["start"], tags["word"], tags["token"]) == ([-1] * 6, [""] * 6, [0, 1, 2] * 2)


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ([], "missing_tensor"),
        ([IDS | {"shape": [6]}], "invalid_tensor"),
        ([IDS | {"shape": [3, 3]}], "invalid_tensor"),
        ([IDS | {"shape": [-2, -3]}], "invalid_tensor"),
        ([IDS | {"shape": [2, 3, 1]}], "invalid_tensor"),
        ([IDS | {"shape": ["2", 3]}], "invalid_tensor"),
        ([IDS | {"shape": [1] * 100}], "invalid_tensor"),
        ([IDS | {"datatype": "FP32"}], "invalid_tensor"),
        ([IDS | {"data": [1, 2, 3, 4, 5, 999]}], "unknown_token_id"),
        ([IDS | {"data": [1, 2, 3, 4, 5, -1]}], "invalid_token_ids"),
        ([IDS | {"data": [1, 2, 3, 4, 5, 0.5]}], "invalid_token_ids"),
        ([IDS, IDS], "invalid_tensor"),
        ([IDS, tensor("text", ["good"])], "invalid_tensor"),
        ([IDS | {"name": "attention_mask"}], "missing_tensor"),
        ([IDS, IDS | {"name": "attention_mask", "shape": [3, 2]}], "invalid_tensor"),
        ([IDS, IDS | {"name": "attention_mask", "data": [0] * 6}], "empty_text"),
        ([IDS | {"shape": [0, 3], "data": []}], "empty_batch"),
        ([IDS | {"shape": [2, 0], "data": []}], "empty_batch"),
        ([tensor("text", ["good"]) | {"shape": [2]}], "invalid_tensor"),
        ([tensor("text", ["good"]) | {"shape": []}], "invalid_tensor"),
        ([tensor("text", ["good"]) | {"datatype": "INT64"}], "invalid_tensor"),
        ([tensor("texts", ["good"])], "unknown_tensor"),
        ([tensor("text", [{"token_ids": [2]}])], "invalid_inputs"),
        ([tensor("text", ["good"]) | {"more": 1}], "unknown_field"),
        ([{"name": "text"}], "missing_field"),
        (["good"], "invalid_parameter"),
        ({"name": "text"}, "invalid_parameter"),
        ([tensor("query", ["good"])], "missing_tensor"),
        ([tensor("query", ["good", "bad"]), tensor("text", ["good"])], "invalid_tensor"),
        ([tensor("query", ["good"]), tensor("text", ["good"])], "invalid_inputs"),
    ],
)
def test_tensors_that_are_none_are_refused(doors, inputs: object, code: str) -> None:
    assert refused(infer(doors, {"inputs": inputs})) == (422, code)


def test_a_version_may_be_named(doors) -> None:
    body = of_texts(["good"])
    assert doors.client.post("/v2/models/sentiment/versions/1/infer", json=body).json() == infer(doors, body).json()
    assert refused(doors.client.post("/v2/models/sentiment/versions/2/infer", json=body)) == (404, "other_version_served")
    assert refused(doors.client.post("/v2/models/none-such/versions/1/infer", json=body)) == (404, "endpoint_not_found")
    for what in ("", "/ready", "/config", "/stats"):
        assert doors.client.get(f"/v2/models/sentiment/versions/1{what}").status_code == 200
        assert refused(doors.client.get(f"/v2/models/sentiment/versions/9{what}")) == (404, "other_version_served")


def test_what_the_server_is_anyone_may_ask(doors) -> None:
    nobody = {"authorization": ""}
    told = doors.client.get("/v2", headers=nobody).json()
    assert told["name"] == "hanlin"
    assert "binary_tensor_data" in told["extensions"]
    assert doors.client.get("/v2/health/live", headers=nobody).json() == {"live": True}
    assert doors.client.get("/v2/health/ready", headers=nobody).json() == {"ready": True}
    assert doors.client.get("/v2/models/sentiment/ready").json() == {"name": "sentiment", "ready": True}
    assert refused(doors.client.get("/v2/models/sentiment/ready", headers=nobody)) == (401, "unauthenticated")


@pytest.mark.parametrize("endpoint", ["sentiment", "vectors", "ranks", "tags", "roles"])
def test_the_metadata_are_those_of_the_answers(doors, endpoint: str) -> None:
    told = doors.client.get(f"/v2/models/{endpoint}").json()
    body = of_ranking("good", ["good", "bad"]) if endpoint == "ranks" else of_texts(["good", "bad"])
    assert (told["name"], told["versions"]) == (endpoint, ["1"])
    assert {item["name"] for item in told["inputs"]} == {item["name"] for item in body["inputs"]}
    made = infer(doors, body, endpoint).json()["outputs"]
    assert [(item["name"], item["datatype"], len(item["shape"])) for item in made] == [
        (item["name"], item["datatype"], len(item["shape"])) for item in told["outputs"]
    ]
    config = doors.client.get(f"/v2/models/{endpoint}/config").json()
    assert [item["name"] for item in config["output"]] == [item["name"] for item in told["outputs"]]
    assert config["parameters"]["max_items"] == {"string_value": "32"}


def test_the_index_has_the_endpoints_of_the_team(doors) -> None:
    index = doors.client.post("/v2/repository/index").json()
    assert {(item["name"], item["version"], item["state"]) for item in index} == {(name, "1", "READY") for name in ALL_ENDPOINTS.values()}
    assert doors.client.post("/v2/repository/index", json={"ready": True}).json() == index
    assert doors.client.post("/v2/repository/index", headers={"authorization": "Bearer hl_other"}).json() == []
    assert refused(doors.client.post("/v2/repository/index", json={"redy": True})) == (422, "unknown_field")


def test_statistics_count_rows(doors) -> None:
    def rows() -> int:
        return doors.client.get("/v2/models/sentiment/stats").json()["model_stats"][0]["inference_count"]

    before = rows()
    assert infer(doors, of_texts(["good", "bad", "w9"])).status_code == 200
    assert rows() == before + 3
    assert {item["name"] for item in doors.client.get("/v2/models/stats").json()["model_stats"]} >= {"sentiment", "ranks"}


def order(stack, verb: str, endpoint: str, key: str = "hl_owner", body: object = None) -> httpx.Response:
    return stack.client.post(f"/v2/repository/models/{endpoint}/{verb}", json=body or {}, headers={"authorization": f"Bearer {key}"})


def test_orders_need_the_scope_and_make_sense(doors) -> None:
    assert refused(order(doors, "load", "sentiment", "hl_app")) == (403, "scope_missing")
    assert refused(order(doors, "unload", "sentiment", "hl_app")) == (403, "scope_missing")
    assert order(doors, "load", "sentiment").json() == {}
    assert refused(order(doors, "unload", "sentiment")) == (409, "endpoint_stays_awake")
    assert refused(order(doors, "load", "none-such")) == (404, "endpoint_not_found")
    assert refused(order(doors, "load", "sentiment", body={"parameters": {"config": "{}"}})) == (422, "unknown_parameter")


def test_an_endpoint_that_may_sleep_is_woken_and_put_to_sleep(own_stack) -> None:
    own_stack.add_model("m:1")
    own_stack.wait_state(own_stack.deploy("m:1", min_replicas=0, was_ready=True), "asleep")
    ready, until_s = "/v2/models/sentiment/ready", time.monotonic() + 30
    while (told := refused(own_stack.client.get(ready))) == (404, "endpoint_not_found") and time.monotonic() < until_s:
        own_stack.pause()  # the gateway has still to hear of it
    assert told == (503, "endpoint_starting")
    assert own_stack.client.post("/v2/repository/index").json()[0]["state"] == "UNAVAILABLE"
    assert own_stack.client.post("/v2/repository/index", json={"ready": True}).json() == []
    assert order(own_stack, "load", "sentiment").json() == {}
    assert own_stack.client.get(ready).status_code == 200
    assert infer(own_stack, of_texts(["good"])).status_code == 200
    assert order(own_stack, "unload", "sentiment", body={"parameters": {"unload_dependents": False}}).json() == {}
    assert refused(own_stack.client.get(ready)) == (503, "endpoint_starting")
    assert infer(own_stack, of_texts(["good"])).status_code == 200, "a call wakes it"


def test_vectors_of_tokens_are_a_row_a_token_and_say_whose(doors) -> None:
    body = of_texts(["good", "bad w9"], output_value="token_embeddings")
    rest = doors.client.post("/models/vectors", json={"inputs": ["good", "bad w9"], "parameters": body["parameters"]}).json()
    for parameters in ({}, BINARY):
        made = by_name(infer(doors, body | {"parameters": {**body["parameters"], **parameters}}, "vectors"))
        assert made["item"] == [number for number, tokens in enumerate(rest) for _ in tokens]
        assert made["embedding"] == [pytest.approx(vector, abs=1e-6) for tokens in rest for vector in tokens]
    whole = infer(doors, of_texts(["good"], output_value="sentence_embedding"), "vectors").json()
    assert [item["name"] for item in whole["outputs"]] == ["embedding"]
