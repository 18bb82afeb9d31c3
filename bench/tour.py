"""The tour: every task once, as a user would: sample real rows, add, train on a short budget, deploy, call. One real server, one table.

usage: python bench/tour.py [--only NAME …] [--rows N] [--list] [--write] [--sides N]

Each line of `STOPS` (bench/tour_stops.py) is one stop: a corpus by its name in docs/corpora.md, a network, rows and options. The budgets
are short on purpose: the whole tour is to take half an hour of two cores, so the figures say that the road is whole and the models
learn, not what they can become (docs/benchmarks.md has that). The baseline is the corpus's own of docs/corpora.md: a simple one, learnt on
nine tenths of the whole corpus, while ours had the rows of the stop; where that has none of the figure, one of bench/tour_baselines.py on
the stop's own rows. Baselines are found before the clock of the tour begins. Test rows are those of the platform's split. Latency: the
middle of 25 calls with one question of the corpus each, one after the other, through the gateway, on the variant that training published.
Stops are visited by two sides at once (`--sides`), each with a server of its own and one thread for a training: two cores do more so. A
side's latencies are those beside the other's training.
`--write` puts the table into docs/tour.md, stop by stop; bench/tour.json keeps the figures. Stops that `--only` leaves out keep
their earlier ones.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil

from hanlin.datasets import bundled
from hanlin.datasets.corpora import CORPORA
from hanlin.datasets.corpora.base import Source
from hanlin.tasks import TASKS, BadExample
from hanlin.types import JsonObject
from servers import Server, free_ports
from tour_baselines import baseline
from tour_page import FIGURES, chip, write
from tour_stops import BASES, FORMS, STOPS, Stop
from training_data import CACHE, e5_base

CALLS = 25


class Road:
    """`hanlin …` against one server."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.url = home, f"http://127.0.0.1:{port}"
        self.environ = {
            **os.environ,
            "HANLIN_HOME": str(home),
            "HANLIN_URL": self.url,
            "HANLIN_LANG": "en",
            "HANLIN_CERTIFICATE_ROWS": "16",
            "HANLIN_WORKER_START_TIMEOUT_S": "600",
        }

    def run(self, *arguments: str) -> Any:
        """The JSON that a command answers. Raises RuntimeError with what it complained of."""
        done = subprocess.run(
            [sys.executable, "-m", "hanlin", *arguments, "--json"], env=self.environ, capture_output=True, text=True, check=False
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"hanlin {' '.join(arguments)}: {done.stderr[-1500:]}")
        return json.loads(done.stdout)

    def call(self, endpoint: str, question: tuple[Any, dict[str, Any]]) -> float:
        """Seconds of one call."""
        key = (self.home / "owner.key").read_text(encoding="utf-8").strip()
        began_s = time.perf_counter()
        answer = self._client.post(
            f"/models/{endpoint}", json={"inputs": question[0], "parameters": question[1]}, headers={"Authorization": f"Bearer {key}"}
        )
        took_s = time.perf_counter() - began_s
        if answer.status_code != 200:
            raise RuntimeError(f"{endpoint} answered {answer.status_code}: {answer.text[:500]}")
        return took_s

    @property
    def _client(self) -> httpx.Client:
        if not hasattr(self, "_http"):
            self._http = httpx.Client(base_url=self.url, timeout=120, trust_env=False)
        return self._http


def questions(stop: Stop, path: Path) -> list[tuple[Any, dict[str, Any]]]:
    """The last examples of a file as callers would ask them."""
    task, found = TASKS.get(stop.task), []
    for line in path.read_text(encoding="utf-8").splitlines()[-CALLS:]:
        try:
            row = json.loads(line)
            names = {header: column.name for column in task.examples.columns for header in (*column.aliases, column.name)}
            example = task.examples.read({names.get(header, header): value for header, value in row.items()})
        except BadExample:
            continue
        inputs, parameters = task.ask(task.examples.question(example.text, example.annotation))
        found.append((inputs, dict(parameters)))
    if not found:
        raise RuntimeError(f"{path.name} has no example to ask")
    return found


def formed(path: Path, form: str) -> Path:
    """Beside a file of rows: the same rows in another form."""
    rows = [FORMS[form](json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    out = path.with_suffix(f".{form}.jsonl")
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return out


def visit(stop: Stop, road: Road, folder: Path, besides: dict[str, Any]) -> dict[str, Any]:
    """One stop from rows to answers; its line of the table, without its baseline.

    Args:
        besides: options of its training that are the run's, not the stop's.
    """
    name, began_s = stop.name, time.monotonic()
    sampled = road.run("dataset", "sample", stop.corpus, "--out", str(folder), *(("--rows", str(stop.rows)) if stop.rows else ()))
    path = formed(Path(sampled["file"]), stop.form) if stop.form else Path(sampled["file"])
    road.run("dataset", "add", name, str(path), "--task", stop.task, *(("--split", stop.split) if stop.split else ()))
    options = [part for option, value in (stop.options | besides).items() for part in ("--set", f"{option}={json.dumps(value)}")]
    job = road.run("train", "--task", stop.task, "--dataset", name, "--model", stop.model, "--name", name, *options)
    trained_s = time.monotonic() - began_s
    metrics = job["result"]["metrics"]
    metrics = metrics.get("test", metrics)
    road.run("deploy", name, "--endpoint", name)
    asked = questions(stop, path)
    for question in asked[:3]:
        road.call(name, question)
    times = [road.call(name, asked[number % len(asked)]) for number in range(CALLS)]
    road.run("undeploy", name)
    corpus = CORPORA.get(stop.corpus)
    value = float(metrics[stop.figure])
    return {
        "stop": name, "task": stop.task, "kind": stop.kind, "corpus": stop.corpus, "languages": [*corpus.languages],
        "nature": corpus.nature,
        "rows": sampled["rows"], "model": stop.model, "options": stop.options, "figure": stop.figure, "split": stop.split,
        "ours": round(100 * value if abs(value) <= 1 else value, 1), "p50_ms": round(1000 * statistics.median(times), 1),
        "seconds": round(trained_s), "whole_seconds": round(time.monotonic() - began_s),
        "metrics": {key: number for key, number in metrics.items() if isinstance(number, int | float)},
    }  # fmt: skip


def spent_s(server: Server) -> float:
    """Processor seconds of the server's tree so far, of jobs that have ended too."""
    total = 0.0
    for process in server.processes():
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def main() -> int:
    """The exit status: 1 where a stop failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[stop.name for stop in STOPS], default=[])
    parser.add_argument("--rows", type=int, help="at most so many at every stop: to see that the road is whole, not for figures")
    parser.add_argument("--list", action="store_true", help="say the stops")
    parser.add_argument("--write", action="store_true", help="write docs/tour.md and bench/tour.json")
    parser.add_argument("--sides", type=int, default=2, help="stops at a time")
    parser.add_argument("--about", default="", help="what else the machine did, for the page")
    options = parser.parse_args()
    if options.rows and options.write:
        parser.error("--rows is no budget of a stop: leave out --write, or --rows")
    stops = [stop for stop in STOPS if not options.only or stop.name in options.only]
    if options.rows:
        stops = [replace(stop, rows=min(options.rows, stop.rows or options.rows)) for stop in stops]
    if options.list:
        print("\n".join(f"{stop.name}: {stop.task} ({stop.model})" for stop in stops))
        return 0
    trip = Trip(stops, {stop.name: baseline(stop)[0] for stop in stops})
    with ThreadPoolExecutor(options.sides) as sides:
        for side in [sides.submit(travel, trip, options) for _ in range(options.sides)]:
            side.result()
    whole_seconds = round(time.monotonic() - trip.began_s)
    print(f"{len(trip.found)} stops in {whole_seconds} s, {trip.failed} failed", file=sys.stderr)
    if options.write and len(trip.found) == len(STOPS):
        write(trip.found, about(options), whole_seconds)
    return 1 if trip.failed else 0


class Trip:
    """The stops of a run and what was found; every side takes from it.

    Args:
        baselines: by the names of stops.
    """

    def __init__(self, stops: Sequence[Stop], baselines: Mapping[str, JsonObject]) -> None:
        self.baselines = baselines
        known = json.loads(FIGURES.read_text(encoding="utf-8"))["stops"] if FIGURES.exists() else []
        took = {line["stop"]: line["cpu_seconds"] for line in known}
        self.waiting = sorted(stops, key=lambda stop: -took.get(stop.name, statistics.median([*took.values()] or [0])))
        self.found: list[dict[str, Any]] = []
        self.failed, self.began_s, self.lock = 0, time.monotonic(), threading.Lock()

    def next(self, bases: set[str]) -> Stop | None:
        """The longest stop whose base a side has; else one that wants none; else any."""
        with self.lock:
            wanted = (
                [stop for stop in self.waiting if stop.model in bases]
                or [stop for stop in self.waiting if stop.model not in BASES]
                or self.waiting
            )  # fmt: skip
            chosen = wanted[0] if wanted else None
            self.waiting = [stop for stop in self.waiting if stop is not chosen]
            return chosen

    def keep(self, line: dict[str, Any], options: argparse.Namespace) -> None:
        """A stop's figures, on the page too."""
        line |= self.baselines[line["stop"]]
        with self.lock:
            self.found.append(line)
            print(json.dumps(line, ensure_ascii=False), flush=True)
            if options.write:
                write(self.found, about(options), None)


def about(options: argparse.Namespace) -> str:
    """Where and beside what a run was, for the page."""
    sides = f", {options.sides} stops at a time" if options.sides > 1 else ""
    return f"{os.cpu_count()} cores of an {chip()}{sides}; {options.about or 'nothing else ran'}."


def travel(trip: Trip, options: argparse.Namespace) -> None:
    """One side: a server, and stops while there are some."""
    bases: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="hanlin-tour-") as work:
        (port,) = free_ports(1)
        road = Road(Path(work) / "home", port)
        (road.home / "cache").mkdir(parents=True)
        (road.home / "cache" / "packages").symlink_to(CACHE.resolve())
        command = [sys.executable, "-m", "hanlin", "up", "--home", str(road.home), "--port", str(port), "--grpc-port", "0"]
        server = Server(command, port=port, log=Path(work) / "server.log", environ=road.environ)
        try:
            wait_ready(road)
            while stop := trip.next(bases):
                try:
                    if stop.model in BASES and stop.model not in bases:
                        bases.add(stop.model)
                        road.run("model", "import", stop.model, str(base(stop.model, Path(work))), "--task", BASES[stop.model])
                    before_s = spent_s(server)
                    line = visit(stop, road, Path(work) / "rows", {"threads": 1} if options.sides > 1 else {})
                    trip.keep(line | {"cpu_seconds": round(spent_s(server) - before_s)}, options)
                except (RuntimeError, KeyError) as error:
                    with trip.lock:
                        trip.failed += 1
                    print(f"FAILED {stop.name}: {error!r}", file=sys.stderr, flush=True)
        finally:
            server.close()


def base(name: str, work: Path) -> Path:
    """A folder of real weights."""
    if name == "minilm":
        return bundled.minilm(CACHE)
    rows = (row for stop in STOPS if stop.model == name for row in CORPORA.get(stop.corpus).rows(Source(CACHE)))
    return e5_base([str(value) for row in rows for value in row.values()], work)  # the words whose vectors are kept


def wait_ready(road: Road) -> None:
    """Raises RuntimeError when the server does not answer within a minute."""
    for _ in range(300):
        try:
            if httpx.get(f"{road.url}/readyz", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise RuntimeError("the server does not answer")


if __name__ == "__main__":
    sys.exit(main())
