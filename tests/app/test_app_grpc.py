"""The port of gRPC, which a server holds for its gateways. How they serve there is with `test_app_gateways`."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hanlin.app.supervisor import grpc_address, hold_grpc_port
from hanlin.errors import Conflict
from hanlin.gateway.reserved_port import reserve
from hanlin.settings import Settings


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
