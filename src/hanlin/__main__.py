"""`python -m hanlin`, and `hanlin`, are the command line."""

from __future__ import annotations

import sys


def run() -> None:
    """The command line; Ctrl-C while it is being loaded ends it as quietly as later."""
    try:
        from hanlin.cli import main

        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
