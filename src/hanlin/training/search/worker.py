"""A process that trains trials: `python -m hanlin.training.search.worker`, spoken to by `crew.py` in lines of JSON.

In: once a brief (folders and files), then orders (`{"options", "model", "task", "folder"}`) one at a time, and after each
evaluation a verdict (`{"go": true}`). Out: `{"metric"}` once, the figure that the trial watches; `{"step", "total"}` at most once
a second, `{"step", "total", "value"}` at each evaluation, and how the trial ended. It reads the training and the validation rows,
which is all that its folder of rows holds. It ends when its parent is gone.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from hanlin.errors import HanlinError, Internal
from hanlin.messages.said import Plain, Said
from hanlin.types import JsonObject

if TYPE_CHECKING:
    from hanlin.training.examples import TrainData


class Pruned(Exception):
    """The parent said that the trial is not worth going on with."""


class Wire:
    """Lines to and from the parent. A thread of its own reads, so that the parent's end is seen at once."""

    def __init__(self, source: TextIO, sink: TextIO) -> None:
        self._sink = sink
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(source,), name="parent", daemon=True).start()

    def _read(self, source: TextIO) -> None:
        for line in source:
            self._lines.put(line)
        os._exit(0)

    def take(self) -> JsonObject:
        """The next line."""
        found: JsonObject = json.loads(self._lines.get())
        return found

    def say(self, words: JsonObject) -> None:
        """One line to the parent."""
        self._sink.write(json.dumps(words) + "\n")
        self._sink.flush()


class TrialProgress:
    """Tells the parent how far the trial is, and asks at each evaluation whether to go on."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._watched = ""
        self._told_at = 0.0

    def watch(self, metric: str) -> None:
        """See `Watches`."""
        self._watched = f"validation_{metric}"
        self._wire.say({"metric": metric})

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        """See `Progress`. Raises Pruned."""
        if self._watched in metrics:
            self._wire.say({"step": step, "total": total, "value": float(metrics[self._watched])})
            if self._wire.take().get("go") is not True:
                raise Pruned
        elif time.monotonic() - self._told_at >= 1.0:
            self._told_at = time.monotonic()
            self._wire.say({"step": step, "total": total})

    def message(self, code: str, /, **params: Plain | Said) -> None:
        """See `Progress`; the job tells of trials as a whole."""

    def check_cancelled(self) -> None:
        """See `Progress`; a cancelled job ends this process."""


def run_trials(wire: Wire) -> None:
    """Train what comes until the parent is gone."""
    brief = wire.take()
    while True:
        order = wire.take()
        try:
            wire.say({"end": "complete", "report": _train(order, brief, wire)})
        except Pruned:
            wire.say({"end": "pruned"})
        except HanlinError as error:
            wire.say({"end": "failed", "family": error.family, "said": Said(error.code, error.params).to_json()})
        except MemoryError:
            wire.say({"end": "failed", "family": Internal.family, "said": Said("job_out_of_memory").to_json()})


@cache
def read_rows(folder: Path, *, is_streamed: bool) -> TrainData:
    """Training and validation rows of a dataset's folder, once for all trials."""
    from hanlin.datasets import read_labels, training_rows
    from hanlin.training.examples import TrainData  # loads torch

    train, validation = (training_rows(folder, split, is_streamed=is_streamed) for split in ("train", "validation"))
    return TrainData(train, validation, read_labels(folder))


def _train(order: JsonObject, brief: JsonObject, wire: Wire) -> JsonObject:
    from hanlin.training.checkpoints import FolderCheckpoints
    from hanlin.training.search.space import config_of
    from hanlin.training.train import train

    config = config_of(cast("JsonObject", order["options"]), str(order["model"]), str(order["task"]))
    data = read_rows(Path(str(brief["rows"])), is_streamed=config.is_streamed)
    folder = Path(str(order["folder"]))
    folder.mkdir(parents=True, exist_ok=True)
    base, vectors, raw_text = (Path(str(brief[name])) if brief.get(name) else None for name in ("base", "vectors", "raw_text"))
    report = train(
        config, data, base=base, vectors=vectors, raw_text=raw_text, out=folder / "out", progress=TrialProgress(wire),
        checkpoints=FolderCheckpoints(folder / "checkpoints", keep=1),
    )  # fmt: skip
    return report.to_json()


def main() -> None:
    """The process: standard output is the parent's, whatever a library prints goes to the log."""
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    run_trials(Wire(sys.stdin, sink))


if __name__ == "__main__":
    main()
