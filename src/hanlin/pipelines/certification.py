"""The certificate: held-out rows replayed through the real serving path, compared with the trained model.

The variant is deployed on a private endpoint, loaded by a real worker, called over HTTP by the real client: each row
alone, and each row among 31 odd neighbours. The trained model (torch, fp32) answers the same rows in this process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

import hanlin
from hanlin.client import Hanlin, Prediction
from hanlin.compression.judge import FP32_TOLERANCE, MIN_AGREEMENT, NUM_NEIGHBOURS
from hanlin.control import private_endpoints
from hanlin.datasets import Split, read_split
from hanlin.errors import Conflict
from hanlin.pipelines.base import JobContext
from hanlin.pipelines.data import dataset_folder
from hanlin.pipelines.lineage import code_version, machine
from hanlin.pipelines.odd_texts import neighbours, plain_texts
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.tasks.metrics import wilson_interval
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject, utc_now

T = TypeVar("T")
Scores = npt.NDArray[np.float64]  # (rows, labels), probabilities in the order of the labels

ROWS = 200
_CALLS_AT_ONCE = 4
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
    def of(cls, served: npt.NDArray[np.float64], trained: npt.NDArray[np.float64]) -> Comparison:
        """Both `(rows, labels)`, probabilities."""
        gap = np.abs(served - trained)
        same = served.argmax(axis=1) == trained.argmax(axis=1)
        return cls(float(same.mean()), float(gap.max()), float(gap.mean()), wilson_interval(int(same.sum()), len(same)))

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {
            "label_agreement": self.agreement,
            "label_agreement_interval": list(self.interval),
            "max_score_difference": self.max_difference,
            "mean_score_difference": self.mean_difference,
        }


def certify(context: JobContext, version: ModelVersion, variant: str, *, dataset: DatasetVersion | None, rows: int = ROWS) -> JsonObject:
    """Makes and stores the certificate; its report.

    Args:
        context: the job.
        version: the candidate.
        variant: which form of it is replayed.
        dataset: whose test rows are replayed; None replays plain sentences (*agreement only*).
        rows: how many.

    Raises:
        Conflict: `certificate_failed` when the answers differ too much; the failed certificate is stored all the same.
        EngineFailed and others: the variant does not load or does not answer.
    """
    platform = context.platform
    folder = platform.registry.materialize(version, platform.artifact_cache, variants=(variant,))
    spec = ModelSpec.load(folder)
    texts = _held_out(context, dataset, rows)
    context.progress.message("certifying", variant=variant, version=str(version), rows=len(texts))
    trained = _trained_answers(folder, texts, spec, threads=context.threads)
    began_s = time.monotonic()
    check = context.progress.check_cancelled
    private = private_endpoints.serving(platform, context.principal, version, variant, owner=context.job.id, check=check)
    with private as endpoint, _client(context) as client:
        alone = _scores([_answer(client, endpoint, [text])[0] for text in _watched(context, texts)], spec)
        crowded = _among_neighbours(context, client, endpoint, texts, spec)
    tolerance = declared_tolerance(context, version, variant)
    compared = {"alone": Comparison.of(alone, trained), "neighbours": Comparison.of(crowded, trained)}
    worst = min(compared.values(), key=lambda item: item.agreement)
    is_passed = all(item.agreement >= tolerance.agreement and item.max_difference <= tolerance.difference for item in compared.values())
    report: JsonObject = {
        "rows": len(texts), "variant": variant, "engine": variant.rpartition("-")[0], "precision": variant.rpartition("-")[2],
        "label_agreement": worst.agreement, "label_agreement_interval": list(worst.interval),
        "max_score_difference": max(item.max_difference for item in compared.values()),
        "tolerance": {"label_agreement": tolerance.agreement, "max_score_difference": tolerance.difference},
        "alone": compared["alone"].to_json(),
        "neighbours": {**compared["neighbours"].to_json(), "count": NUM_NEIGHBOURS},
        "alone_to_neighbours": float(np.abs(alone - crowded).max()), "is_passed": is_passed, "is_agreement_only": dataset is None,
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


def _held_out(context: JobContext, dataset: DatasetVersion | None, rows: int) -> list[str]:
    """Test rows in stored order, then validation rows where there are too few."""
    if dataset is None:
        return plain_texts(rows)
    folder = dataset_folder(context, dataset)
    texts: list[str] = []
    for split in ("test", "validation"):
        if len(texts) < rows:
            texts += read_split(folder, split).texts
    return texts[:rows]


def _trained_answers(folder: Path, texts: list[str], spec: ModelSpec, *, threads: int) -> Scores:
    from hanlin.training.evaluation import evaluate

    return evaluate(folder, Split(texts, [spec.labels[0]] * len(texts)), threads=threads).probabilities


def _among_neighbours(context: JobContext, client: Hanlin, endpoint: str, texts: Sequence[str], spec: ModelSpec) -> Scores:
    """Each row once more among odd neighbours of its own, at a changing place; several such batches are in flight at once."""

    def call(row: int) -> Prediction:
        batch, place = neighbours(NUM_NEIGHBOURS, seed=row), 7 * row % (NUM_NEIGHBOURS + 1)
        batch.insert(place, texts[row])
        return _answer(client, endpoint, batch)[place]

    with ThreadPoolExecutor(_CALLS_AT_ONCE) as threads:
        return _scores(list(_watched(context, threads.map(call, range(len(texts))))), spec)


def _answer(client: Hanlin, endpoint: str, texts: list[str]) -> list[Prediction]:
    return client.classify(endpoint, texts, truncate=True)


def _scores(predictions: Sequence[Prediction], spec: ModelSpec) -> Scores:
    """`(rows, labels)` in the order of the spec."""
    rows = [{item.label: item.score for item in prediction} for prediction in predictions]
    return np.array([[row[label] for label in spec.labels] for row in rows], dtype=np.float64)


def _watched(context: JobContext, items: Iterator[T] | Sequence[T]) -> Iterator[T]:
    for item in items:
        context.progress.check_cancelled()
        yield item


@contextmanager
def _client(context: JobContext) -> Iterator[Hanlin]:
    """The real client, with a key of its own."""
    with (
        private_endpoints.key(context.platform, context.principal, owner=context.job.id) as secret,
        Hanlin(context.server_url, secret, timeout=60.0, max_retries=8) as client,
    ):
        yield client
