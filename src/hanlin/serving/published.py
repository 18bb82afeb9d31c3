"""Small files by which one process of a home tells the others how things stand: private, replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


def publish(target: Path, value: msgspec.Struct) -> None:
    """Replaces `target` by `value` as JSON. No fsync: such a file means nothing after a crash of the machine. Raises OSError."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(value))
    aside.replace(target)
