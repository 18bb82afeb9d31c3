"""`hanlin batch` over a million rows of a small real model, while every minute something is killed: gateway, worker, job, runner, server.

usage: python bench/batch_kills.py [--rows 1000000] [--every 60] [--home HOME]

The command line of a user against a real `hanlin up`, kill -9 in turn; the server is started again at its port. HOME is that of
`sdk_map.py`: an LSTM of ours, trained for an epoch and compressed, made at the first run. Each thousandth row is empty and must fail
alone. Every row must stand once, in order, with the answer that a call of its own gets, in the results or the errors, and the counts must
be those of the files. Memory: resident megabytes of job, gateway, worker and command, at most in each fifth of the rows.
Prints a Markdown section and a JSON line; status 1 when anything of this does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hanlin.client import Hanlin
from hanlin.demo.server import free_port
from sdk_map import HOME, key_of, prepare
from texts import short_texts

ENDPOINT = "mood"
TEXTS = 5000  # different ones
EMPTY = 1000  # each so-manyth row
PARTS = ("hanlin job", "hanlin gateway", "hanlin worker", "hanlin batch")
MAX_GROWTH_MB = 32.0


@dataclass(slots=True)
class Up:
    """A `hanlin up` that can be killed and started again at its port."""

    home: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "hanlin", "up", "--home", str(self.home), "--port", str(self.port), "--grpc-port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def find(self, title: str) -> list[psutil.Process]:
        """Processes below `up` whose title begins so."""
        assert self.process is not None
        found = []
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if " ".join(process.cmdline()).startswith(title):
                        found.append(process)
        return found

    def kill(self, title: str) -> bool:
        """kill -9 of one of them; whether there was one."""
        found = self.find(title)
        with contextlib.suppress(psutil.NoSuchProcess):
            if found:
                found[0].kill()
        return bool(found)

    def kill_server(self) -> bool:
        """kill -9 of `up` itself, which takes all of its processes along; started again when they are gone."""
        assert self.process is not None
        below = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        psutil.wait_procs(below, timeout=20)
        self.start()
        return True

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@contextmanager
def running(home: Path) -> Iterator[Up]:
    up = Up(home)
    up.start()
    try:
        yield up
    finally:
        up.stop()


def write(path: Path, rows: int, texts: list[str]) -> Path:
    """`text` and `id` of each row."""
    with path.open("w") as stream:
        stream.write("text,id\n")
        stream.writelines(f'"{text_of(number, texts)}",{number}\n' for number in range(rows))
    return path


def text_of(number: int, texts: list[str]) -> str:
    return "" if number % EMPTY == 7 else texts[number % len(texts)]


def command_of(up: Up, file: Path) -> tuple[list[str], dict[str, str]]:
    command = [sys.executable, "-m", "hanlin", "batch", ENDPOINT, str(file), "--text", "text", "--id", "id", "--json"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HANLIN_")}
    return command, kept | {"HANLIN_URL": f"http://127.0.0.1:{up.port}", "HANLIN_KEY": key_of(up.home), "HANLIN_LANG": "en"}


def campaign(up: Up, file: Path, rows: int, every_s: float) -> dict[str, object]:
    """Runs the command and kills beside it. What was killed, and the memory of each part by fifths of the rows."""
    turns: list[tuple[str, Callable[[], bool]]] = [
        ("gateway", lambda: up.kill("hanlin gateway")),
        ("worker", lambda: up.kill("hanlin worker")),
        ("job", lambda: up.kill("hanlin job")),
        ("server", up.kill_server),
        ("runner", lambda: up.kill("hanlin runner")),
    ]
    command, environ = command_of(up, file)
    killed: list[str] = []
    held: dict[str, dict[int, float]] = {part: {} for part in PARTS}
    began_s = time.monotonic()
    with (file.parent / "told.log").open("wb") as log, (file.parent / "job.json").open("wb") as out:
        process = subprocess.Popen(command, env=environ, stdout=out, stderr=log)
        next_s, done = time.monotonic() + every_s, 0
        while process.poll() is None:
            done = max(done, rows_done(file.parent / "told.log"))
            look(up, process.pid, held, fifth=min(4, 5 * done // rows))
            if time.monotonic() >= next_s and done:
                name, kill = turns[len(killed) % len(turns)]
                if kill():
                    killed.append(name)
                    next_s = time.monotonic() + every_s
            time.sleep(0.5)
    told = (file.parent / "told.log").read_text()
    assert process.returncode in (0, 1), told[-2000:]
    memory = {part: [round(sizes.get(fifth, 0.0), 1) for fifth in range(5)] for part, sizes in held.items()}
    return {"seconds": round(time.monotonic() - began_s, 1), "status": process.returncode, "killed": killed, "memory_mb": memory}


def rows_done(log: Path) -> int:
    """As the command tells them: `batch: 1234/1000000 …`."""
    for line in reversed(log.read_text(errors="replace").splitlines()[-50:]):
        words = line.replace(",", "").split()
        for word in words:
            number, slash, _ = word.partition("/")
            if slash and number.isdigit():
                return int(number)
    return 0


def look(up: Up, command_pid: int, held: dict[str, dict[int, float]], *, fifth: int) -> None:
    """Note what is resident now."""
    seen = [(part, process) for part in PARTS[:3] for process in up.find(part)]
    with contextlib.suppress(psutil.Error):
        seen.append((PARTS[3], psutil.Process(command_pid)))
    for part, process in seen:
        with contextlib.suppress(psutil.Error):
            held[part][fifth] = max(held[part].get(fifth, 0.0), process.memory_info().rss / 2**20)


def check(file: Path, rows: int, texts: list[str], right: dict[str, dict[str, float]]) -> dict[str, int]:
    """Counts of what is wrong."""
    wrong = answered = failed = 0
    numbers = (number for number in range(rows) if text_of(number, texts))
    with file.with_name(f"{file.stem}.results.jsonl").open() as stream:
        for line in stream:
            row, number = json.loads(line), next(numbers, -1)
            answered += 1
            scores = {item["label"]: item["score"] for item in row["result"]}
            close = (row["row"], row["id"]) == (number + 1, str(number)) and all(
                abs(scores[label] - score) < 1e-2 for label, score in right[text_of(number, texts)].items()
            )
            wrong += not close
    empty = iter(range(7, rows, EMPTY))
    with file.with_name(f"{file.stem}.errors.jsonl").open() as stream:
        for line in stream:
            row = json.loads(line)
            failed += 1
            wrong += (row["row"], row["error"]["code"]) != (next(empty, -1) + 1, "empty_text")
    job = json.loads((file.parent / "job.json").read_text())
    counts = [job["result"][name] for name in ("total", "completed", "failed")]
    wrong += counts != [rows, answered, failed] or answered + failed != rows
    return {"answered": answered, "failed": failed, "wrong": wrong, "attempts": job["attempt"]}


def main() -> None:
    """Prepares, runs, checks and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between kills")
    parser.add_argument("--quick", action="store_true", help="50,000 rows, a kill every 20 seconds")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.every = 50_000, 20.0
    prepare(options.home)
    texts = [text.replace('"', "") or "fine" for text in short_texts(TEXTS)]
    with tempfile.TemporaryDirectory(prefix="hanlin-batch-") as folder, running(options.home) as up:
        file = write(Path(folder) / "in.csv", options.rows, texts)
        with Hanlin(f"http://127.0.0.1:{up.port}", key_of(options.home), timeout=120, max_retries=20) as hanlin:
            right = dict(zip(texts, (told.by_label() for told in hanlin.map(ENDPOINT, texts)), strict=True))
        found = campaign(up, file, options.rows, options.every)
        found |= check(file, options.rows, texts, right)
        told = (file.parent / "told.log").read_text()
    memory: dict[str, list[float]] = found["memory_mb"]  # type: ignore[assignment]
    grown = {part: round(max(sizes[3:]) - max(sizes[:2]), 1) for part, sizes in memory.items()}
    print("### `hanlin batch` under kill -9\n\n| rows | seconds | rows/s | kills | attempts | answered | failed | wrong |")
    print("|---|---|---|---|---|---|---|---|")
    print(f"| {options.rows:,} | {found['seconds']:,} | {options.rows / float(str(found['seconds'])):,.0f} | {len(found['killed'])} "  # type: ignore[arg-type]
          f"| {found['attempts']} | {found['answered']:,} | {found['failed']:,} | {found['wrong']} |\n")  # fmt: skip
    print("| resident MB, at most in each fifth | 1 | 2 | 3 | 4 | 5 |\n|---|---|---|---|---|---|")
    for part, sizes in memory.items():
        print(f"| {part} | " + " | ".join(f"{size:.0f}" for size in sizes) + " |")
    print()
    print(json.dumps({"bench": "batch_kills", "rows": options.rows, **found, "grown_mb": grown}))
    is_bad = bool(found["wrong"]) or not found["killed"] or any(size > MAX_GROWTH_MB for size in grown.values())
    if is_bad:
        sys.stderr.write(told[-3000:])
    sys.exit(is_bad)


if __name__ == "__main__":
    main()
