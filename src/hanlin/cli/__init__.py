"""`hanlin`: thin commands over `client/`. Naming this room loads neither rich nor httpx, so that `--help` is quick.

Exit status: 0 done · 1 other faults · 2 wrong usage or input · 3 key or scope · 4 not found or conflict · 5 not available now ·
130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its status."""
    import typer

    from hanlin.cli import usage
    from hanlin.cli.application import build
    from hanlin.cli.failures import report
    from hanlin.cli.screen import SCREEN
    from hanlin.errors import Cancelled, HanlinError, InvalidInput
    from hanlin.types import shorten

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Chinese shows escapes instead of failing
    words = list(sys.argv[1:] if arguments is None else arguments)
    app = build()
    _check_language()
    try:
        status = app(args=words, prog_name="hanlin", standalone_mode=False)
    except HanlinError as error:
        sys.exit(report(error))
    except usage.Fault as fault:
        if usage.is_help(fault):
            print(fault, file=sys.stderr)
            sys.exit(2)
        SCREEN.is_json = SCREEN.is_json or "--json" in words  # wrong words may stand before the option
        sys.exit(report(usage.translate(fault, app, words)))
    except typer.Abort:
        sys.exit(report(Cancelled("aborted")))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # a path that a command was given, or the disk
        sys.exit(report(InvalidInput("file_refused", path=shorten(str(error.filename or "?"), 200), problem=error.strerror or str(error))))
    sys.exit(status if isinstance(status, int) else 0)


def _check_language() -> None:
    """Says so where HANLIN_LANG names a language that is not spoken here."""
    from hanlin.cli.screen import SCREEN
    from hanlin.cli.words import say
    from hanlin.types import shorten

    wanted = os.environ.get("HANLIN_LANG", "")
    language = wanted.lower().partition(".")[0]
    if language not in {"", "c", "posix"} and not language.startswith(("en", "zh")):
        SCREEN.note(f"{say('screen.warning')} {say('screen.language_unknown', language=shorten(wanted))}")
