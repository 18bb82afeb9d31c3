"""Who is signed in: a signed token that names the key by id, never the key itself. Knows no HTTP.

A token is `expiry.key id.nonce.signature`, signed with HMAC-SHA-256 under a secret that all gateways of one home share.
It only says which key signed in; whether that key still lives is asked anew for every page.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from pathlib import Path

from hanlin.types import KeyId

SESSION_S = 12 * 3600
_SECRET_BYTES = 32


class Sessions:
    """Makes and checks session tokens and form tokens.

    Args:
        secret: at least 32 random bytes.
        clock: seconds since the epoch; tests give their own.
    """

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        if len(secret) < _SECRET_BYTES:
            raise ValueError("a session secret has at least 32 bytes")
        self._secret = secret
        self._clock = clock

    def create(self, key_id: KeyId) -> str:
        """A token for the key of this id that lasts `SESSION_S`."""
        name = urlsafe_b64encode(key_id.encode()).decode().rstrip("=")
        body = f"{int(self._clock()) + SESSION_S}.{name}.{secrets.token_urlsafe(12)}"
        return f"{body}.{self._sign('session', body)}"

    def read(self, token: str) -> KeyId | None:
        """The key id of a token that is ours and not expired; None for every other text."""
        body, _, signature = token[:1000].rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return None
        expiry, name, _nonce = body.split(".")
        if int(expiry) <= self._clock():
            return None
        try:
            return KeyId(urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode())
        except (Base64Error, UnicodeDecodeError):
            return None

    def form_token(self, seed: str) -> str:
        """What a form must carry to be ours. `seed` is the session token, or the visitor cookie before sign-in."""
        return self._sign("form", seed)

    def is_form_token(self, seed: str, token: str) -> bool:
        """Whether `token` is the form token of `seed`; an empty seed has none."""
        return bool(seed) and hmac.compare_digest(token.encode(), self.form_token(seed).encode())

    def _sign(self, purpose: str, body: str) -> str:
        return hmac.new(self._secret, f"{purpose}\0{body}".encode(), hashlib.sha256).hexdigest()


def load_secret(path: Path) -> bytes:
    """The secret in `path`, made on first use (0600). Gateways that start together agree on one.

    A file that was cut short (by a full disk, a restored backup) is made anew: sessions end, the gateway starts."""
    if path.exists() and path.stat().st_size < _SECRET_BYTES:
        path.unlink(missing_ok=True)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)  # fails when another gateway was first: theirs counts
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return path.read_bytes()
