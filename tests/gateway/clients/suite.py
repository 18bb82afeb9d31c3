"""Runs one suite in the environment of its family: `python -I suite.py FILE`. Needs nothing but Python.

A suite is a file of functions `check_…`, which take nothing; what they need stands in the environment: `HANLIN_URL`, `HANLIN_KEY` and the
endpoints `sentiment`, `vectors`, `ranks`.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
import traceback


def main() -> int:
    """Runs every check; says which failed and why."""
    checks = {name: value for name, value in runpy.run_path(sys.argv[1]).items() if name.startswith("check_")}
    failed = 0
    for name, check in checks.items():
        try:
            done = check()
            if asyncio.iscoroutine(done):
                asyncio.run(done)
        except Exception:
            failed += 1
            print(f"{name} failed:\n{traceback.format_exc()}")
    print(f"{len(checks)} checks, {failed} failed")
    return 1 if failed or not checks else 0


if __name__ == "__main__":
    sys.exit(main())
