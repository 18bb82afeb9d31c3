"""The evidence of a search: one row per variant, what was chosen and where it was measured; JSON out and in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal, cast

from hanlin.engines import REFERENCE
from hanlin.messages.said import Said
from hanlin.observe.machine import processor
from hanlin.tasks.few_rows import few_rows_for_budget, few_test_rows, stored
from hanlin.types import JsonObject, JsonValue

Target = Literal["throughput", "latency", "memory"]
TARGETS: tuple[Target, ...] = ("throughput", "latency", "memory")
Status = Literal["ok", "over budget", "failed"]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where figures were measured. `flags`: the vector units that decide which precision pays."""

    cpu: str
    cores: int
    threads: int
    flags: tuple[str, ...]

    @classmethod
    def here(cls, threads: int) -> Machine:
        """This machine."""
        found = processor()
        return cls(found.name, found.cores, threads, found.flags)


@dataclass(frozen=True, slots=True)
class VariantEvidence:
    """What was measured of one variant. None where it failed before that measurement.

    Attributes:
        reason: why it is not ok; stored in English, and as `said` for readers of any language.
        validation_metric, drop_points: main metric 0..1 on validation rows; points (hundredths) lost against torch-fp32.
        perplexity: a token, of all tokens of validation rows behind the first of each; None unless such rows are read.
        test_metric, test_interval: read once, never used for the choice.
        latency_p50_ms, latency_p99_ms: one row at a time, rows' own lengths.
        throughput_rows_s: serving order at the dataset's length mix.
        max_score_difference, mean_score_difference, label_agreement: against torch-fp32, on validation rows and, for the first, those given
            besides; of a language model the Kullback-Leibler divergence of what comes next, in nats.
        greedy_agreement: share of places of validation rows at which torch-fp32 finds the same token likeliest; None unless they are read.
        neighbour_difference: largest score change of a row when padded or among odd neighbours.
        tolerance: largest score difference that the certificate allows.
        task: of the task that is asked besides, if one is: `value` 0..1 of its figure on its validation rows with `interval`, and
            `drop_points` against torch-fp32.
    """

    variant: str
    status: Status
    reason: Said | None = None
    validation_metric: float | None = None
    drop_points: float | None = None
    test_metric: float | None = None
    test_interval: tuple[float, float] | None = None
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    throughput_rows_s: float | None = None
    memory_bytes: int | None = None
    size_bytes: int | None = None
    load_s: float | None = None
    max_score_difference: float | None = None
    label_agreement: float | None = None
    neighbour_difference: float | None = None
    tolerance: float | None = None
    batch_invariant: bool = True
    perplexity: float | None = None
    mean_score_difference: float | None = None
    greedy_agreement: float | None = None
    task: JsonObject | None = None

    def to_json(self) -> JsonObject:
        """The stored form, grouped for readers."""
        return {
            "variant": self.variant, "status": self.status,
            "reason": self.reason.text("en") if self.reason else "", "said": self.reason.to_json() if self.reason else None,
            "validation": {"metric": self.validation_metric, "drop_points": self.drop_points},
            "test": {"metric": self.test_metric, "interval": list(self.test_interval) if self.test_interval else None},
            "latency_ms": {"p50": self.latency_p50_ms, "p99": self.latency_p99_ms},
            "throughput_rows_s": self.throughput_rows_s, "memory_bytes": self.memory_bytes, "size_bytes": self.size_bytes,
            "load_s": self.load_s, "max_score_difference": self.max_score_difference, "label_agreement": self.label_agreement,
            "neighbour_difference": self.neighbour_difference, "tolerance": self.tolerance, "batch_invariant": self.batch_invariant,
            "perplexity": self.perplexity, "mean_score_difference": self.mean_score_difference, "greedy_agreement": self.greedy_agreement,
            "task": self.task,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: JsonObject) -> VariantEvidence:
        """The evidence that `to_json` wrote."""
        flat = dict(value)
        said = Said.from_json(flat.pop("said", None))
        validation, test, latency = (cast("JsonObject", flat.pop(name)) for name in ("validation", "test", "latency_ms"))
        interval = cast("list[float] | None", test["interval"])
        flat.pop("reason")
        return cls(
            **flat,  # type: ignore[arg-type]  # our own JSON
            reason=said,
            validation_metric=cast("float | None", validation["metric"]), drop_points=cast("float | None", validation["drop_points"]),
            test_metric=cast("float | None", test["metric"]), test_interval=(interval[0], interval[1]) if interval else None,
            latency_p50_ms=cast("float | None", latency["p50"]), latency_p99_ms=cast("float | None", latency["p99"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CompressionReport:
    """The outcome of a search. `budget` in points of `metric` on validation rows; `max_kl`, `min_greedy_agreement` as `Bounds` has them.

    `task`: what was asked besides: `task`, `model`, `dataset`, `metric`, `rows`, `budget` in points.
    """

    target: Target
    budget: float
    metric: str
    chosen: str
    machine: Machine
    variants: tuple[VariantEvidence, ...]
    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    reference: str = REFERENCE
    max_kl: float | None = None
    min_greedy_agreement: float | None = None
    task: JsonObject | None = None

    @property
    def is_reference_kept(self) -> bool:
        """Whether nothing beat the trained model within the budget."""
        return self.chosen == self.reference

    def of(self, variant: str) -> VariantEvidence:
        """The evidence of one variant."""
        return next(row for row in self.variants if row.variant == variant)

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {
            "target": self.target, "budget": self.budget, "metric": self.metric, "reference": self.reference, "chosen": self.chosen,
            "is_reference_kept": self.is_reference_kept,
            "machine": cast("JsonObject", asdict(self.machine) | {"flags": list(self.machine.flags)}),
            "rows": cast("JsonObject", dict(self.rows)), "seconds": self.seconds, "variants": [row.to_json() for row in self.variants],
            "warnings": self._warnings(), "max_kl": self.max_kl, "min_greedy_agreement": self.min_greedy_agreement, "task": self.task,
        }  # fmt: skip

    def _warnings(self) -> list[JsonValue]:
        """What is said where the rows are too few to judge on."""
        found = []
        if (rows := self.rows.get("validation")) is not None:
            found.append(few_rows_for_budget(rows, self.budget))
        if (rows := self.rows.get("test")) is not None:
            found.append(few_test_rows(rows))
        return stored(*found)

    @classmethod
    def from_json(cls, value: JsonObject) -> CompressionReport:
        """The report that `to_json` wrote."""
        flat = dict(value)
        flat.pop("is_reference_kept")
        flat.pop("warnings", None)
        machine = cast("dict[str, object]", flat.pop("machine"))
        rows = cast("list[JsonObject]", flat.pop("variants"))
        return cls(
            **flat,  # type: ignore[arg-type]  # our own JSON
            machine=Machine(**machine | {"flags": tuple(cast("list[str]", machine["flags"]))}),  # type: ignore[arg-type]
            variants=tuple(VariantEvidence.from_json(row) for row in rows),
        )
