"""A process that helps to train: `python -m hanlin.training.peer`, started by `team.py`, with a brief as a line of JSON on stdin.

It prepares the same course as the lead, becomes the run of the lead's snapshot, and takes every step with it. It ends with its last step,
when the lead is gone (end of stdin), or when another process is. Its share of the memory is the lead's, in whose `shared_limit` it began.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from hanlin.types import JsonObject


def main() -> None:
    """The process: standard output is the lead's, whatever a library prints goes to the log."""
    brief: JsonObject = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_watch, name="lead", daemon=True).start()
    sink = os.dup(1)
    os.dup2(2, 1)
    from hanlin.training.config import TrainConfig  # loads torch
    from hanlin.training.peers import Group
    from hanlin.training.train import follow

    os.write(sink, b"ready\n")
    told = brief["config"]
    assert isinstance(told, dict)
    config = TrainConfig.from_json(told, model=str(told["model"]), task=str(told["task"]))
    files = {name: Path(str(brief[name])) if brief[name] else None for name in ("base", "vectors", "raw_text")}
    peers = Group(int(str(brief["rank"])), config.processes, Path(str(brief["folder"])))
    follow(config, peers, Path(str(brief["folder"])), request=str(brief["request"]), threads=int(str(brief["threads"])), **files)


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
