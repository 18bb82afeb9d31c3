"""Puts the console on a platform: the one place where it learns what stands behind it."""

from __future__ import annotations

from starlette.applications import Starlette

from hanlin.console.adapter import PlatformPort
from hanlin.console.application import create_application
from hanlin.console.sessions import load_secret
from hanlin.control.platform import Platform
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.streaming import Streams

SESSIONS_FILE = "console.secret"


def create_console(platform: Platform, *, dataplane: Dataplane, streams: Streams | None = None) -> Starlette:
    """The console of this home, to be mounted at `/` behind all other routes. It answers `/` and `/console/…` only.

    Args:
        streams: of its gateway, which ends them when it can wait no longer; None: its own.
    """
    secret = load_secret(platform.settings.home / SESSIONS_FILE)
    return create_application(PlatformPort(platform, dataplane, streams or Streams(platform.settings)), secret=secret)
