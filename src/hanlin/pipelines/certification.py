"""The certificate: held-out rows replayed through the real serving path, compared with the trained model.

The variant is deployed on a private endpoint, loaded by a real worker, called over HTTP by the real client: each row
alone, and each row among 31 neighbours, nearly all of them odd. The trained model (torch in fp32, or the file that came instead of
torch's weights) answers the same rows in this process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

import hanlin
from hanlin.client import Hanlin
from hanlin.compression.judge import FP32_TOLERANCE, MIN_AGREEMENT, NUM_NEIGHBOURS
from hanlin.control import private_endpoints
from hanlin.datasets import read_split
from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.errors import Conflict
from hanlin.pipelines.base import JobContext
from hanlin.pipelines.data import dataset_folder, questions_of
from hanlin.pipelines.lineage import code_version, machine
from hanlin.pipelines.odd_texts import crowd, longest_read, odd_texts, plain_texts
from hanlin.pipelines.task_exams import CertifiedTask, TaskRows
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.tasks.base import TASKS, Task
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.likeness import Likeness, Numbers
from hanlin.tasks.metrics import wilson_interval
from hanlin.tasks.problems import head_of, likeness_of
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject, JsonValue, utc_now

T = TypeVar("T")

_CONTINUED_ROWS = 50  # of texts that are gone on with: each of their tokens is compared, and each is read by a network of any size
_TIMEOUT_S = 600.0  # of a call: four of them may wait for each other in a large network on one core
_LONG_CONTINUED = 3  # a decoder reads thousands of tokens, and would spend nearly all its time on this one neighbour
_CALLS_AT_ONCE = 4
_TOGETHER = 4  # texts that share a batch of neighbours, which cost far more than they do
_TRAINED_BATCH_TOKENS = 4096
# Least label agreement and largest score difference by precision; what compression declares goes before the latter.
_AGREEMENT = {"fp32": 1.0}
_DIFFERENCE = {"fp32": FP32_TOLERANCE, "bf16": 0.15, "int8": 0.4}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What a variant must keep to."""

    agreement: float
    difference: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Served scores beside the trained model's."""

    agreement: float
    max_difference: float
    mean_difference: float
    interval: tuple[float, float]  # 95 % of the agreement

    @classmethod
    def of(cls, served: Numbers, trained: Numbers, likeness: Likeness) -> Comparison:
        """Both `(rows, values)`, compared as the task does."""
        gap, same = likeness.differ(served, trained), likeness.agree(served, trained)
        return cls(float(same.mean()), float(gap.max()), float(gap.mean()), wilson_interval(int(same.sum()), len(same)))

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {
            "label_agreement": self.agreement,
            "label_agreement_interval": list(self.interval),
            "max_score_difference": self.max_difference,
            "mean_score_difference": self.mean_difference,
        }


def certify(
    context: JobContext, version: ModelVersion, variant: str, *, dataset: DatasetVersion | None, rows: int | None = None,
    task_rows: TaskRows | None = None,
) -> JsonObject:  # fmt: skip
    """Makes and stores the certificate; its report.

    Args:
        context: the job.
        version: the candidate.
        variant: which form of it is replayed.
        dataset: whose test rows are replayed; None replays plain sentences (*agreement only*).
        rows: how many; None means as many as the settings say.
        task_rows: a task that is asked besides, on its test rows; its figure is told, and decides nothing.

    Raises:
        Conflict: `certificate_failed` when the answers differ too much; the failed certificate is stored all the same.
        EngineFailed and others: the variant does not load or does not answer.
    """
    platform = context.platform
    rows = rows or platform.settings.certificate_rows
    folder = platform.registry.materialize(version, platform.artifact_cache, variants=(variant,))
    spec = ModelSpec.load(folder)
    task = TASKS.get(spec.task)
    likeness = likeness_of(task, spec)
    questions = _held_out(context, dataset, task, min(rows, _CONTINUED_ROWS) if _goes_on(spec) else rows)
    context.progress.message("certifying", variant=variant, version=str(version), rows=len(questions))
    told = trained_answers(folder, questions, threads=context.threads)
    trained = _numbers(told, task, spec)
    examined = CertifiedTask(context, version, variant, task_rows) if task_rows else None
    began_s = time.monotonic()
    check = context.progress.check_cancelled
    private = private_endpoints.serving(platform, context.principal, version, variant, owner=context.job.id, check=check)
    with private as endpoint, _client(context) as client:
        asking = _Asking(client, endpoint, task, spec)
        served = [asking.told([question]) for question in _watched(context, questions, total=2 * len(questions))]
        alone = _numbers(served, task, spec)
        crowded = _one(_among_neighbours(context, asking, questions, TextEncoder.load(folder)))
        asked_besides = examined.told(client, endpoint) if examined else None
    tolerance = declared_tolerance(context, version, variant)
    compared = {name: Comparison.of(found, trained, likeness) for name, found in (("alone", alone), ("neighbours", crowded))}
    worst = min(compared.values(), key=lambda item: item.agreement)
    is_passed = all(item.agreement >= tolerance.agreement and item.max_difference <= tolerance.difference for item in compared.values())
    report: JsonObject = {
        "rows": len(questions), "variant": variant, "engine": variant.rpartition("-")[0], "precision": variant.rpartition("-")[2],
        "label_agreement": worst.agreement, "label_agreement_interval": list(worst.interval),
        "max_score_difference": max(item.max_difference for item in compared.values()),
        "mean_score_difference": max(item.mean_difference for item in compared.values()),
        "tolerance": {"label_agreement": tolerance.agreement, "max_score_difference": tolerance.difference},
        "alone": compared["alone"].to_json(),
        "neighbours": {**compared["neighbours"].to_json(), "count": NUM_NEIGHBOURS},
        "alone_to_neighbours": float(likeness.differ(alone, crowded).max()),
        **(_reading(served, told, task) | {"greedy_agreement": min(likeness.closeness(each, trained) for each in (alone, crowded))}
           if _is_read(spec) else {}),
        **({"task": asked_besides} if asked_besides else {}),
        "is_passed": is_passed, "is_agreement_only": dataset is None,
        "dataset": str(dataset) if dataset else None, "dataset_digest": dataset.digest if dataset else None,
        "machine": machine(), "versions": versions(), "seconds": round(time.monotonic() - began_s, 2), "created": utc_now().isoformat(),
    }  # fmt: skip
    platform.registry.add_certificate(version, variant, report, is_passed=is_passed)
    if not is_passed:
        raise refusal(version, variant, list(compared.values()), tolerance)
    return report


def refusal(version: ModelVersion, variant: str, compared: Sequence[Comparison], tolerance: Tolerance) -> Conflict:
    """`certificate_failed`, with what was found and what was asked of both figures, so that the one that failed is seen."""
    agreement, difference = min(item.agreement for item in compared), max(item.max_difference for item in compared)
    return Conflict(
        "certificate_failed", version=str(version), variant=variant, agreement=_shown(agreement), least=f"{100 * tolerance.agreement:g}",
        difference=f"{difference:.4g}", limit=f"{tolerance.difference:.4g}",
    )  # fmt: skip


def _shown(share: float) -> str:
    """Percents, cut and never rounded up: 99.996 % must not read like the 100 % that was missed."""
    return f"{math.floor(share * 10_000 + 1e-6) / 100:g}"


def declared_tolerance(context: JobContext, version: ModelVersion, variant: str) -> Tolerance:
    """Exact for fp32; for the rest what compression declared after measuring on validation rows, else the precision's bound."""
    precision = variant.rpartition("-")[2]
    bound = _DIFFERENCE.get(precision, max(_DIFFERENCE.values()))
    if precision != "fp32":
        evidence = next((item.evidence for item in context.platform.registry.list_variants(version) if item.variant == variant), {})
        declared = evidence.get("tolerance")
        if isinstance(declared, int | float):
            bound = float(declared)
    return Tolerance(_AGREEMENT.get(precision, MIN_AGREEMENT), bound)


def versions() -> JsonObject:
    """The software that answered."""
    from importlib.metadata import PackageNotFoundError, version

    found: JsonObject = {"hanlin": hanlin.__version__, "code": code_version()}
    for name in ("torch", "onnxruntime", "openvino", "transformers", "tokenizers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _held_out(context: JobContext, dataset: DatasetVersion | None, task: Task, rows: int) -> list[JsonValue]:
    """Questions of test rows in stored order, then of validation rows where there are too few."""
    if dataset is None:
        return [*plain_texts(rows)]
    folder = dataset_folder(context, dataset)
    found: list[JsonValue] = []
    for split in ("test", "validation"):
        if len(found) < rows:
            found += questions_of(read_split(folder, split), dataset, task)
    return found[:rows]


def trained_answers(folder: Path, questions: Sequence[JsonValue], *, threads: int) -> list[JsonValue]:
    """What the trained model itself answers to each question, in the task's own wire form but through no server."""
    spec, encoder = ModelSpec.load(folder), TextEncoder.load(folder)
    task = TASKS.get(spec.task)
    session, max_rows = trained_session(folder, threads=threads)
    questioner = Questioner(session, task, spec, encoder, _TRAINED_BATCH_TOKENS, max_rows)
    return [*questioner.ask([task.probe([question]) for question in questions]).answers]


@dataclass(frozen=True, slots=True)
class _Asking:
    """The private endpoint and how its task is asked."""

    client: Hanlin
    endpoint: str
    task: Task
    spec: ModelSpec

    def told(self, questions: Sequence[JsonValue]) -> JsonValue:
        """What the served model answers to questions of one call."""
        inputs, parameters = self.task.probe(questions)
        return self.client.predict(self.endpoint, inputs, **parameters)

    def answers(self, questions: Sequence[JsonValue]) -> list[Numbers]:
        """The same in numbers, for each question."""
        return self.task.read(self.told(questions), self.spec)


def _among_neighbours(context: JobContext, asking: _Asking, questions: Sequence[JsonValue], encoder: TextEncoder) -> list[Numbers]:
    """Each row once more with 31 odd neighbours, at a changing place; several such batches are in flight at once.

    Only plain texts share a batch: a call has one query, one schema, one set of options for all that stands in it.
    """
    odd, long = odd_texts(encoder), _LONG_CONTINUED if _goes_on(asking.spec) else longest_read(asking.task, asking.spec, encoder)
    together = _TOGETHER if all(isinstance(question, str) for question in questions) else 1

    def call(first: int) -> list[Numbers]:
        chosen = dict(enumerate(questions[first : first + together], first))
        batch, places = crowd(chosen, NUM_NEIGHBOURS + 1, seed=first, long=long, odd=odd)
        answers = asking.answers(batch)
        return [answers[place] for place in places]

    with ThreadPoolExecutor(_CALLS_AT_ONCE) as threads:
        calls = threads.map(call, range(0, len(questions), together))
        found = _watched(context, calls, total=2 * len(questions), before=len(questions), each=together)
        return [numbers for answers in found for numbers in answers]


def _goes_on(spec: ModelSpec) -> bool:
    return head_of(spec) == "continuations"


def _numbers(answers: Sequence[JsonValue], task: Task, spec: ModelSpec) -> Numbers:
    """All rows of all texts, `(rows, values)`, of answers in wire form."""
    return _one([numbers for answer in answers for numbers in task.read(answer, spec)])


def _reading(served: Sequence[JsonValue], trained: Sequence[JsonValue], task: Task) -> JsonObject:
    """The task's figures of the texts that were read in such calls, of what is served and of the trained model."""
    found: JsonObject = {}
    for before, answers in (("", served), ("trained_", trained)):
        rows = [row for answer in answers for row in cast("list[JsonValue]", answer)]
        quality = task.quality(rows, [""] * len(rows), ())
        found |= {before + name: quality.get(name) for name in ("accuracy", "perplexity", "bits_per_byte")}
    return found


def _is_read(spec: ModelSpec) -> bool:
    """Whether its answers say how likely the texts are: one that is asked for its task is judged by what it writes."""
    return _goes_on(spec) and spec.prompt is None


def _one(answers: Sequence[Numbers]) -> Numbers:
    """All rows of all texts, `(rows, values)`."""
    return np.concatenate(answers)


def _watched(context: JobContext, items: Iterator[T] | Sequence[T], *, total: int, before: int = 0, each: int = 1) -> Iterator[T]:
    """The items one after the other, of `each` rows, while nobody gives the job up; tells how many of `total` rows are done."""
    for number, item in enumerate(items, 1):
        context.progress.check_cancelled()
        yield item
        context.progress.report(min(before + number * each, total), total, {})


@contextmanager
def _client(context: JobContext) -> Iterator[Hanlin]:
    """The real client, with a key of its own."""
    with (
        private_endpoints.key(context.platform, context.principal, owner=context.job.id) as secret,
        Hanlin(context.server_url, secret, timeout=_TIMEOUT_S, max_retries=8) as client,
    ):
        yield client
