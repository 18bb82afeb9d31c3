"""`hanlin up`: prepares the home, then hands over to the supervisor. What is said to a person is said here."""

from __future__ import annotations

import http.client
import os
import shlex
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hanlin.app.supervisor import Supervisor, bind, grpc_address, hold_grpc_port, lock_home, server_file, url_of, write_server_file
from hanlin.app.wiring import open_platform
from hanlin.errors import InvalidInput
from hanlin.home import home_folder, settled
from hanlin.messages import terminal_language
from hanlin.serving.parent import set_title
from hanlin.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Started:
    """What a person needs to know once the server answers. `owner_key` is set on the first start of a home only.

    `grpc`: host and port; None where there is none.
    """

    url: str
    grpc: str | None
    home: Path
    owner_key: str | None
    seconds: float


def up(settings: Settings, *, announce: Callable[[Started], None] | None = None) -> int:
    """Serves the home until SIGTERM or SIGINT; the exit status. Call on the main thread.

    Raises:
        Conflict: `already_running` (another `up` has this home) or `address_in_use`.
        InvalidInput: `address_unusable` or `home_unusable`.
    """
    began_s = time.monotonic()
    settings = settings.model_copy(update={"home": settled(settings.home)})
    _make_home(settings.home)
    set_title("hanlin up")
    with lock_home(settings.home), bind(settings) as listener, hold_grpc_port(settings) as settings:
        url = url_of(listener, settings)
        supervisor = Supervisor(settings, listener)
        if announce is None:
            say_start(settings.home)
        try:
            supervisor.launch()
            owner_key = _prepare(settings)
            write_server_file(settings, url)
            started = Started(url, grpc_address(settings), settings.home, owner_key, 0.0)
            facts = (started, began_s, announce or say)
            threading.Thread(target=_tell_when_ready, args=facts, name="announcer", daemon=True).start()
            return supervisor.run()
        finally:
            supervisor.close()
            server_file(settings).unlink(missing_ok=True)


_WORDS = {
    "en": {
        "start": "[dim]Hanlin is starting, home {home} …[/]",
        "up": "[bold green]Hanlin[/] answers at [bold]{url}[/]  [dim](home {home}, {seconds:.1f} s)[/]",
        "grpc": "gRPC at [bold]{grpc}[/]",
        "key": "Owner key, shown once and kept for the local command line: [bold]{key}[/]",
        "kept": "A new owner key is kept in {home}/owner.key (readable by you only).",
        "elsewhere": "This home is not where commands look. In each terminal for them: [bold]export HANLIN_HOME={home}[/]",
    },
    "zh": {
        "start": "[dim]翰林正在启动，主目录 {home} …[/]",
        "up": "[bold green]翰林[/] 已在 [bold]{url}[/] 应答  [dim]（主目录 {home}，{seconds:.1f} 秒）[/]",
        "grpc": "gRPC 位于 [bold]{grpc}[/]",
        "key": "所有者密钥，只显示这一次，并已为本机命令行保存：[bold]{key}[/]",
        "kept": "新的所有者密钥保存在 {home}/owner.key（仅你可读）。",
        "elsewhere": "命令默认不会查找这个主目录。请在使用命令的每个终端执行：[bold]export HANLIN_HOME={home}[/]",
    },
}


def say_start(home: Path) -> None:
    """Tells the terminal that the server is on its way: on a busy machine it answers after many seconds."""
    console, words = _terminal()
    console.print(words["start"].format(home=home), soft_wrap=True)


def say(started: Started) -> None:
    """Tells the terminal that the server answers. A new owner key is shown on a terminal only, never written into a log."""
    console, words = _terminal()
    console.print(words["up"].format(url=started.url, home=started.home, seconds=started.seconds), soft_wrap=True)
    if started.grpc is not None:
        console.print(words["grpc"].format(grpc=started.grpc), soft_wrap=True)
    if started.owner_key is not None:
        key = "key" if console.is_terminal else "kept"
        console.print(words[key].format(key=started.owner_key, home=started.home), soft_wrap=True)
    if started.home != home_folder(os.environ):  # named by `--home`, of which other commands know nothing
        console.print(words["elsewhere"].format(home=shlex.quote(str(started.home))), soft_wrap=True)


def _terminal() -> tuple[Console, dict[str, str]]:
    from rich.console import Console

    return Console(highlight=False), _WORDS[terminal_language()]


def _make_home(home: Path) -> None:
    """The home and its run folder, which must take files. Raises InvalidInput (`home_unusable`)."""
    try:
        (home / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home / "run") as probe:
            probe.write(b"x")
            probe.flush()
    except OSError as error:
        raise InvalidInput("home_unusable", home=str(home), problem=error.strerror or type(error).__name__) from error


def _prepare(settings: Settings) -> str | None:
    """Brings the database up to date and makes the owner key of a new home; the key where it is new."""
    platform = open_platform(settings)
    try:
        platform.database.migrate()
        return platform.accounts.ensure_owner_key(settings.home)
    finally:
        platform.close()


def _tell_when_ready(started: Started, began_s: float, announce: Callable[[Started], None]) -> None:
    """Asks the gateway for its health; the question waits in the socket's backlog until there is a gateway to answer it."""
    parts = urlsplit(started.url)
    while True:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=60)
        with suppress(OSError, http.client.HTTPException), closing(connection):
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                break
        time.sleep(0.1)
    announce(replace(started, seconds=time.monotonic() - began_s))
