"""The search's end of `bench_child`: one object per variant under measurement; every failure is an EngineFailed with a reason."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from hanlin.compression.plan import EncodedSplit
from hanlin.engines import max_batch_rows, split_variant
from hanlin.engines.apart import LOAD_S, SHARE_VARIABLE, check_version
from hanlin.errors import EngineFailed
from hanlin.generation import GenerationSettings
from hanlin.types import JsonObject, JsonValue

Scores = npt.NDArray[np.float64]
_WRITTEN_S = 1800.0  # of networks that write: a large one writes a token or two a second, or reads some hundred rows


class BenchClient:
    """A child process holding `variant`, loaded in the background until `wait_loaded`.

    Args:
        folder: artifact folder with the variant's files.
        is_alone: rows are never batched.
        writing: how a network that writes is asked to, when its answers are compared.
        python: that runs the process; None: ours.
        memory_share: of a graphics processor's, that it may take in the environment of that Python.
        timeout_s: longest wait for one answer; a variant slower than this fails. In an environment of its own loading may take longer.

    Raises:
        EngineFailed: `engine_apart_version`.
    """

    def __init__(
        self,
        folder: Path,
        variant: str,
        *,
        threads: int,
        pad_id: int,
        is_alone: bool = False,
        timeout_s: float = 300.0,
        writing: GenerationSettings | None = None,
        python: Path | None = None,
        memory_share: float = 1.0,
    ) -> None:
        self.variant = variant
        self.max_rows = max_batch_rows(variant, is_alone=is_alone)
        self._timeout_s = timeout_s if writing is None else max(timeout_s, _WRITTEN_S)
        self._load_timeout_s = timeout_s if python is None else max(timeout_s, LOAD_S)
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        if python is not None:
            environment[SHARE_VARIABLE] = f"{memory_share:.4f}"
            check_version(split_variant(variant)[0], python, environment)
        self._scratch = tempfile.TemporaryDirectory(prefix="hanlin-bench-")
        self._outputs = Path(self._scratch.name) / "outputs.npz"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._process = subprocess.Popen(
            [python or sys.executable, "-m", "hanlin.compression.bench_child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log, env=environment,
        )  # fmt: skip
        self._pending = b""
        told = None if writing is None else writing.to_json()
        try:
            self._send({"op": "load", "folder": str(folder), "variant": variant, "threads": threads, "pad_id": pad_id, "writing": told})
        except EngineFailed:  # it died at once
            self.close()
            raise

    def wait_loaded(self, rows: EncodedSplit) -> float:
        """Seconds the load took; gives the child its rows, with their token types and their questions where they have some."""
        seconds = cast("float", self._receive(self._load_timeout_s)["load_s"])
        given = {"rows": [list(row) for row in rows.ids], "types": [list(row) for row in rows.types], "questions": [*rows.questions]}
        self._ask({"op": "rows", **cast("JsonObject", given)})
        return seconds

    def score(self, indices: Sequence[int], *, max_tokens: int) -> tuple[Scores, Scores]:
        """Outputs `(rows, values)`, a row for each token where tokens have outputs; of tokens that are read `(tokens, 2)`: the logarithm
        of its chance, and 1 where none was likelier."""
        self._ask(self._batches("score", indices, max_tokens) | {"path": str(self._outputs)})
        found = self._read()
        return found["values"], found["seen"].reshape(-1, 2)

    def answer(self, folder: Path, calls: Sequence[tuple[JsonValue, JsonObject]]) -> list[JsonValue]:
        """Answers, in their wire form, to calls of the task that `folder` tells of, written greedily."""
        command: JsonObject = {"op": "answer", "folder": str(folder), "calls": [[inputs, parameters] for inputs, parameters in calls]}
        self._send(command)
        return cast("list[JsonValue]", self._receive(_WRITTEN_S)["answers"])

    def throughput(self, indices: Sequence[int], *, max_tokens: int) -> float:
        """Seconds for rows in the serving order."""
        return cast("float", self._ask(self._batches("throughput", indices, max_tokens))["seconds"])

    def _batches(self, op: str, indices: Sequence[int], max_tokens: int) -> JsonObject:
        return {"op": op, "indices": list(indices), "max_tokens": max_tokens, "max_rows": self.max_rows}

    def latency(self, indices: Sequence[int]) -> list[float]:
        """Milliseconds of each row alone."""
        return cast("list[float]", self._ask({"op": "latency", "indices": list(indices)})["ms"])

    def neighbours(self, indices: Sequence[int], others: Sequence[Sequence[int]]) -> dict[str, Scores]:
        """Outputs of the same rows `alone`, `padded` and `among` the others."""
        command: JsonObject = {"op": "neighbours", "indices": list(indices), "others": cast("JsonValue", [list(row) for row in others])}
        self._ask(command | {"path": str(self._outputs)})
        return self._read()

    def memory_bytes(self) -> int:
        """Resident bytes that the engine and the model took."""
        return cast("int", self._ask({"op": "memory"})["bytes"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # what a dead process was not told stays unsaid
                    pipe.close()
        self._scratch.cleanup()

    def _read(self) -> dict[str, Scores]:
        with np.load(self._outputs) as found:
            return {name: found[name].astype(np.float64) for name in found.files}

    def _ask(self, command: JsonObject) -> JsonObject:
        self._send(command)
        return self._receive(self._timeout_s)

    def _send(self, command: JsonObject) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._death() from error

    def _receive(self, timeout_s: float) -> JsonObject:
        assert self._process.stdout is not None
        ends_at = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, ends_at - time.monotonic()))
            if not ready:
                raise self._failed(f"no answer within {timeout_s:.0f} s")
            piece = os.read(self._process.stdout.fileno(), 2**20)
            if not piece:
                raise self._death()
            self._pending += piece
        line, _, self._pending = self._pending.partition(b"\n")
        answer = cast("JsonObject", json.loads(line))
        if "error" in answer:
            raise self._failed(str(answer["error"]))
        return answer

    def _death(self) -> EngineFailed:
        status = self._process.wait(timeout=10)
        if status < 0:
            return EngineFailed("probe_died", variant=self.variant, signal=-status, details=self._log_end())
        return EngineFailed("probe_ended", variant=self.variant, status=status, details=self._log_end())

    def _failed(self, reason: str) -> EngineFailed:
        return EngineFailed("probe_failed", variant=self.variant, reason=reason, details=self._log_end())

    def _log_end(self) -> str:
        self._log.seek(0)
        return self._log.read()[-2000:].decode("utf-8", "replace")
