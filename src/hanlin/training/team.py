"""`Team`: the other processes of a training, started by the lead beside itself and ended with it, whatever happens.

They get the rows, the options and a snapshot of the run in a folder, and go on from it as from a checkpoint. They write nothing that stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from hanlin.errors import EngineFailed
from hanlin.observe.memory import shared_limit
from hanlin.training.examples import TrainData
from hanlin.training.lesson import Setting
from hanlin.training.peers import ALONE, Group, Peers
from hanlin.training.state import RunState
from hanlin.types import JsonObject

_COMMAND = [sys.executable, "-m", "hanlin.training.peer"]
_ROWS, SNAPSHOT = "rows.json", "snapshot"
_DEATH_S = 5.0  # a connection closes a moment before its process is gone


class Team:
    """A context manager that gives the lead its `Peers`; `Alone` where one process trains.

    Args:
        threads: of each process.
    """

    def __init__(self, setting: Setting, state: RunState, threads: int) -> None:
        self.setting, self.state, self.threads = setting, state, threads
        self._folder = setting.out.parent / f"{setting.out.name}-peers"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._limit = shared_limit(setting.config.processes)

    def __enter__(self) -> Peers:
        size = self.setting.config.processes
        if size == 1:
            return ALONE
        self.setting.progress.message("peers_started", processes=size, threads=self.threads)
        self._limit.__enter__()
        try:
            self._lay_out()
            for rank in range(1, size):
                self._start(rank)
            for process in self._processes:  # until all have loaded torch: who has not cannot be met
                if not _pipe(process.stdout).readline():
                    raise EngineFailed("peer_lost", problem=self._why())
            return Group(0, size, self._folder, why=self._why)
        except BaseException:
            self._end()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.setting.config.processes > 1:
            self._end()

    def _lay_out(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._folder / SNAPSHOT).mkdir(parents=True)
        write_rows(self.setting.data, self._folder)
        self.state.write(self._folder / SNAPSHOT, self.setting.out / "tokenizer.json")

    def _start(self, rank: int) -> None:
        setting = self.setting
        files = {"base": setting.base, "vectors": setting.vectors, "raw_text": setting.raw_text}
        brief: JsonObject = {
            "rank": rank, "folder": str(self._folder), "threads": self.threads, "config": setting.config.to_json(),
            "request": self.state.place.request, **{name: None if path is None else str(path) for name, path in files.items()},
        }  # fmt: skip
        environment = os.environ | {"OMP_NUM_THREADS": str(self.threads), "MKL_NUM_THREADS": str(self.threads)}
        process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._processes.append(process)
        with contextlib.suppress(BrokenPipeError):  # it is gone already, which is seen where it does not get ready
            _pipe(process.stdin).write(json.dumps(brief).encode() + b"\n")
            _pipe(process.stdin).flush()

    def _why(self) -> str:
        """Which of them is gone, and how it ended."""
        deadline_s = time.monotonic() + _DEATH_S
        while time.monotonic() < deadline_s:
            for rank, process in enumerate(self._processes, 1):
                if (status := process.poll()) is not None:
                    return f"process {rank + 1}: {f'signal {-status}' if status < 0 else f'status {status}'}"
            time.sleep(0.05)
        return "it does not answer"

    def _end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):  # what it did not read
                    _pipe(pipe).close()
        self._processes.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._limit.__exit__(None, None, None)


def write_rows(data: TrainData, folder: Path) -> None:
    """The rows of a run as a file."""
    parts = {name: [list(rows.texts), list(rows.labels)] for name, rows in (("train", data.train), ("validation", data.validation))}
    (folder / _ROWS).write_text(json.dumps({**parts, "labels": data.labels}), encoding="utf-8")


def read_rows(folder: Path) -> TrainData:
    """What `write_rows` wrote."""
    found = json.loads((folder / _ROWS).read_text(encoding="utf-8"))
    return TrainData(_Told(*found["train"]), _Told(*found["validation"]), tuple(found["labels"]))


@dataclass(frozen=True, slots=True)
class _Told:
    """See `ports.Rows`."""

    texts: list[str]
    labels: list[str]


def _pipe(found: IO[bytes] | None) -> IO[bytes]:
    assert found is not None, "started with pipes"
    return found
