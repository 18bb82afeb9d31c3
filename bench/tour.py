"""The tour: every task once, as a user would: sample real rows, add, train on a short budget, deploy, call. One real server, one table.

usage: python bench/tour.py [--only NAME …] [--rows N] [--list] [--write]

Each line of `STOPS` is one stop: a corpus by its name in docs/corpora.md, a network, rows and options. The budgets are short on
purpose: the whole tour takes at most half an hour of two cores, so the figures say that the road is whole and the models learn, not
what they can become (docs/benchmarks.md has that). The baseline is the corpus's own of docs/corpora.md: a simple one, learnt on
nine tenths of the whole corpus, while ours had the rows of the stop. Test rows are those of the platform's split. Latency: the
middle of 50 calls of one question of the corpus each, one after the other, through the gateway, on the variant that training published.
`--write` puts the table into docs/tour.md; bench/tour.json keeps the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform as machine
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from hanlin.datasets import bundled
from hanlin.datasets.corpora import CORPORA
from hanlin.datasets.corpora.base import Source
from hanlin.tasks import TASKS, BadExample
from servers import Server
from training_data import CACHE, e5_base

BENCH = Path(__file__).parent
PAGE, FIGURES = BENCH.parent / "docs" / "tour.md", BENCH / "tour.json"
CALLS = 50
PORT = 18_290


@dataclass(frozen=True, slots=True)
class Stop:
    """One task on one corpus.

    Args:
        model: of our own networks, or a base: `minilm`, `e5`.
        figure: the metric in the model's metrics, a share of one; baseline: in bench/corpora.json, in per cent; empty: it has none of this
            figure.
        rows: at most, of the corpus; None takes all.
        as_task: what the rows are learned for, where that is not what the corpus is told for.
    """

    corpus: str
    model: str
    figure: str
    baseline: str
    rows: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    kind: str = ""
    as_task: str = ""

    @property
    def task(self) -> str:
        """The corpus's, unless said otherwise."""
        return self.as_task or CORPORA.get(self.corpus).task

    @property
    def name(self) -> str:
        """Of its dataset, its model and its endpoint."""
        return f"{self.corpus}-{self.as_task}" if self.as_task else self.corpus


SHORT = {"epochs": 3}
CHARACTERS = {"cleaning": ["control", "width", "space"], "segmentation": "character"}
CUT = {"train_length": 96, "max_length": 128}
BERT = {"epochs": 1, "layers": 2, "hidden_size": 128, "heads": 2, "train_length": 64}
STOPS = (
    Stop("reviews-zh", "lstm", "accuracy", "accuracy", 6000, SHORT, kind="one label"),
    Stop("reviews-en", "lstm", "accuracy", "accuracy", None, SHORT, kind="one label"),
    Stop("package-tags", "lstm", "micro_f1", "micro_f1", 3000, SHORT, kind="several labels"),
    Stop("answer-pairs-zh", "lstm", "accuracy", "accuracy", None, {"epochs": 12}, kind="pairs"),
    Stop("package-similarity", "lstm", "spearman", "spearman", 3000, SHORT, kind="scores of pairs"),
    Stop("review-aspects-zh", "lstm", "accuracy", "accuracy", 3000, SHORT, kind="of aspects"),
    Stop("review-aspects-en", "lstm", "accuracy", "accuracy", None, {"epochs": 8}, kind="of aspects"),
    Stop("newspaper-entities", "lstm", "f1", "f1", 4000, SHORT, kind="entities"),
    Stop("brown-entities", "lstm", "f1", "f1", 4000, SHORT, kind="entities"),
    Stop("brown-roles", "lstm", "f1", "f1", 2500, {"epochs": 2}),
    Stop("home-intents-zh", "lstm", "exact_match", "exact", 3000, SHORT),
    Stop("home-intents-en", "lstm", "exact_match", "exact", 3000, SHORT),
    Stop("library-queries-zh", "transformer", "execution_accuracy", "execution", None, {"epochs": 15}),
    Stop("library-queries-en", "transformer", "execution_accuracy", "execution", None, {"epochs": 15}),
    Stop("help-translation", "transformer", "chrf", "chrf", 4000, {"epochs": 2, "max_length": 64, "max_target_length": 64}, kind="en → zh"),
    Stop("package-synopsis", "transformer", "rouge_l", "rouge_l", 2500, {"epochs": 2, "max_target_length": 24}),
    Stop("help-headings-zh", "transformer", "rouge_l", "rouge_l", None, {"epochs": 2, "max_target_length": 24}),
    Stop("question-answers-en", "minilm", "ndcg", "ndcg@10", None, {"epochs": 1}),
    Stop("question-answers-zh", "e5", "ndcg", "ndcg@10", None, {"epochs": 1} | CUT),
    Stop("question-answers-en", "minilm", "ndcg", "ndcg@10", None, {"epochs": 1, "negatives": 2}, as_task="reranking"),
    Stop("question-answers-zh", "e5", "ndcg", "ndcg@10", None, {"epochs": 1, "negatives": 1} | CUT, as_task="reranking"),
    Stop("help-questions-zh", "e5", "f1", "f1", 300, {"epochs": 1, "max_length": 256}),
    Stop("help-questions-en", "minilm", "f1", "f1", 600, {"epochs": 1}),
    Stop("brown-text", "transformer", "accuracy", "", 150, BERT),
    Stop("chinese-poems", "transformer", "accuracy", "", 4000, BERT | {"text": CHARACTERS}),
    Stop("chats-en", "transformer", "accuracy", "", None, {"epochs": 3}),
    Stop("chats-zh", "transformer", "accuracy", "", None, {"epochs": 3}),
)
BASES = {"minilm": "embedding", "e5": "embedding"}


class Road:
    """`hanlin …` against one server."""

    def __init__(self, home: Path) -> None:
        self.home, self.url = home, f"http://127.0.0.1:{PORT}"
        self.environ = {**os.environ, "HANLIN_HOME": str(home), "HANLIN_URL": self.url, "HANLIN_LANG": "en"}

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


def visit(stop: Stop, road: Road, folder: Path) -> dict[str, Any]:
    """One stop from rows to answers; its line of the table."""
    name, began_s = stop.name, time.monotonic()
    sampled = road.run("dataset", "sample", stop.corpus, "--out", str(folder), *(("--rows", str(stop.rows)) if stop.rows else ()))
    path = Path(sampled["file"])
    road.run("dataset", "add", name, str(path), "--task", stop.task)
    options = [part for option, value in stop.options.items() for part in ("--set", f"{option}={json.dumps(value)}")]
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
    figures = json.loads((BENCH / "corpora.json").read_text(encoding="utf-8"))[stop.corpus]["figures"]
    known = round(float(figures[stop.baseline]), 1) if stop.baseline else None
    corpus = CORPORA.get(stop.corpus)
    value = float(metrics[stop.figure])
    return {
        "task": stop.task, "kind": stop.kind, "corpus": stop.corpus, "languages": [*corpus.languages], "nature": corpus.nature,
        "rows": sampled["rows"], "model": stop.model, "options": stop.options, "figure": stop.figure, "baseline": known,
        "ours": round(100 * value if abs(value) <= 1 else value, 1), "p50_ms": round(1000 * statistics.median(times), 1),
        "seconds": round(trained_s), "whole_seconds": round(time.monotonic() - began_s),
    }  # fmt: skip


def page(found: Sequence[dict[str, Any]], about: str) -> str:
    """docs/tour.md."""
    head = (BENCH / "tour_intro.md").read_text(encoding="utf-8")
    lines = [
        f"| {line['task']}{', ' + line['kind'] if line['kind'] else ''} | `{line['corpus']}` ({', '.join(line['languages'])}) | "
        f"{'gold' if line['nature'] == 'gold' else '**' + line['nature'] + '**'} | {line['rows']:,} | {line['model']}"
        f"{', ' + ', '.join(f'{name} {value}' for name, value in line['options'].items()) if line['options'] else ''} | {line['figure']} | "
        f"{'–' if line['baseline'] is None else line['baseline']} | {line['ours']} | {line['p50_ms']} ms | {line['seconds']} s |"
        for line in found
    ]
    table = [
        "| task | data | answers | rows | model, budget | figure | baseline | ours | served p50 | trained in |",
        "|---|---|---|--:|---|---|--:|--:|--:|--:|",
    ]
    whole = sum(line["whole_seconds"] for line in found)
    return f"{head}\n{about} {len(found)} stops, {whole // 60} min {whole % 60} s in whole.\n\n" + "\n".join(table + lines) + "\n"


def chip() -> str:
    """The processor's name."""
    found = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return found[0] if found else machine.processor()


def main() -> int:
    """The exit status: 1 where a stop failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[stop.name for stop in STOPS], default=[])
    parser.add_argument("--rows", type=int, help="at most so many at every stop: to see that the road is whole, not for figures")
    parser.add_argument("--list", action="store_true", help="say the stops")
    parser.add_argument("--write", action="store_true", help="write docs/tour.md and bench/tour.json")
    parser.add_argument("--about", default="", help="what else the machine did, for the page")
    options = parser.parse_args()
    stops = [stop for stop in STOPS if not options.only or stop.name in options.only]
    if options.rows:
        stops = [replace(stop, rows=min(options.rows, stop.rows or options.rows)) for stop in stops]
    if options.list:
        print("\n".join(f"{stop.name}: {stop.task} ({stop.model})" for stop in stops))
        return 0
    found, failed = [], 0
    with tempfile.TemporaryDirectory(prefix="hanlin-tour-") as work:
        road = Road(Path(work) / "home")
        (road.home / "cache").mkdir(parents=True)
        (road.home / "cache" / "packages").symlink_to(CACHE.resolve())
        command = [sys.executable, "-m", "hanlin", "up", "--home", str(road.home), "--port", str(PORT), "--grpc-port", "0"]
        server = Server(command, port=PORT, log=Path(work) / "server.log", environ=road.environ)
        try:
            wait_ready(road)
            for name in BASES.keys() & {stop.model for stop in stops}:
                road.run("model", "import", name, str(base(name, Path(work))), "--task", BASES[name])
            for stop in stops:
                try:
                    found.append(visit(stop, road, Path(work) / "rows"))
                    print(json.dumps(found[-1], ensure_ascii=False), flush=True)
                except (RuntimeError, KeyError) as error:
                    failed += 1
                    print(f"FAILED {stop.name}: {error!r}", file=sys.stderr, flush=True)
        finally:
            server.close()
    if options.write and found:
        about = f"{os.cpu_count()} cores of an {chip()}; {options.about or 'nothing else ran'}."
        FIGURES.write_text(json.dumps({"machine": about, "stops": found}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(found, about), encoding="utf-8")
    return 1 if failed else 0


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
