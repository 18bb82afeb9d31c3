"""The console: server-rendered pages over `control/` and the dataplane, in English and Chinese, without a build step.

`create_console` is all that other rooms call. Pages speak to `port.ConsolePort`; only `adapter.py` knows the platform behind it.
"""

from hanlin.console.wiring import create_console

__all__ = ["create_console"]
