"""A port that several processes of ours will share by SO_REUSEPORT, held meanwhile by one that takes no connections. Loads no grpc."""

from __future__ import annotations

import socket


def reserve(host: str, port: int) -> socket.socket:
    """The socket that holds `port`, 0 for a free one. The kernel deals connections out among those that listen: this one never does.

    Raises:
        OSError: somebody has it, also one who would share it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if port:
        with socket.socket(family, socket.SOCK_STREAM) as probe:  # one that shares nothing: another server of ours would let us in
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind((host, port))
    except OSError:
        found.close()
        raise
    return found
