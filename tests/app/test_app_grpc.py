"""`hanlin up` serves gRPC: at a port that is told, by every gateway, after a gateway's death, and by one server only."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

import grpc
import pytest
from tests.app.conftest import Server, wait_for

from hanlin.app.supervisor import grpc_address, hold_grpc_port
from hanlin.errors import Conflict
from hanlin.gateway.proto import open_inference_pb2 as pb
from hanlin.gateway.reserved_port import reserve
from hanlin.settings import Settings

pytestmark = pytest.mark.e2e


def is_ready(address: str) -> bool:
    """Asked over a connection of its own."""
    with contextlib.suppress(grpc.RpcError), grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        ask = channel.unary_unary(
            "/inference.GRPCInferenceService/ServerReady", pb.ServerReadyRequest.SerializeToString, pb.ServerReadyResponse.FromString
        )  # fmt: skip
        return bool(ask(pb.ServerReadyRequest(), timeout=2).ready)
    return False


def test_every_gateway_serves_it_and_a_new_one_finds_the_port(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", HANLIN_GATEWAYS="2").start()
    try:
        address = str(json.loads((server.home / "run" / "server.json").read_text())["grpc"])
        wait_for(lambda: is_ready(address), "gRPC never became ready")
        server.find("hanlin gateway").kill()
        wait_for(lambda: all(is_ready(address) for _ in range(8)), "gRPC did not come back")
        assert server.stop() == 0
        assert not is_ready(address)
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings(home=tmp_path, grpc_port=other.getsockname()[1])
        with pytest.raises(Conflict) as caught, hold_grpc_port(settings):
            pass
    assert caught.value.code == "address_in_use"


def test_a_port_that_another_server_shares_with_its_gateways_is_taken(tmp_path: Path) -> None:
    with reserve("127.0.0.1", 0) as held, socket.socket() as sharing:
        sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sharing.bind(held.getsockname())
        sharing.listen()
        with pytest.raises(Conflict), hold_grpc_port(Settings(home=tmp_path, grpc_port=held.getsockname()[1])):
            pass


def test_the_port_is_the_next_one_a_free_one_or_none(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).wanted_grpc_port == 8001
    assert Settings(home=tmp_path, port=65535).wanted_grpc_port == 0
    assert Settings(home=tmp_path, port=0).wanted_grpc_port == 0
    assert Settings(home=tmp_path, grpc_port=9).wanted_grpc_port == 9
    none = Settings(home=tmp_path, grpc_port=-1)
    assert (none.wanted_grpc_port, grpc_address(none)) == (None, None)
    with hold_grpc_port(none) as same:
        assert same is none
    with hold_grpc_port(Settings(home=tmp_path, grpc_port=0)) as held:
        assert held.wanted_grpc_port
