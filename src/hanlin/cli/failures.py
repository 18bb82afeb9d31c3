"""How an error leaves the command line: words on stderr, one JSON document on stdout under `--json`, an exit status."""

from __future__ import annotations

import os
import sys

from hanlin.cli.screen import SCREEN, clean
from hanlin.cli.words import say
from hanlin.errors import HanlinError
from hanlin.home import home_folder
from hanlin.messages import terminal_language

EXIT_STATUS = {
    "InvalidInput": 2, "Unauthenticated": 3, "PermissionDenied": 3, "NotFound": 4, "Conflict": 4, "NotReady": 5, "QuotaExceeded": 5,
    "Overloaded": 5, "DeadlineExceeded": 5, "Cancelled": 1, "DataCorrupt": 1, "EngineFailed": 1, "Internal": 1,
}  # fmt: skip


def report(error: HanlinError) -> int:
    """Tell the error; the exit status it asks for."""
    speech = terminal_language()
    request_id = error.params.get("request_id")
    if SCREEN.is_json:
        wire = error.to_wire(speech)
        SCREEN.document({"error": wire | ({"request_id": request_id} if request_id else {})})
    is_terminal = sys.stderr.isatty()
    head = f"\033[31m{say('screen.error')}\033[0m" if is_terminal else say("screen.error")
    gap = "" if speech == "zh" else " "  # the Chinese colon brings its own room
    print(f"{head}{gap}{clean(error.text(speech))}", file=sys.stderr)
    if advice := error.advice(speech):
        print(f"  → {clean(advice)}", file=sys.stderr)
    if error.family in {"PermissionDenied", "Unauthenticated"} and os.environ.get("HANLIN_KEY"):
        print(f"  → {say('screen.key_of_environment')}", file=sys.stderr)
    elif error.family == "Unauthenticated":
        print(f"  → {clean(say('screen.key_of_home', file=home_folder(os.environ) / 'owner.key'))}", file=sys.stderr)
    if request_id and EXIT_STATUS[error.family] == 1:
        print(f"  {say('screen.request_id')}{gap}{clean(str(request_id))}", file=sys.stderr)
    return EXIT_STATUS[error.family]
