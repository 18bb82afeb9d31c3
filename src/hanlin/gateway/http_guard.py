"""The strict reading of HTTP/1.1 in front of the parser: framing, sizes and smuggling forms. Pure: bytes in, bytes out.

Every message is cut out of the stream here by its own reading of the head, and only what passed goes on to the parser, so two
readings must agree before a request exists. Source: RFC 9112 sections 2–7; we refuse where it says a server MAY.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ALLOW = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
METHODS = frozenset(ALLOW.split(b", "))
MAX_HEADERS = 100
_MAX_CHUNKS = 1000  # plus one for every 64 bytes of body: a million one-byte chunks are an attack, not a body
_MAX_LENGTH_DIGITS = 15

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb"{1,32}) ([!-~]+) HTTP/1\.([01])")
_HEADERS = re.compile(rb"(?:" + _TOKEN + rb"+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")
_ONCE = (b"authorization", b"content-type", b"x-api-key", b"x-timeout-s", b"x-request-id")  # which of two would count is anybody's guess
_SPECIAL = re.compile(rb"(?im)^(host|content-length|transfer-encoding|upgrade|" + b"|".join(_ONCE) + rb"):([^\r\n]*+)")
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:\[\]%-]*")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class Refused(Exception):
    """The stream cannot be read on; the connection ends after an answer with `code` of the catalogue."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Guard:
    """Reads one connection.

    Attributes:
        is_in_head: a head has begun and not ended.
        is_in_body: a body is owed.
        has_body: the last head that was read announced one.
    """

    max_header_bytes: int
    is_in_head: bool = False
    is_in_body: bool = False
    has_body: bool = False
    _pending: bytes = b""
    _left: int = 0
    _is_chunked: bool = False
    _is_in_chunk: bool = False
    _num_chunks: int = 0
    _num_chunk_bytes: int = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Pieces for the parser, each head a piece of its own. Raises Refused; pieces before it are lost with the connection."""
        pieces: list[bytes] = []
        rest = self._pending + data if self._pending else data
        self._pending = b""
        while rest:
            if not self.is_in_body:
                piece, rest = self._head(rest)
            elif self._is_chunked:
                piece, rest = self._chunk(rest)
            else:
                piece, rest = rest[: self._left], rest[self._left :]
                self._left -= len(piece)
                self.is_in_body = self._left > 0
            if not piece:
                self._pending = rest
                break
            pieces.append(piece)
        return pieces

    def _head(self, data: bytes) -> tuple[bytes, bytes]:
        """A complete head and what follows, or nothing and all of `data`."""
        if data[:2] == b"\r\n":  # an empty line left behind by an old client (RFC 9112, 2.2)
            data = data[2:]
        end = data.find(b"\r\n\r\n", 0, self.max_header_bytes + 4)
        if end < 0:
            if len(data) > self.max_header_bytes:
                raise Refused("head_too_large")
            self.is_in_head = bool(data)
            return b"", data
        self.is_in_head = False
        head = data[: end + 4]
        return self._check_head(head), data[end + 4 :]

    def _check_head(self, head: bytes) -> bytes:
        line, _, headers = head[:-2].partition(b"\r\n")
        request = _REQUEST_LINE.fullmatch(line)
        if request is None or not _HEADERS.fullmatch(headers):
            raise Refused("malformed_head")
        if headers.count(b"\r\n") > MAX_HEADERS:
            raise Refused("head_too_large")
        method, target, minor = request.groups()
        if method not in METHODS:
            raise Refused("method_unknown")
        if not target.startswith((b"/", b"http://", b"https://")) and not (method == b"OPTIONS" and target == b"*"):
            raise Refused("malformed_head")
        special: dict[bytes, list[bytes]] = {}
        for name, value in _SPECIAL.findall(headers):  # stripped here: a pattern that does it takes n² steps for n spaces in a value
            special.setdefault(name.lower(), []).append(value.strip(b" \t"))
        if len(special) < sum(map(len, special.values())) and any(len(special.get(name, ())) > 1 for name in _ONCE):
            raise Refused("header_twice")
        _check_host(special.get(b"host", []), is_required=minor == b"1")
        self._frame(special, is_old=minor == b"0")
        if b"upgrade" in special:  # we speak nothing else; the parser would stop at it
            return line + b"\r\n" + re.sub(rb"(?im)^upgrade:[^\r\n]*\r\n", b"", headers) + b"\r\n"
        return head

    def _frame(self, special: dict[bytes, list[bytes]], *, is_old: bool) -> None:
        """How the body ends."""
        lengths, codings = special.get(b"content-length", []), special.get(b"transfer-encoding", [])
        if codings:
            if lengths or is_old:
                raise Refused("ambiguous_framing")
            if len(codings) != 1 or codings[0].lower() != b"chunked":
                raise Refused("transfer_coding_unknown")
        if len(lengths) > 1 or any(not n.isdigit() or len(n) > _MAX_LENGTH_DIGITS for n in lengths):
            raise Refused("ambiguous_framing")
        self._left = int(lengths[0]) if lengths else 0
        self._is_chunked = bool(codings)
        self._is_in_chunk = False
        self._num_chunks = self._num_chunk_bytes = 0
        self.is_in_body = self.has_body = self._is_chunked or self._left > 0

    def _chunk(self, data: bytes) -> tuple[bytes, bytes]:
        """Part of a chunk with its framing, or nothing and all of `data` when its size line is incomplete."""
        if self._is_in_chunk:
            piece, rest = data[: self._left], data[self._left :]
            self._left -= len(piece)
            self._is_in_chunk = self._left > 0
            if not self._is_in_chunk and not piece.endswith(b"\r\n") and self._tail(piece) not in (b"\r\n", b"\n"):
                raise Refused("malformed_chunk")
            return piece, rest
        end = data.find(b"\r\n", 0, 12)
        if end < 0:
            if len(data) >= 12:
                raise Refused("malformed_chunk")
            return b"", data
        if not _CHUNK_SIZE.fullmatch(data[:end]):
            raise Refused("malformed_chunk")
        size = int(data[:end], 16)
        if size == 0:
            return self._last_chunk(data, end)
        self._num_chunks += 1
        self._num_chunk_bytes += size
        if self._num_chunks > _MAX_CHUNKS + self._num_chunk_bytes // 64:
            raise Refused("too_many_chunks")
        return self._chunk_whole(data, end, size)

    def _chunk_whole(self, data: bytes, end: int, size: int) -> tuple[bytes, bytes]:
        total = end + 2 + size + 2
        if len(data) >= total:
            if data[total - 2 : total] != b"\r\n":
                raise Refused("malformed_chunk")
            return data[:total], data[total:]
        self._is_in_chunk = True
        self._left = total - len(data)
        return data, b""

    def _tail(self, piece: bytes) -> bytes:
        """What a chunk's last piece must end in when the CR came with the piece before it."""
        return piece if len(piece) < 2 else piece[-2:]

    def _last_chunk(self, data: bytes, end: int) -> tuple[bytes, bytes]:
        """The zero chunk; trailers are refused."""
        if len(data) < end + 4:
            if not b"\r\n".startswith(data[end + 2 :]):
                raise Refused("malformed_chunk")
            return b"", data
        if data[end + 2 : end + 4] != b"\r\n":
            raise Refused("malformed_chunk")
        self.is_in_body = False
        return data[: end + 4], data[end + 4 :]


def _check_host(hosts: list[bytes], *, is_required: bool) -> None:
    if len(hosts) > 1 or (is_required and not hosts) or any(not _HOST.fullmatch(host) for host in hosts):
        raise Refused("malformed_head")
