"""Making and hashing key secrets, and the owner's key file. The database only ever sees the SHA-256.

A secret is 256 random bits, so a plain hash is enough: there is nothing to guess (passwords would need more).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path

from hanlin.storage.durable import write_atomically
from hanlin.storage.failures import disk_errors

_SECRET = re.compile(r"hl_[A-Za-z0-9_-]{43}")
PREFIX_LENGTH = 8


def new_secret() -> str:
    """`hl_` and 43 URL-safe characters."""
    return "hl_" + secrets.token_urlsafe(32)


def new_id() -> str:
    """A key's public name; it tells nothing of the secret."""
    return f"key_{secrets.token_hex(8)}"


def is_secret(text: str) -> bool:
    """Whether `text` has the form of a secret."""
    return bool(_SECRET.fullmatch(text))


def digest(secret: str) -> str:
    """What is stored in place of the secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def from_header(value: str | None) -> str | None:
    """The secret in an `Authorization` header's value (`Bearer hl_…`), or None when it has another form."""
    if value is None or len(value) > 200:
        return None
    scheme, _, rest = value.partition(" ")
    secret = rest.strip()
    return secret if scheme.lower() == "bearer" and is_secret(secret) else None


def read_file(path: Path) -> str | None:
    """The secret in a key file, or None when there is no such file or no secret in it."""
    try:
        with disk_errors():
            text = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    return text if is_secret(text) else None


def write_file(path: Path, secret: str) -> None:
    """Stores a secret so that only its owner can read it, durably."""
    with disk_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{secret}\n".encode(), mode=0o600)
