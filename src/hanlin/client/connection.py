"""Where the server is and which key to show: argument, environment, then the home folder of a local server.

The note of a local server counts while something answers where it says. A dead server's gives way to `HANLIN_HOST` and `HANLIN_PORT`, and
is only better than nothing: the server may be about to start again.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from hanlin.errors import InvalidInput, Unauthenticated
from hanlin.home import home_folder
from hanlin.types import shorten

DEFAULT_PORT = 8000
MAX_KEY_CHARACTERS = 512


def find_url(url: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """The server's address without a slash at its end.

    Raises:
        InvalidInput: `invalid_server_url`.
    """
    environ = os.environ if environ is None else environ
    found = url or environ.get("HANLIN_URL") or _local_url(environ)
    try:
        parts = urlsplit(found)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and (parts.port or 1) > 0
    except ValueError:
        is_good = False
    is_openai = is_good and parts.path.rstrip("/").endswith("/v1")  # where OpenAI's clients begin; this one adds it itself
    if not is_good or is_openai or not found.isprintable() or " " in found:
        raise InvalidInput("invalid_server_url", url=shorten(found, 100))
    return found.rstrip("/")


def find_key(key: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """The key to send.

    Raises:
        Unauthenticated: `key_missing` when there is none; `key_malformed` when it cannot stand in a header.
    """
    environ = os.environ if environ is None else environ
    found = key or environ.get("HANLIN_KEY") or _read(home_folder(environ) / "owner.key")
    if not found:
        raise Unauthenticated("key_missing")
    found = found.strip()
    if not (found.isascii() and found.isprintable() and " " not in found and 0 < len(found) <= MAX_KEY_CHARACTERS):
        raise Unauthenticated("key_malformed")
    return found


def is_loopback(url: str) -> bool:
    """Whether `url` leads to this machine; such calls never go through a proxy."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _local_url(environ: Mapping[str, str]) -> str:
    """Where the server of this home answers, or would answer."""
    noted = _noted_url(home_folder(environ))
    is_configured = bool(environ.get("HANLIN_HOST") or environ.get("HANLIN_PORT"))
    if noted and (not is_configured or noted == _configured_url(environ) or is_answering(noted)):
        return noted
    return _configured_url(environ)


def _noted_url(home: Path) -> str | None:
    try:
        value = json.loads(_read(home / "run" / "server.json") or "null")
    except ValueError:
        return None
    url = value.get("url") if isinstance(value, dict) else None
    return url if isinstance(url, str) else None


def _configured_url(environ: Mapping[str, str]) -> str:
    """Where `hanlin up` would answer with this environment."""
    host, port = environ.get("HANLIN_HOST") or "127.0.0.1", environ.get("HANLIN_PORT") or "0"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - named here to be avoided
    return f"http://{f'[{host}]' if ':' in host else host}:{DEFAULT_PORT if port == '0' else port}"


def is_answering(url: str) -> bool:
    """Whether something listens at `url`."""
    try:
        parts = urlsplit(url)
        socket.create_connection((parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)), timeout=2.0).close()
    except (OSError, ValueError):
        return False
    return True


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
