"""The Open Inference Protocol over gRPC: the same answers and the same verdicts as every other door, its own errors and bounds."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from tests.gateway.grpc_calls import APP, SERVICE, call, infer_request, outputs, parameters_of, refusal, tensor
from tests.gateway.oip_ways import packed, proposed_of_tensors, scores_by_label, scores_by_place, spans_of_tensors
from tests.gateway.test_gateway_equality import CHUNK, TEXTS
from tests.gateway.test_gateway_mistakes import ANSWERED, INPUTS, OTHERWISE
from tests.gateway.ways import ALL_ENDPOINTS, ENDPOINTS, MORE_WAYS, QUERY, WAYS, Through

from hanlin.errors import FAMILIES
from hanlin.gateway.proto import open_inference_pb2 as pb
from hanlin.gateway.status import STATUS

NUMBERS = {
    "text-classification": scores_by_label, "embedding": lambda made: made["embedding"], "reranking": scores_by_place,
    "token-classification": spans_of_tensors, "semantic-role-labelling": proposed_of_tensors,
}  # fmt: skip
OPTIONS = {
    "embedding": {"normalize": True}, "token-classification": {"ignore_labels": "[]"}, "semantic-role-labelling": {"return_tags": True},
}  # fmt: skip
NOT_UTF8 = b"\x01\0\0\0\xff"
IDS = pb.ModelInferRequest.InferInputTensor(
    name="input_ids", datatype="INT64", shape=[1, 3], contents=pb.InferTensorContents(int64_contents=[2, 9, 10])
)


def asked(task: str, texts: list[str]) -> pb.ModelInferRequest:
    return infer_request(ENDPOINTS[task], texts, query=QUERY if task == "reranking" else "", **OPTIONS.get(task, {}))


@pytest.mark.parametrize("task", ENDPOINTS)
def test_the_same_texts_give_the_same_numbers_as_the_task_api(doors, channel, task: str) -> None:
    way = next(way for way in WAYS if (way.task, way.name) == (task, "task"))
    for begin in range(0, len(TEXTS), CHUNK):
        texts = TEXTS[begin : begin + CHUNK]
        made = outputs(call(channel, "ModelInfer", asked(task, texts)))
        expected = way.numbers(way.ask(doors.client, texts).json())
        np.testing.assert_allclose(np.array(NUMBERS[task](made), dtype=float), np.array(expected, dtype=float), atol=1e-5, rtol=1e-6)


AS_BYTES = {"invalid_unicode": "text_not_utf8"}  # where JSON has escapes
MISTAKES = {name: (inputs, code) for name, (inputs, (_, code)) in INPUTS.items() if all(isinstance(item, str) for item in inputs)}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("task", ENDPOINTS)
def test_the_same_mistake_gets_the_same_verdict(channel, task: str, name: str) -> None:
    texts, code = MISTAKES[name]
    raw = [text.encode("utf-8", "surrogatepass") for text in texts]
    request = asked(task, ["stands", "for it"])
    request.inputs[0].shape[:] = [len(raw)]
    request.inputs[0].contents.bytes_contents[:] = raw
    is_large = sum(map(len, raw)) > 1_100_000
    assert refusal(channel, request) == (("RESOURCE_EXHAUSTED", "") if is_large else ("INVALID_ARGUMENT", AS_BYTES.get(code, code)))


def of_way(way: Through, texts: list[str]) -> pb.ModelInferRequest:
    """What the way over REST sends, as a message; lists among the parameters are JSON."""
    body = way.body(texts)
    parameters = {name: json.dumps(value) if isinstance(value, list) else value for name, value in body["parameters"].items()}
    inputs = [tensor(item["name"], item["data"]) for item in body["inputs"]]
    return pb.ModelInferRequest(model_name=ALL_ENDPOINTS[way.task], inputs=inputs, parameters=parameters_of(parameters))


OTHERS = [way for way in MORE_WAYS if way.name in {"oip", "oip-zero-shot"}]


@pytest.mark.parametrize("way", OTHERS, ids=lambda way: f"{way.name}-{way.task}")
def test_every_other_task_answers_and_refuses_as_over_rest(doors, channel, way: Through) -> None:
    texts = [" ".join(text.split(" ")[:40]) for text in TEXTS[:CHUNK]]
    expected = way.numbers(way.read(way.ask(doors.client, texts)))
    np.testing.assert_allclose(way.numbers(outputs(call(channel, "ModelInfer", of_way(way, texts)))), expected, atol=1e-5, rtol=1e-6)
    for name, (mistake, code) in MISTAKES.items():
        request = of_way(way, ["stands", "for it"])  # bytes that are no text take their place
        place = next(index for index, item in enumerate(request.inputs) if item.name != "question")
        shown = next(item["data"] for item in way.body(mistake)["inputs"] if item["name"] != "question")
        raw = [text.encode("utf-8", "surrogatepass") for text in shown]
        request.inputs[place].shape[:] = [len(raw)]
        request.inputs[place].contents.bytes_contents[:] = raw
        if OTHERWISE.get((way.task, name)) == ANSWERED:
            assert call(channel, "ModelInfer", request).outputs
        else:
            is_large = sum(map(len, raw)) > 1_100_000
            due = ("RESOURCE_EXHAUSTED", "") if is_large else ("INVALID_ARGUMENT", AS_BYTES.get(code, code))
            assert refusal(channel, request) == due, name


CALLERS: dict[str, tuple[Any, str, tuple[str, str]]] = {
    "no key": ((), "sentiment", ("UNAUTHENTICATED", "unauthenticated")),
    "wrong key": ((("authorization", "Bearer hl_wrong"),), "sentiment", ("UNAUTHENTICATED", "unauthenticated")),
    "key in another scheme": ((("authorization", "Basic aGxfYXBw"),), "sentiment", ("UNAUTHENTICATED", "unauthenticated")),
    "key that may not call": ((("authorization", "Bearer hl_reader"),), "sentiment", ("PERMISSION_DENIED", "scope_missing")),
    "key of another team": ((("authorization", "Bearer hl_other"),), "sentiment", ("NOT_FOUND", "endpoint_not_found")),
    "unknown endpoint": (APP, "none-such", ("NOT_FOUND", "endpoint_not_found")),
    "private endpoint": (APP, ".sentiment", ("NOT_FOUND", "endpoint_not_found")),
    "no name": (APP, "Not_A_Name", ("NOT_FOUND", "endpoint_not_found")),
    "no endpoint": (APP, "", ("NOT_FOUND", "endpoint_not_found")),
    "NUL in a name": (APP, "sentiment\0", ("NOT_FOUND", "endpoint_not_found")),
    "a path": (APP, "../sentiment", ("NOT_FOUND", "endpoint_not_found")),
}


@pytest.mark.parametrize("name", CALLERS)
def test_who_may_not_is_refused_as_everywhere(channel, name: str) -> None:
    metadata, endpoint, expected = CALLERS[name]
    assert refusal(channel, infer_request(endpoint, ["good"]), metadata=metadata) == expected
    if expected[1] != "scope_missing":
        assert refusal(channel, pb.ModelMetadataRequest(name=endpoint), "ModelMetadata", metadata=metadata) == expected


def test_a_refusal_says_what_and_where_in_the_callers_language(channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(
            channel,
            "ModelInfer",
            infer_request("sentiment", ["good", ""]),
            metadata=(*APP, ("accept-language", "zh"), ("x-request-id", "mine")),
        )
    told = dict(caught.value.trailing_metadata())
    assert (told["x-hanlin-code"], told["x-hanlin-index"], told["x-request-id"]) == ("empty_text", "1", "mine")
    assert "文本" in caught.value.details()


def test_every_family_has_a_status() -> None:
    assert set(STATUS) == set(FAMILIES)
    assert all(hasattr(grpc.StatusCode, name) for _, name in STATUS.values())


def test_an_answer_tells_who_gave_it(channel) -> None:
    method = channel.unary_unary(SERVICE + "ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString)
    request = infer_request("sentiment", ["good " * 200], truncation=True)
    request.id = "mine"
    answer, told = method.with_call(request, metadata=APP, timeout=30)
    assert (answer.id, answer.model_name, answer.model_version) == ("mine", "sentiment", "1")
    trailers = dict(told.trailing_metadata())
    assert (trailers["x-hanlin-model"], trailers["x-hanlin-truncated"]) == ("m:1 fake-fp32", "0")


def test_parameters_and_outputs_are_as_over_rest(channel) -> None:
    request = infer_request("sentiment", ["good"], top_k=1)
    request.outputs.add(name="score")
    assert [(made.name, list(made.shape)) for made in call(channel, "ModelInfer", request).outputs] == [("score", [1, 1])]
    request.outputs.add(name="logits")
    assert refusal(channel, request) == ("INVALID_ARGUMENT", "unknown_tensor")
    assert refusal(channel, infer_request("sentiment", ["good"], nonsense=1)) == ("INVALID_ARGUMENT", "unknown_parameter")
    assert refusal(channel, infer_request("sentiment", ["good"], top_k=0)) == ("INVALID_ARGUMENT", "invalid_parameter")
    assert refusal(channel, infer_request("tags", ["good"], ignore_labels="[")) == ("INVALID_ARGUMENT", "malformed_json")
    shared = tensor("text", ["good"], parameters=parameters_of({"shared_memory_region": "a"}))
    assert refusal(channel, pb.ModelInferRequest(model_name="sentiment", inputs=[shared])) == ("INVALID_ARGUMENT", "unknown_parameter")
    asks = infer_request("sentiment", ["good"])
    asks.outputs.add(name="score", parameters=parameters_of({"classification": 1}))
    assert refusal(channel, asks) == ("INVALID_ARGUMENT", "unknown_parameter")


def test_vectors_of_tokens_are_a_row_a_token(doors, channel) -> None:
    made = outputs(call(channel, "ModelInfer", infer_request("vectors", ["good", "bad w9"], output_value="token_embeddings")))
    body = {"inputs": ["good", "bad w9"], "parameters": {"output_value": "token_embeddings"}}
    rest = doors.client.post("/models/vectors", json=body).json()
    assert made["item"] == [number for number, tokens in enumerate(rest) for _ in tokens]
    np.testing.assert_allclose(np.array(made["embedding"], dtype=float), np.concatenate(rest), atol=1e-6)


def test_an_output_that_no_answer_has_is_refused_before_the_model_runs(doors, channel) -> None:
    def answered() -> float:
        told = call(channel, "ModelStatistics", pb.ModelStatisticsRequest(name="sentiment")).model_stats[0]
        return float(told.inference_count)

    before = answered()
    request = infer_request("sentiment", ["good"])
    request.outputs.add(name="logits")
    assert refusal(channel, request) == ("INVALID_ARGUMENT", "unknown_tensor")
    body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}], "outputs": [{"name": "logits"}]}
    assert doors.client.post("/v2/models/sentiment/infer", json=body).json()["code"] == "unknown_tensor"
    assert answered() == before


def test_a_call_belongs_to_the_callers_trace(channel) -> None:
    method = channel.unary_unary(SERVICE + "ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString)
    parent = ("traceparent", f"00-{'a1' * 16}-{'b2' * 8}-01")
    _, told = method.with_call(infer_request("sentiment", ["good"]), metadata=(*APP, parent), timeout=30)
    version, trace, span, flags = dict(told.trailing_metadata())["traceresponse"].split("-")
    assert (version, trace, flags) == ("00", "a1" * 16, "01")
    assert span != "b2" * 8
    _, told = method.with_call(infer_request("sentiment", ["good"]), metadata=(*APP, ("traceparent", "nonsense")), timeout=30)
    assert dict(told.trailing_metadata())["traceresponse"].split("-")[1] not in {"a1" * 16, "0" * 32}


@pytest.mark.parametrize("value", [True, "1", 1.0, 0, -1, 10**9, 2**62, "[1]", "[" * 100])
def test_c142_a_parameter_of_another_type_is_refused_as_over_rest(channel, value: object) -> None:
    found = refusal(channel, infer_request("sentiment", ["good"], top_k=value))
    assert found in {
        ("INVALID_ARGUMENT", "invalid_parameter"),
        ("INVALID_ARGUMENT", "malformed_json"),
        ("INVALID_ARGUMENT", "nested_too_deeply"),
    }


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_c142_numbers_that_are_none_are_refused_as_over_rest(channel, number: float) -> None:
    assert refusal(channel, infer_request("sentiment", ["good"], top_k=number)) == ("INVALID_ARGUMENT", "invalid_parameter")


def test_raw_contents_and_ids_are_taken(doors, channel) -> None:
    head = pb.ModelInferRequest.InferInputTensor(name="text", datatype="BYTES", shape=[2])
    texts = pb.ModelInferRequest(model_name="sentiment", inputs=[head], raw_input_contents=[packed(["good", "bad w9"])])
    assert outputs(call(channel, "ModelInfer", texts)) == outputs(
        call(channel, "ModelInfer", infer_request("sentiment", ["good", "bad w9"]))
    )
    one = outputs(call(channel, "ModelInfer", pb.ModelInferRequest(model_name="sentiment", inputs=[IDS])))
    raw = pb.ModelInferRequest.InferInputTensor(name="input_ids", datatype="INT32", shape=[1, 3])
    two = pb.ModelInferRequest(model_name="sentiment", inputs=[raw], raw_input_contents=[struct.pack("<3i", 2, 9, 10)])
    assert one == outputs(call(channel, "ModelInfer", two))
    assert one["label"][0] == [item["label"] for item in doors.post({"token_ids": [2, 9, 10]}).json()]


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        (lambda: pb.ModelInferRequest(model_name="sentiment"), "missing_tensor"),
        (lambda: pb.ModelInferRequest(model_name="sentiment", inputs=[tensor("text", ["good"], shape=[2])]), "invalid_tensor"),
        (lambda: pb.ModelInferRequest(model_name="sentiment", inputs=[tensor("text", ["good"], shape=[-1])]), "invalid_tensor"),
        (lambda: pb.ModelInferRequest(model_name="sentiment", inputs=[tensor("text", ["good"], datatype="FP32")]), "invalid_tensor"),
        (lambda: pb.ModelInferRequest(model_name="sentiment", inputs=[tensor("texts", ["good"])]), "unknown_tensor"),
        (lambda: pb.ModelInferRequest(model_name="sentiment", inputs=[tensor("text", ["good"])] * 2), "invalid_tensor"),
        (lambda: pb.ModelInferRequest(model_name="sentiment", inputs=[IDS, tensor("text", ["good"])]), "invalid_tensor"),
        (
            lambda: pb.ModelInferRequest(model_name="sentiment", inputs=[tensor("text", ["good"])], raw_input_contents=[b"", b""]),
            "invalid_parameter",
        ),
        (lambda: pb.ModelInferRequest(model_name="sentiment", inputs=[tensor("text", [])], raw_input_contents=[b"\x09"]), "invalid_tensor"),
        (
            lambda: pb.ModelInferRequest(model_name="sentiment", inputs=[tensor("text", [], shape=[1])], raw_input_contents=[NOT_UTF8]),
            "text_not_utf8",
        ),
        (lambda: infer_request("ranks", ["good"]), "invalid_ranking"),
        (lambda: infer_request("sentiment", ["good"], query="good"), "invalid_inputs"),
    ],
)  # fmt: skip
def test_tensors_that_are_none_are_refused(channel, request_of: Callable[[], pb.ModelInferRequest], code: str) -> None:
    assert refusal(channel, request_of()) == ("INVALID_ARGUMENT", code)


def test_metadata_are_those_of_rest(doors, channel) -> None:
    def listed(message: Any) -> list[tuple[str, str, list[int]]]:
        return [(item.name, item.datatype, list(item.shape)) for item in message]

    for endpoint in ALL_ENDPOINTS.values():
        told, rest = (
            call(channel, "ModelMetadata", pb.ModelMetadataRequest(name=endpoint)),
            doors.client.get(f"/v2/models/{endpoint}").json(),
        )
        assert listed(told.inputs) == [(item["name"], item["datatype"], item["shape"]) for item in rest["inputs"]]
        assert listed(told.outputs) == [(item["name"], item["datatype"], item["shape"]) for item in rest["outputs"]]
        assert (list(told.versions), told.platform) == (rest["versions"], rest["platform"])
        config = call(channel, "ModelConfig", pb.ModelConfigRequest(name=endpoint, version="1")).config
        assert config.parameters["max_items"].string_value == "32"
        assert [item.data_type for item in config.input] == [pb.TYPE_STRING] * len(config.input)
    index = call(channel, "RepositoryIndex", pb.RepositoryIndexRequest(ready=True)).models
    assert {(item.name, item.version, item.state) for item in index} == {(name, "1", "READY") for name in ALL_ENDPOINTS.values()}
    assert call(channel, "ModelStatistics", pb.ModelStatisticsRequest(name="sentiment")).model_stats[0].inference_count > 0
    assert len(call(channel, "ModelStatistics").model_stats) == len(ALL_ENDPOINTS)


def test_orders_need_the_scope_and_make_sense(channel) -> None:
    owner = (("authorization", "Bearer hl_owner"),)
    load, unload = pb.RepositoryModelLoadRequest(model_name="sentiment"), pb.RepositoryModelUnloadRequest(model_name="sentiment")
    assert call(channel, "RepositoryModelLoad", load, metadata=owner) is not None
    assert refusal(channel, load, "RepositoryModelLoad") == ("PERMISSION_DENIED", "scope_missing")
    assert refusal(channel, unload, "RepositoryModelUnload", metadata=owner) == ("FAILED_PRECONDITION", "endpoint_stays_awake")
    load.parameters["config"].string_param = "{}"
    assert refusal(channel, load, "RepositoryModelLoad", metadata=owner) == ("INVALID_ARGUMENT", "unknown_parameter")


def test_calls_are_counted_beside_those_of_http(doors, channel) -> None:
    refusal(channel, infer_request("sentiment", [""]))
    told = doors.client.get("/metrics").text
    for status in (200, 422):
        assert f'method="gRPC",route="/inference.GRPCInferenceService/ModelInfer",status="{status}"' in told
