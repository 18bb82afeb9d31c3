"""`python -m hanlin` is the command line."""

from __future__ import annotations

from hanlin.cli import main

if __name__ == "__main__":
    main()
