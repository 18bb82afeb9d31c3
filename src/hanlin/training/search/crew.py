"""`Crew`: the processes that train a study's trials, several at a time, each with its share of the threads."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from types import TracebackType
from typing import cast

from hanlin.types import JsonObject

_COMMAND = [sys.executable, "-m", "hanlin.training.search.worker"]


class Crew:
    """Places for `size` trials; use it as a context manager. All methods belong to one thread.

    Args:
        size: trials at a time.
        brief: what all trials share, see `worker.py`.
        threads: of each trial.
    """

    def __init__(self, size: int, brief: JsonObject, *, threads: int) -> None:
        self._brief = brief
        self._environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self._processes: list[subprocess.Popen[str] | None] = [None] * size
        self._news: queue.SimpleQueue[tuple[int, subprocess.Popen[str], str | None]] = queue.SimpleQueue()

    @property
    def size(self) -> int:
        """Trials at a time."""
        return len(self._processes)

    def begin(self, place: int, order: JsonObject) -> None:
        """Have a trial trained at a place that is free."""
        if self._processes[place] is None:
            self._processes[place] = self._start(place)
            self._tell(place, self._brief)
        self._tell(place, order)

    def answer(self, place: int, *, is_to_go_on: bool) -> None:
        """The verdict that the trial at `place` waits for."""
        self._tell(place, {"go": is_to_go_on})

    def wait(self, timeout_s: float) -> tuple[int, JsonObject | None] | None:
        """What comes next from a place; None from it when its process has died. None in all when nothing came in time."""
        while True:
            try:
                place, process, line = self._news.get(timeout=timeout_s)
            except queue.Empty:
                return None
            if process is not self._processes[place]:
                continue  # of one that was ended
            if line is not None:
                return place, cast("JsonObject", json.loads(line))
            self.stop(place)
            return place, None

    def stop(self, place: int) -> None:
        """End the process at a place; the next trial there gets a new one."""
        process, self._processes[place] = self._processes[place], None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for place in range(self.size):
            self.stop(place)

    def _start(self, place: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment, encoding="utf-8", bufsize=1
        )
        threading.Thread(target=self._listen, args=(place, process), name=f"trial place {place}", daemon=True).start()
        return process

    def _listen(self, place: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError, OSError):  # closed by `stop`
            for line in process.stdout:
                self._news.put((place, process, line))
        self._news.put((place, process, None))

    def _tell(self, place: int, words: JsonObject) -> None:
        process = self._processes[place]
        assert process is not None and process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died: `wait` says so
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
