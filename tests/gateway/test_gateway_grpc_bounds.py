"""gRPC: what is too large, broken or before the key is known does no work."""

from __future__ import annotations

import pytest
from tests.gateway.grpc_calls import call, infer_request, refusal, tensor

from hanlin.gateway.proto import open_inference_pb2 as pb


def test_small_messages_do_not_become_large_work(channel) -> None:
    """Empty tensors, numbers of a shape and ids take one or two bytes each; an output that is asked for often multiplies the answer."""
    head = pb.ModelInferRequest(model_name="sentiment").SerializeToString()
    assert refusal(channel, head + b"\x2a\x00" * 17) == ("INVALID_ARGUMENT", "invalid_parameter")
    deep = tensor("text", ["good"], shape=[1] * 9)
    assert refusal(channel, pb.ModelInferRequest(model_name="sentiment", inputs=[deep])) == ("INVALID_ARGUMENT", "invalid_tensor")
    ids = pb.ModelInferRequest.InferInputTensor(
        name="input_ids", datatype="INT64", shape=[1, 2**20 + 1], contents=pb.InferTensorContents(int64_contents=[2] * (2**20 + 1))
    )
    assert refusal(channel, pb.ModelInferRequest(model_name="sentiment", inputs=[ids])) == ("INVALID_ARGUMENT", "tensor_too_long")
    empty = pb.ModelInferRequest.InferInputTensor(name="text", datatype="BYTES", shape=[120_001])
    empties = pb.ModelInferRequest(model_name="sentiment", inputs=[empty], raw_input_contents=[bytes(4 * 120_001)])
    assert refusal(channel, empties) == ("INVALID_ARGUMENT", "tensor_too_long")
    for many in (
        b"\x2a\x00" * 500_000,
        b"\x28\x00" * 500_000,
        b"\x2a\xc0\x84\x3d" + b"\x18\x01" * 500_000,
    ):  # empty, no tensors, one's shape
        assert refusal(channel, head + many) == ("INVALID_ARGUMENT", "invalid_parameter")
    asks = infer_request("sentiment", ["good"])
    for _ in range(2):
        asks.outputs.add(name="score")
    assert refusal(channel, asks) == ("INVALID_ARGUMENT", "invalid_parameter")


def test_bytes_are_not_parsed_before_the_key_is_known(channel) -> None:
    assert refusal(channel, b"\xff" * 40, metadata=()) == ("UNAUTHENTICATED", "unauthenticated")


@pytest.mark.parametrize("raw", [b"\xff" * 40, b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x0a" + b"\x80" * 10 + b"\x01", b"\x0b"])
@pytest.mark.parametrize("name", ["ModelInfer", "ModelReady", "RepositoryModelLoad"])
def test_garbage_and_strings_that_are_not_utf8_are_refused(channel, name: str, raw: bytes) -> None:
    raw = raw.replace(b"\x0a\x02", b"\x12\x02") if name == "RepositoryModelLoad" else raw
    assert refusal(channel, raw, name) == ("INVALID_ARGUMENT", "malformed_message")


def test_a_message_over_the_limit_is_refused(channel) -> None:
    assert refusal(channel, infer_request("sentiment", ["g" * 1_200_000])) == ("RESOURCE_EXHAUSTED", "")
    assert call(channel, "ModelInfer", infer_request("sentiment", ["good"])).model_name == "sentiment"
