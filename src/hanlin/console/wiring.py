"""Puts the console on a platform: the one place where it learns what stands behind it."""

from __future__ import annotations

from starlette.applications import Starlette

from hanlin.console.adapter import PlatformPort
from hanlin.console.application import create_application
from hanlin.console.sessions import load_secret
from hanlin.control.platform import Platform
from hanlin.gateway.dataplane import Dataplane

SESSIONS_FILE = "console.secret"


def create_console(platform: Platform, *, dataplane: Dataplane) -> Starlette:
    """The console of this home, to be mounted at `/` behind all other routes. It answers `/` and `/console/…` only."""
    secret = load_secret(platform.settings.home / SESSIONS_FILE)
    return create_application(PlatformPort(platform, dataplane), secret=secret)
