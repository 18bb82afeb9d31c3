"""Where the home of a server lies: one rule for the server and for every command that looks for it."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Mapping
from pathlib import Path

DEFAULT = ".hanlin"  # in the folder of who runs it


def home_folder(environ: Mapping[str, str]) -> Path:
    """`HANLIN_HOME`, else `home` of the file of settings (`HANLIN_CONFIG`, or the default home's own), else `~/.hanlin`; absolute.

    A file that cannot be read names none: the server says so when it starts.
    """
    if named := environ.get("HANLIN_HOME"):
        return settled(named)
    default = Path.home() / DEFAULT
    file = Path(environ.get("HANLIN_CONFIG") or default / "hanlin.toml")
    with contextlib.suppress(OSError, ValueError):
        if (named := tomllib.loads(file.read_text(encoding="utf-8")).get("home")) and isinstance(named, str):
            return settled(named)
    return default


def settled(home: str | Path) -> Path:
    """The folder in full, with `~` for the home of who runs it: what was said means the same from any other folder."""
    return Path(home).expanduser().absolute()
