"""The process that holds one variant while it is measured: `python -m hanlin.compression.bench_child`, commands as JSON lines.

One process per variant keeps memory figures apart, keeps one engine's spinning threads out of another's times, and lets a native
crash cost one variant instead of the search. Commands come on stdin; answers leave on the original stdout, which engine libraries
cannot reach because file descriptor 1 points to stderr.

    {"op": "load", "folder", "variant", "threads", "pad_id"}      → {"load_s"}
    {"op": "rows", "rows": [[ids]…]}                               → {}
    {"op": "score", "indices", "max_tokens", "max_rows"}           → {"logits": [[…]…], "seconds"}
    {"op": "latency", "indices"}                                   → {"ms": […]}
    {"op": "neighbours", "indices", "others"}                      → {"logits": {"alone", "padded", "among"}}
    {"op": "memory"}                                               → {"bytes"}
    any failure                                                    → {"error": reason}
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import cast

import numpy as np

from hanlin.compression.base import reason_of
from hanlin.compression.batches import plan, rectangle
from hanlin.engines import Session, load_variant
from hanlin.types import JsonObject

PADDING = 7  # odd on purpose


class Bench:
    """State of the process: a session and the rows it may be asked about."""

    def __init__(self) -> None:
        self.baseline = resident_bytes()
        self.rows: list[list[int]] = []
        self.pad_id = 0
        self.session: Session | None = None

    def answer(self, command: JsonObject) -> JsonObject:
        """The answer to one command."""
        answers = {
            "load": self.load, "rows": self.keep, "score": self.score, "latency": self.latency,
            "neighbours": self.neighbours, "memory": self.memory,
        }  # fmt: skip
        return answers[str(command["op"])](command)

    def load(self, command: JsonObject) -> JsonObject:
        """Load the variant."""
        start = time.perf_counter()
        self.pad_id = cast("int", command["pad_id"])
        self.session = load_variant(Path(str(command["folder"])), str(command["variant"]), threads=cast("int", command["threads"]))
        return {"load_s": time.perf_counter() - start}

    def keep(self, command: JsonObject) -> JsonObject:
        """Take over rows."""
        self.rows = cast("list[list[int]]", command["rows"])
        return {}

    def score(self, command: JsonObject) -> JsonObject:
        """Logits of rows in serving order, and the time it took."""
        indices = cast("list[int]", command["indices"])
        rows = [self.rows[i] for i in indices]
        max_rows = cast("int | None", command["max_rows"])
        batches = plan([len(row) for row in rows], max_tokens=cast("int", command["max_tokens"]), max_rows=max_rows)
        logits: list[list[float]] = [[] for _ in rows]
        seconds = 0.0
        for batch in batches:
            start = time.perf_counter()
            ids, mask = rectangle([rows[i] for i in batch], self.pad_id)
            found = self._run(ids, mask)
            seconds += time.perf_counter() - start
            for index, row in zip(batch, found.tolist(), strict=True):
                logits[index] = row
        return cast("JsonObject", {"logits": logits, "seconds": seconds})

    def latency(self, command: JsonObject) -> JsonObject:
        """Milliseconds of single rows, each at its own length; the first is run once more to wake the threads up."""
        indices = cast("list[int]", command["indices"])
        arrays = [rectangle([self.rows[i]], self.pad_id) for i in [*indices[:1], *indices]]
        times: list[float] = []
        for ids, mask in arrays:
            start = time.perf_counter()
            self._run(ids, mask)
            times.append((time.perf_counter() - start) * 1000)
        return cast("JsonObject", {"ms": times[1:]})

    def neighbours(self, command: JsonObject) -> JsonObject:
        """The same rows alone, padded, and each among odd neighbours (which come first, so that positions differ too)."""
        rows = [self.rows[i] for i in cast("list[int]", command["indices"])]
        others = cast("list[list[int]]", command["others"])
        alone = [self._run(*rectangle([row], self.pad_id))[0].tolist() for row in rows]
        padded = [self._run(*rectangle([row], self.pad_id, extra=PADDING))[0].tolist() for row in rows]
        among = [self._run(*rectangle([*others, row], self.pad_id))[-1].tolist() for row in rows]
        return cast("JsonObject", {"logits": {"alone": alone, "padded": padded, "among": among}})

    def memory(self, command: JsonObject) -> JsonObject:
        """Resident bytes beyond what Python and numpy had before the engine came."""
        return {"bytes": max(0, resident_bytes() - self.baseline)}

    def _run(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        assert self.session is not None, "load first"
        return self.session.run(ids, mask)["logits"]


def resident_bytes() -> int:
    """Resident memory of this process."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def main() -> None:
    """Answer commands until stdin ends (the parent is gone, or done)."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    bench = Bench()
    for line in sys.stdin:
        try:
            answer = bench.answer(json.loads(line))
        except Exception as error:  # one bad variant must say why and not end the search
            answer = {"error": reason_of(error)}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
