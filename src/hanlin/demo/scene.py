"""Sets the scene: home, port, server, narrator; plays the story; keeps the server open or takes everything down."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

from hanlin.client import Hanlin
from hanlin.demo.narrator import Narrator
from hanlin.demo.server import DemoServer, free_port
from hanlin.demo.story import STEPS, tell
from hanlin.errors import HanlinError
from hanlin.messages import terminal_language
from hanlin.settings import load_settings


def play(home: Path | None, *, port: int | None, serve: bool, is_fresh: bool) -> int:
    """Plays the whole demo; the process's exit status. See `hanlin.demo.run`."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite end takes the server down too
    language = terminal_language()
    narrator = Narrator(language, steps=STEPS)
    settings = load_settings(home=home, port=port)
    is_port_named = port is not None or bool(os.environ.get("HANLIN_PORT"))
    cache = settings.home / "cache" / "packages"
    stage = Path(tempfile.mkdtemp(prefix="hanlin-demo-")) if is_fresh else settings.home
    server: DemoServer | None = None
    narrator.console.rule(f"[bold]{narrator.word('title')}")
    try:
        with narrator.step("step_server"):
            server = DemoServer(stage, port=free_port() if is_fresh and not is_port_named else settings.port)
            narrator.found("found_server" if server.is_ours else "found_server_old", url=server.url, key_file=server.key_file)
        with Hanlin(server.url, server.key_file.read_text().strip(), timeout=120, language=language) as client:
            stays = not is_fresh and (serve or not server.is_ours)
            tell(narrator, client, cache=cache, key_file=server.key_file, stays=stays)
        if stays and server.is_ours:
            narrator.console.print(f"\n{narrator.word('serving', url=server.url)}\n{narrator.word('key_hint', key_file=server.key_file)}")
            server.wait()
            narrator.console.print(narrator.word("stopped", home=stage), soft_wrap=True)
    except HanlinError as error:
        narrator.console.print(
            f"[red]{narrator.word('failed', message=error.text(language))}[/red] {error.advice(language)}", soft_wrap=True
        )
        if not is_fresh:
            narrator.console.print(narrator.word("kept", home=stage), soft_wrap=True)
        if error.details and os.environ.get("CI"):
            narrator.console.print(error.details, markup=False)
        return 1
    except KeyboardInterrupt:
        if not is_fresh:
            narrator.console.print("\n" + narrator.word("interrupted", home=stage), markup=False, soft_wrap=True)
        return 130
    finally:
        if server is not None:
            server.stop()
        if is_fresh:
            shutil.rmtree(stage, ignore_errors=True)
    return 0
