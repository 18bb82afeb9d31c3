"""Calls of `inference.GRPCInferenceService` as tests make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from tests.gateway.oip_ways import unpacked

from hanlin.gateway.proto import open_inference_pb2 as pb

SERVICE = "/inference.GRPCInferenceService/"
APP = (("authorization", "Bearer hl_app"),)


@contextmanager
def channel_to(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]) as found:
        grpc.channel_ready_future(found).result(timeout=20)
        yield found


def call(channel: grpc.Channel, name: str, request: Any = None, *, metadata: Any = APP, timeout: float | None = 30) -> Any:
    """The answer of a method; `request` may be bytes as they are sent."""
    method = channel.unary_unary(
        SERVICE + name,
        request_serializer=None if isinstance(request, bytes) else lambda message: message.SerializeToString(),
        response_deserializer=getattr(pb, f"{name}Response").FromString,
    )
    return method(getattr(pb, f"{name}Request")() if request is None else request, metadata=metadata, timeout=timeout)


def tensor(name: str, texts: list[str], **more: Any) -> pb.ModelInferRequest.InferInputTensor:
    contents = pb.InferTensorContents(bytes_contents=[text.encode() for text in texts])
    return pb.ModelInferRequest.InferInputTensor(**{"name": name, "datatype": "BYTES", "shape": [len(texts)], "contents": contents, **more})


def infer_request(endpoint: str, texts: list[str], *, query: str = "", **parameters: Any) -> pb.ModelInferRequest:
    inputs = [tensor("text", texts), *([tensor("query", [query])] if query else [])]
    return pb.ModelInferRequest(model_name=endpoint, inputs=inputs, parameters=parameters_of(parameters))


def parameters_of(values: dict[str, Any]) -> dict[str, pb.InferParameter]:
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}
    return {name: pb.InferParameter(**{kinds[type(value)]: value}) for name, value in values.items()}


def outputs(answer: pb.ModelInferResponse) -> dict[str, list]:
    """Each output in its shape."""
    pairs = zip(answer.outputs, answer.raw_output_contents, strict=True)
    return {made.name: np.array(unpacked(made.datatype, raw), dtype=object).reshape(list(made.shape)).tolist() for made, raw in pairs}


def verdict(error: grpc.RpcError) -> tuple[str, str]:
    """The status and our code."""
    told = dict(error.trailing_metadata() or ())
    return error.code().name, told.get("x-hanlin-code", "")


def refusal(channel: grpc.Channel, request: Any, name: str = "ModelInfer", **options: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, name, request, **options)
    return verdict(caught.value)
