"""A gateway process: the HTTP front over dataplane, control API and console, on the supervisor's socket; gRPC at a port of its own."""

from __future__ import annotations

import socket

from hanlin.app.wiring import open_platform
from hanlin.console import create_console
from hanlin.control.document_files import StoredDocuments
from hanlin.control.stored_responses import StoredResponses
from hanlin.gateway.acceptor import Tally
from hanlin.gateway.app import create_app
from hanlin.gateway.control_api import create_control_router
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.edge import Edge
from hanlin.gateway.server import Beside, serve
from hanlin.gateway.streaming import Streams
from hanlin.settings import Settings


def run_gateway(settings: Settings, *, socket_fd: int, index: int = 0, tally_fd: int | None = None) -> int:
    """Serves until SIGTERM, then drains.

    Args:
        index: which gateway this is, from 0.
        tally_fd: memory in which all gateways tell how many connections they hold.
    """
    platform = open_platform(settings)
    dataplane = Dataplane(
        platform.accounts, settings=settings, index=index, documents=StoredDocuments(platform), responses=StoredResponses(platform)
    )

    def is_database_ready() -> bool:
        platform.database.change_counter()
        return True

    streams = Streams(settings)
    app = create_app(
        dataplane, control_router=create_control_router(platform, dataplane),
        console_app=create_console(platform, dataplane=dataplane, streams=streams), is_database_ready=is_database_ready, streams=streams,
    )  # fmt: skip
    with socket.socket(fileno=socket_fd) as listener:
        tally = Tally(tally_fd, index) if tally_fd is not None else None
        serve(app, listener, settings, dataplane=dataplane, tally=tally, beside=_grpc(dataplane, app))
    platform.close()
    return 0


def _grpc(dataplane: Dataplane, app: Edge) -> Beside | None:
    """The gRPC server, which only here loads its library; None where there is none."""
    port = dataplane.settings.wanted_grpc_port
    if port is None:
        return None
    from hanlin.gateway.grpc_server import GrpcServer

    return GrpcServer(dataplane, port=port, record=app.record)
