"""The process that holds one variant while it is measured: `python -m hanlin.compression.bench_child`, commands as JSON lines.

One process per variant keeps memory figures apart, keeps one engine's spinning threads out of another's times, and lets a native
crash cost one variant instead of the search. Commands come on stdin; answers leave on the original stdout, which engine libraries
cannot reach because file descriptor 1 points to stderr.

    {"op": "load", "folder", "variant", "threads", "pad_id", "writing"} → {"load_s"}
    {"op": "rows", "rows": [[ids]…], "types": [[…]…] or [], "questions": […] or []} → {}
    {"op": "score", "indices", "max_tokens", "max_rows", "path"}   → {}
    {"op": "throughput", "indices", "max_tokens", "max_rows"}      → {"seconds"}
    {"op": "latency", "indices"}                                   → {"ms": […]}
    {"op": "neighbours", "indices", "others", "path"}              → {}
    {"op": "answer", "folder", "calls": [[inputs, parameters]…]}   → {"answers"}
    {"op": "memory"}                                               → {"bytes"}
    any failure                                                    → {"error": reason}

Outputs go to the .npz file `path` as `(rows, values)`: one row a text, or one row a token where every token has an output; `seen` beside
the values of a score has, of tokens that are read, all but the first of each text, the logarithm of the chance, and 1 where none was
likelier. `writing` says how a network that writes is asked to, and `questions` stand beside rows that are each written under a grammar of
its own; its times are those of 16 more tokens, whatever is compared. `answer` writes whole answers to calls of the task that `folder`
tells of, greedily; it is always the same folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from hanlin.compression.base import reason_of
from hanlin.compression.batches import rectangle
from hanlin.engines import Session, load_variant
from hanlin.engines.asking import NO_LIMITS, Questioner, by_length
from hanlin.engines.base import writing
from hanlin.generation import Generated, GenerationSettings
from hanlin.networks.head import Head
from hanlin.observe.memory import while_loading
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.next_token_likeness import NEXT_TOKENS
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject, JsonValue

MAX_ANSWERED_TOKENS = 8192  # of a step, what is written among them
PADDING = 7  # odd on purpose
TIMED = GenerationSettings(max_new_tokens=16, min_new_tokens=16)
_UNREAD = np.empty((0, 2))
_Output = tuple[np.ndarray, np.ndarray]  # (rows, values) of a text; `seen` of its tokens, none unless it is read


class Bench:
    """State of the process: a session and the rows it may be asked about."""

    def __init__(self) -> None:
        self.baseline = resident_bytes()
        self.rows: list[list[int]] = []
        self.types: list[list[int]] = []
        self.settings: list[GenerationSettings] = []  # of each row, where the network writes
        self.folder = Path()
        self.pad_id = 0
        self.max_length = 0
        self.has_types = False
        self.session: Session | None = None
        self.writing: GenerationSettings | None = None
        self.asking: Questioner | None = None

    def answer(self, command: JsonObject) -> JsonObject:
        """The answer to one command."""
        answers = {
            "load": self.load, "rows": self.keep, "score": self.score, "throughput": self.throughput, "latency": self.latency,
            "neighbours": self.neighbours, "memory": self.memory, "answer": self.reply,
        }  # fmt: skip
        return answers[str(command["op"])](command)

    def load(self, command: JsonObject) -> JsonObject:
        """Load the variant."""
        start = time.perf_counter()
        self.pad_id = cast("int", command["pad_id"])
        self.folder = folder = Path(str(command["folder"]))
        self.has_types, self.max_length = Head.load(folder).has_types, ModelSpec.load(folder).max_length
        told = command.get("writing")
        self.writing = GenerationSettings.from_json(told) if told is not None else None
        with while_loading():
            self.session = load_variant(folder, str(command["variant"]), threads=cast("int", command["threads"]))
        return {"load_s": time.perf_counter() - start}

    def keep(self, command: JsonObject) -> JsonObject:
        """Take over rows."""
        self.rows = cast("list[list[int]]", command["rows"])
        self.types = cast("list[list[int]]", command["types"])
        questions = cast("list[JsonValue]", command["questions"])
        if self.writing is not None:
            self.settings = _under_grammars(self.folder, questions) if questions else [self.writing] * len(self.rows)
            assert len(self.settings) == len(self.rows), "a question makes one row"
        return {}

    def score(self, command: JsonObject) -> JsonObject:
        """Outputs of rows, and of those that are read how likely their tokens were."""
        indices = cast("list[int]", command["indices"])
        rows = [self.rows[i] for i in indices]
        found: list[_Output] = [(np.empty(0), _UNREAD)] * len(rows)
        for batch in _batches(command, rows):
            for index, output in zip(batch, self._outputs([indices[i] for i in batch]), strict=True):
                found[index] = output
        values, seen = (np.concatenate(each) for each in zip(*found, strict=True))
        np.savez(str(command["path"]), values=values, seen=seen)
        return {}

    def throughput(self, command: JsonObject) -> JsonObject:
        """Seconds for rows in the serving order."""
        indices = cast("list[int]", command["indices"])
        seconds = 0.0
        for batch in _batches(command, [self.rows[i] for i in indices]):
            seconds += self._timed([indices[i] for i in batch])
        return {"seconds": seconds}

    def latency(self, command: JsonObject) -> JsonObject:
        """Milliseconds of single rows, each at its own length; the first is run once more to wake the threads up."""
        indices = cast("list[int]", command["indices"])
        times = [self._timed([i]) * 1000 for i in [*indices[:1], *indices]]
        return cast("JsonObject", {"ms": times[1:]})

    def neighbours(self, command: JsonObject) -> JsonObject:
        """The same rows alone, padded, and each among odd neighbours (which come first, so that positions differ too)."""
        indices = cast("list[int]", command["indices"])
        others = cast("list[list[int]]", command["others"])
        np.savez(
            str(command["path"]),
            alone=np.concatenate([self._last(i) for i in indices]),
            padded=np.concatenate([self._last(i, extra=self._room(self.rows[i])) for i in indices]),
            among=np.concatenate([self._last(i, others) for i in indices]),
        )
        return {}

    def reply(self, command: JsonObject) -> JsonObject:
        """Answers to calls, as they would be served."""
        assert self.session is not None, "load first"
        if self.asking is None:
            folder = Path(str(command["folder"]))
            spec = ModelSpec.load(folder).greedy
            self.asking = Questioner(self.session, TASKS.get(spec.task), spec, TextEncoder.load(folder), MAX_ANSWERED_TOKENS)
        calls = cast("list[list[Any]]", command["calls"])
        return {"answers": self.asking.ask([(inputs, parameters) for inputs, parameters in calls]).answers}

    def memory(self, command: JsonObject) -> JsonObject:
        """Resident bytes beyond what Python and numpy had before the engine came."""
        return {"bytes": max(0, resident_bytes() - self.baseline)}

    def _arrays(self, indices: list[int]) -> dict[str, np.ndarray]:
        types = [self.types[i] for i in indices] if self.types else []
        return rectangle([self.rows[i] for i in indices], self.pad_id, has_types=self.has_types, types=types)

    def _room(self, row: list[int]) -> int:
        """Padding that a row can take: a network with a table of positions knows none beyond its length."""
        return max(0, min(PADDING, self.max_length - len(row)))

    def _outputs(self, indices: list[int]) -> list[_Output]:
        """Of each row."""
        rows = [self.rows[i] for i in indices]
        if self.writing is not None:
            return self._written(rows, [self.settings[i] for i in indices])
        return [(_own(values, row), _UNREAD) for values, row in zip(self._run(self._arrays(indices)), rows, strict=True)]

    def _timed(self, indices: list[int]) -> float:
        """Seconds of a step; of a network that writes, of the steps of a short answer."""
        rows = [self.rows[i] for i in indices]
        arrays = self._arrays(indices)
        start = time.perf_counter()
        if self.writing is None:
            self._run(arrays)
        else:
            self._write(rows, [TIMED] * len(rows))
        return time.perf_counter() - start

    def _write(self, rows: list[list[int]], settings: list[GenerationSettings]) -> list[Generated]:
        assert self.session is not None, "load first"
        return writing(self.session, "").generate(rows, settings)

    def _written(self, rows: list[list[int]], settings: list[GenerationSettings]) -> list[_Output]:
        """What was written as ids, or what was seen coming at each token of rows that are read."""
        found, most = self._write(rows, settings), settings[0].max_new_tokens
        if settings[0].reads:
            return [(NEXT_TOKENS.of([token.likeliest for token in one.seen]), _seen(one)) for one in found]
        return [(np.pad(np.array([one.ids], dtype=np.float64), ((0, 0), (0, most - len(one.ids)))), _UNREAD) for one in found]

    def _last(self, index: int, others: list[list[int]] | None = None, *, extra: int = 0) -> np.ndarray:
        """(rows, values) of a row behind others, which are written under no grammar, or padded."""
        rows = [*(others or []), self.rows[index]]
        if self.writing is not None:  # it is padded by longer rows
            rows = [max(self.rows, key=len), *rows] if extra else rows
            return self._written(rows, [*[self.writing] * (len(rows) - 1), self.settings[index]])[-1][0]
        outputs = self._run(rectangle(rows, self.pad_id, extra=extra, has_types=self.has_types))
        return _own(outputs[-1], rows[-1])

    def _run(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        assert self.session is not None, "load first"
        (found,) = self.session.run(*arrays.values()).values()
        return found


def _batches(command: JsonObject, rows: list[list[int]]) -> list[list[int]]:
    max_rows = cast("int | None", command["max_rows"])
    return by_length([len(row) for row in rows], max_tokens=cast("int", command["max_tokens"]), max_rows=max_rows)


def _under_grammars(folder: Path, questions: list[JsonValue]) -> list[GenerationSettings]:
    """How the task has each question's row written: as it is served."""
    spec = ModelSpec.load(folder)
    task = TASKS.get(spec.task)
    found = task.encode(task.check(*task.probe(questions), limits=NO_LIMITS), TextEncoder.load(folder), spec).generation
    assert found is not None, "of tasks that write"
    return found


def _seen(one: Generated) -> np.ndarray:
    """(tokens, 2)."""
    return np.array([(token.log, token.is_first) for token in one.seen], dtype=np.float64).reshape(-1, 2)


def _own(values: np.ndarray, row: list[int]) -> np.ndarray:
    """One row's output as `(rows, values)`: itself, or one row for each of its tokens."""
    return values[None, :] if values.ndim == 1 else values[: len(row)]


def resident_bytes() -> int:
    """Resident memory of this process, and of those that its engine has started."""
    import psutil

    process = psutil.Process()
    found = 0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            found += int(each.memory_info().rss)
    return found


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
