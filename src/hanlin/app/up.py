"""`hanlin up`: prepares the home, then hands over to the supervisor. What is said to a person is said here."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hanlin.app.supervisor import Supervisor, bind, lock_home, url_of, write_server_file
from hanlin.app.wiring import open_platform
from hanlin.serving.parent import set_title
from hanlin.settings import Settings


@dataclass(frozen=True, slots=True)
class Started:
    """What a person needs to know once the server answers. `owner_key` is set on the first start of a home only."""

    url: str
    home: Path
    owner_key: str | None
    seconds: float


def up(settings: Settings, *, announce: Callable[[Started], None] | None = None) -> int:
    """Serves the home until SIGTERM or SIGINT; the exit status. Call on the main thread.

    Raises:
        Conflict: `already_running` (another `up` has this home) or `address_in_use`.
        InvalidInput: `address_unusable`.
    """
    began_s = time.monotonic()
    settings = settings.model_copy(update={"home": settings.home.expanduser().absolute()})
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    set_title("hanlin up")
    with lock_home(settings.home), bind(settings) as listener:
        url = url_of(listener, settings)
        owner_key = _prepare(settings)
        server_file = write_server_file(settings, url)
        try:
            facts = (url, settings.home, owner_key, began_s, announce or say)
            threading.Thread(target=_tell_when_ready, args=facts, name="announcer", daemon=True).start()
            return Supervisor(settings, listener).run()
        finally:
            server_file.unlink(missing_ok=True)


def say(started: Started) -> None:
    """Tells the terminal that the server answers, and the owner key where it is new."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(
        f"[bold green]Hanlin[/] answers at [bold]{started.url}[/]  [dim](home {started.home}, {started.seconds:.1f} s)[/]", soft_wrap=True
    )
    if started.owner_key is not None:
        console.print(f"Owner key, shown once and kept for the local command line: [bold]{started.owner_key}[/]", soft_wrap=True)


def _prepare(settings: Settings) -> str | None:
    """Brings the database up to date and makes the owner key of a new home; the key where it is new."""
    platform = open_platform(settings)
    try:
        platform.database.migrate()
        return platform.accounts.ensure_owner_key(settings.home)
    finally:
        platform.close()


def _tell_when_ready(url: str, home: Path, owner_key: str | None, began_s: float, announce: Callable[[Started], None]) -> None:
    """Asks the gateway for its health; the question waits in the socket's backlog until there is a gateway to answer it."""
    parts = urlsplit(url)
    while True:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=60)
        with suppress(OSError, http.client.HTTPException), closing(connection):
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                break
        time.sleep(0.1)
    announce(Started(url, home, owner_key, time.monotonic() - began_s))
