"""The console's own files: what is served opens nothing outside of their folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanlin.console.application import STATIC

OUTSIDE = (
    "../application.py",
    "%2e%2e/application.py",
    "..%2fapplication.py",
    "%252e%252e/application.py",
    "/etc/passwd",
    "x%00.css",
    "..\\application.py",
)
_heard: list[str] = []
_is_on = False


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _is_on and event == "open":
        _heard.append(str(arguments[0]))


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Paths opened meanwhile; a hook stays for good, so there is one."""
    global _is_on  # noqa: PLW0603
    if not _heard:
        sys.addaudithook(_hear)
    _heard.append("hooked")
    _is_on = True
    start = len(_heard)
    yield _heard
    _is_on = False
    del _heard[start:]


@pytest.mark.parametrize("name", OUTSIDE)
def test_c015_nothing_outside_of_the_folder_is_opened(member, opened: list[str], name: str) -> None:
    some = next(path.name for path in Path(STATIC).iterdir() if path.is_file())
    begin = len(opened)
    assert member.get(f"/console/static/{some}").status_code == 200
    assert any(path.endswith(some) for path in opened[begin:]), "the hook hears"
    begin = len(opened)
    assert member.get(f"/console/static/{name}").status_code in (404, 400)
    assert not [path for path in opened[begin:] if path.endswith(("application.py", "passwd", "x\0.css"))]
