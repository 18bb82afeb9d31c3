"""Whether a folder holds a model that can be imported: names and sizes, before anything is opened."""

from __future__ import annotations

from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.models import allowed  # fmt: skip
from hanlin.types import shorten

MAX_FILES = 200


def check_model_folder(folder: Path, *, needed: frozenset[str] = allowed.NEEDED, besides: frozenset[str] = frozenset()) -> None:
    """Names and kinds of files only. Raises InvalidInput (`unsupported_format`, `unexpected_file`, `missing_file`).

    Args:
        needed: files that must be there.
        besides: files that may be, besides those and a tokenizer's.
    """
    known = needed | besides | allowed.TOKENIZER_FILES | allowed.OWN_FILES
    entries = sorted(folder.iterdir())
    if len(entries) > MAX_FILES:
        raise InvalidInput("unexpected_file", file=f"{len(entries)} entries")
    for path in entries:
        if path.is_symlink():
            raise InvalidInput("unexpected_file", file=shorten(path.name))
        if allowed.IGNORED.fullmatch(path.name) or (path.is_file() and path.name in known):
            continue
        if allowed.PICKLES.fullmatch(path.name):
            raise InvalidInput("unsupported_format", file=shorten(path.name))
        raise InvalidInput("unexpected_file", file=shorten(path.name))
    for name in sorted(needed - {path.name for path in entries}):
        raise InvalidInput("missing_file", file=name)
