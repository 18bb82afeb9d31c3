"""`hanlin demo`: the main job end to end on real data, narrated. Speaks to a real server through the SDK only.

Loads nothing heavy on import.
"""

from __future__ import annotations

from pathlib import Path


def run(home: Path | None = None, *, port: int | None = None, serve: bool = True, is_fresh: bool = False) -> int:
    """Tells the story; the process's exit status.

    Args:
        home: home folder of the server; None is the setting in force (`HANLIN_HOME`, else `~/.hanlin`).
        port: port of the server; None is the setting in force, or a free one when that is taken.
        serve: whether server and console stay open until Ctrl-C.
        is_fresh: use a home of its own that is removed afterwards, on a free port unless one is named (continuous integration).
    """
    from hanlin.demo.scene import play

    return play(home, port=port, serve=serve, is_fresh=is_fresh)
