"""The gRPC server itself: health and reflection, deadlines, drain, bounds, and what is no HTTP/2."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from tests.gateway.grpc_calls import APP, SERVICE, call, channel_to, infer_request, refusal, verdict

from hanlin.gateway.grpc_server import HEALTH, MAX_IDLERS
from hanlin.gateway.proto import open_inference_pb2 as pb


def test_health_asked_in_garbage_is_the_callers_mistake(channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{HEALTH}/Check")(b"\xff", timeout=20)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as caught:
        next(channel.unary_stream(f"/{HEALTH}/Watch")(b"\xff", timeout=20))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_what_the_server_is_anyone_may_ask(channel) -> None:
    assert call(channel, "ServerLive", metadata=()).live
    assert call(channel, "ServerReady", metadata=()).ready
    assert call(channel, "ServerMetadata", metadata=()).name == "hanlin"
    assert call(channel, "ModelReady", pb.ModelReadyRequest(name="sentiment")).ready
    assert refusal(channel, pb.ModelReadyRequest(name="sentiment"), "ModelReady", metadata=()) == ("UNAUTHENTICATED", "unauthenticated")
    assert refusal(channel, pb.ModelReadyRequest(name="sentiment", version="2"), "ModelReady") == ("NOT_FOUND", "other_version_served")


def test_an_unknown_method_is_unimplemented(channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(SERVICE + "ModelStreamInfer")(b"", metadata=APP, timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_health_and_reflection_need_no_key(channel) -> None:
    check = channel.unary_unary(
        f"/{HEALTH}/Check", health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString
    )  # fmt: skip
    for service in ("", "inference.GRPCInferenceService"):
        assert check(health_pb2.HealthCheckRequest(service=service), timeout=10).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        check(health_pb2.HealthCheckRequest(service="none"), timeout=10)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    ask = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )  # fmt: skip
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="inference.GRPCInferenceService"),
    ]
    listed, described = ask(iter(questions), timeout=10)
    assert "inference.GRPCInferenceService" in {service.name for service in listed.list_services_response.service}
    file = FileDescriptorProto.FromString(described.file_descriptor_response.file_descriptor_proto[0])
    assert "ModelInfer" in {method.name for method in file.service[0].method}


def test_streams_that_only_wait_are_bounded(doors) -> None:
    with channel_to(doors.grpc) as channel:
        watch = channel.unary_stream(
            f"/{HEALTH}/Watch", health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString
        )  # fmt: skip
        open_ones = [watch(health_pb2.HealthCheckRequest(), timeout=60) for _ in range(MAX_IDLERS)]
        assert {next(stream).status for stream in open_ones} == {health_pb2.HealthCheckResponse.SERVING}
        with pytest.raises(grpc.RpcError) as caught:
            next(watch(health_pb2.HealthCheckRequest(), timeout=10))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert call(channel, "ModelInfer", infer_request("sentiment", ["good"])).model_name == "sentiment"
        for stream in open_ones:
            stream.cancel()


def slow(own_stack, **settings: object) -> None:
    own_stack.add_model("m:1", step_ms=2000)
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")


def worker_value(stack, name: str) -> float:
    lines = [line for line in stack.client.get("/metrics").text.splitlines() if line.startswith(f"hanlin_worker_{name}")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "in vain"
        time.sleep(0.05)


def test_deadlines_and_cancelled_calls_stop_the_work(own_stack) -> None:
    slow(own_stack)
    with channel_to(own_stack.grpc) as channel:
        request = infer_request("sentiment", ["good"])
        assert refusal(channel, request, timeout=0.5)[0] == "DEADLINE_EXCEEDED"
        method = channel.unary_unary(SERVICE + "ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString)
        before = worker_value(own_stack, "cancelled_total")
        running = method.future(request, metadata=APP, timeout=60)
        wait_for(lambda: worker_value(own_stack, "inflight_calls") > 0)
        running.cancel()
        wait_for(lambda: worker_value(own_stack, "cancelled_total") > before)


def test_calls_in_flight_end_when_the_gateway_is_told_to(own_stack) -> None:
    slow(own_stack)
    with channel_to(own_stack.grpc) as channel:
        method = channel.unary_unary(SERVICE + "ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString)
        running = method.future(infer_request("sentiment", ["good"]), metadata=APP, timeout=60)
        wait_for(lambda: worker_value(own_stack, "inflight_calls") > 0)
        own_stack.gateway.send_signal(signal.SIGTERM)
        assert running.result().model_name == "sentiment"
        assert own_stack.gateway.wait(20) == 0


def test_more_calls_than_there_is_room_for_are_refused(make_stack, tmp_path: Path) -> None:
    """C141, bounded here: of some hundred calls at once beyond `max_concurrency`, the rest are refused, none hangs, and memory is kept."""
    stack = make_stack(tmp_path / "home", max_concurrency=16)
    try:
        stack.add_model("m:1", step_ms=300)
        stack.wait_state(stack.deploy("m:1"), "ready")
        assert stack.post("good").status_code == 200
        found: dict[str, int] = {}
        with channel_to(stack.grpc) as one, channel_to(stack.grpc) as two:
            method = [
                channel.unary_unary(SERVICE + "ModelInfer", pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString)
                for channel in (one, two)
            ]
            calls = [method[n % 2].future(infer_request("sentiment", [f"good w{n % 150}"]), metadata=APP, timeout=60) for n in range(400)]
            for made in calls:
                found[made.code().name] = found.get(made.code().name, 0) + 1
            assert set(found) <= {"OK", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}  # refused by us, or its stream by HTTP/2 itself
            assert found["RESOURCE_EXHAUSTED"] > 0
            assert found["OK"] >= 16
            assert call(one, "ModelInfer", infer_request("sentiment", ["good"])).model_name == "sentiment"
    finally:
        stack.close()


def test_a_call_without_its_message_is_ended_as_a_body_that_does_not_come(make_stack, tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "home", body_timeout_s=0.5)
    try:
        stack.add_model("m:1")
        stack.wait_state(stack.deploy("m:1"), "ready")
        with channel_to(stack.grpc) as channel:
            held = threading.Event()

            def never() -> Iterator[bytes]:
                held.wait(30)
                yield from ()

            opened = channel.stream_unary(SERVICE + "ModelInfer")
            with pytest.raises(grpc.RpcError) as stranger:
                opened(never(), timeout=20)
            assert stranger.value.code().name == "UNAUTHENTICATED"  # on the head alone
            with pytest.raises(grpc.RpcError) as caught:
                opened(never(), metadata=APP, timeout=20)
            assert verdict(caught.value) == ("INVALID_ARGUMENT", "body_timeout")
            with pytest.raises(grpc.RpcError) as caught:
                channel.stream_unary(f"/{HEALTH}/Check")(never(), timeout=20)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            held.set()
            with pytest.raises(grpc.RpcError) as caught:
                opened(iter(()), metadata=APP, timeout=20)
            assert verdict(caught.value) == ("INVALID_ARGUMENT", "malformed_message")
            assert call(channel, "ModelInfer", infer_request("sentiment", ["good"])).model_name == "sentiment"
    finally:
        stack.close()


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """One frame of HTTP/2 (RFC 9113, 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def kinds_of(raw: bytes) -> list[int]:
    found = []
    while len(raw) >= 9:
        size = int.from_bytes(raw[:3], "big")
        found.append(raw[3])
        raw = raw[9 + size :]
    return found


def test_a_flood_of_pings_ends_its_connection(doors) -> None:
    host, _, port = doors.grpc.partition(":")
    heard = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(PREFACE + frame(4))
        with contextlib.suppress(ConnectionError):  # it hung up
            for _ in range(50):
                connection.sendall(frame(6, b"\0" * 8) * 2)
                heard += connection.recv(65536)
    assert 7 in kinds_of(heard), "GOAWAY"
    with channel_to(doors.grpc) as channel:
        assert call(channel, "ServerLive", metadata=()).live


def test_what_is_not_http_2_ends_its_connection(doors) -> None:
    host, _, port = doors.grpc.partition(":")
    for raw in (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\0" * 100, b"\xff" * 1000):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(raw)
            connection.settimeout(15)
            with contextlib.suppress(ConnectionError):
                while connection.recv(65536):
                    pass
    with channel_to(doors.grpc) as channel:
        assert call(channel, "ServerLive", metadata=()).live


def test_the_messages_are_those_of_the_proto() -> None:
    script = Path(__file__).parents[2] / "scripts" / "generate_proto.py"
    told = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout
