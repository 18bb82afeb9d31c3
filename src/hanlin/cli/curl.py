"""The call of an endpoint as a shell command that works when pasted where `hanlin` ran."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

from hanlin.home import home_folder


def command(url: str, environ: Mapping[str, str] | None = None) -> str:
    """A `curl` with the key this process used: from `HANLIN_KEY`, else from the home folder's key file. The key itself is not shown."""
    body = shlex.quote('{"inputs": "…"}')
    return f'curl {url} -H "Authorization: Bearer {_key(environ)}" -H "Content-Type: application/json" -d {body}'


def _key(environ: Mapping[str, str] | None) -> str:
    """What the shell puts in for the key. The file is named in full: the variable that named its folder may be gone."""
    environ = os.environ if environ is None else environ
    if environ.get("HANLIN_KEY"):
        return "$HANLIN_KEY"
    return f"$(cat {shlex.quote(str(home_folder(environ) / 'owner.key'))})"
