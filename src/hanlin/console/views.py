"""What pages show: frozen values that come through `port.py`.

Times are UTC; scores lie in 0..1; every text may be foreign and is never safe HTML.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hanlin.jobs.values import ENDED
from hanlin.messages.said import Said
from hanlin.training.search.report import SearchReport
from hanlin.types import Isolation, JsonObject, LongText, is_name


@dataclass(frozen=True, slots=True)
class LabelScores:
    """How one label fares on the test rows."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class MetricsView:
    """The stored evaluation of a version. `confusion[gold][predicted]` counts rows, in the order of `per_class`; `more` are the task's
    other figures by name."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    macro_f1: float | None = None
    ece: float | None = None
    per_class: tuple[LabelScores, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    more: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class VariantView:
    """One runnable form with its measured evidence; None where it was not measured."""

    variant: str
    is_chosen: bool
    status: str = "ok"
    reason: Said | None = None
    validation: float | None = None
    drop_points: float | None = None
    test: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    rows_per_s: float | None = None
    memory_bytes: int | None = None
    size_bytes: int | None = None
    perplexity: float | None = None
    mean_difference: float | None = None
    greedy_agreement: float | None = None
    task: tuple[str, float, float] | None = None  # its figure's name, value and points lost


@dataclass(frozen=True, slots=True)
class CertificateView:
    """The record that a variant answers like the trained model."""

    variant: str
    is_passed: bool
    created_at: datetime | None = None
    rows: int | None = None
    agreement: float | None = None
    max_difference: float | None = None
    tolerance: float | None = None
    agreement_interval: tuple[float, float] | None = None
    is_agreement_only: bool = False
    perplexity: float | None = None
    trained_perplexity: float | None = None
    mean_difference: float | None = None
    accuracy: float | None = None
    trained_accuracy: float | None = None
    greedy_agreement: float | None = None
    task: Mapping[str, str] = field(default_factory=dict)  # what was asked besides, by language


@dataclass(frozen=True, slots=True)
class CurveView:
    """Why the curve may end elsewhere than the version's headline: it shows the network alone, on validation rows.

    Attributes:
        is_widened: whether a linear road was put beside the network after its last step.
        network, whole: `metric` of the network alone and of both together on those rows; None where it was not kept.
    """

    is_widened: bool
    metric: str = ""
    network: float | None = None
    whole: float | None = None


@dataclass(frozen=True, slots=True)
class VersionView:
    """One immutable release of a model. `warnings` qualify its metrics, `search_warnings` its compression report."""

    model: str
    number: int
    state: str
    task: str = ""
    is_base: bool = False
    labels: tuple[str, ...] = ()
    metrics: MetricsView | None = None
    created_at: datetime | None = None
    published_at: datetime | None = None
    lineage: tuple[tuple[str, str], ...] = ()
    variants: tuple[VariantView, ...] = ()
    certificates: tuple[CertificateView, ...] = ()
    pictures: tuple[str, ...] = ()
    budget: float | None = None
    target: str = ""
    max_kl: float | None = None
    min_greedy_agreement: float | None = None
    task_asked: Mapping[str, str] = field(default_factory=dict)  # besides, in its compression, by language
    warnings: tuple[Said, ...] = ()
    search_warnings: tuple[Said, ...] = ()
    curve: CurveView | None = None

    @property
    def chosen(self) -> VariantView | None:
        """The variant that deployments take when none is named."""
        return next((item for item in self.variants if item.is_chosen), None)

    @property
    def dataset(self) -> tuple[str, int] | None:
        """The dataset version that its lineage names."""
        name, _, number = dict(self.lineage).get("dataset", "").partition(":")
        return (name, int(number)) if is_name(name) and number.isascii() and number.isdigit() and len(number) < 10 else None

    @property
    def is_measured(self) -> bool:
        """Whether a compression has compared variants."""
        return any(item.p50_ms is not None or item.validation is not None for item in self.variants)


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model with its versions, newest first."""

    name: str
    task: str
    aliases: tuple[tuple[str, int], ...] = ()
    versions: tuple[VersionView, ...] = ()

    @property
    def newest(self) -> VersionView | None:
        """The version with the highest number."""
        return self.versions[0] if self.versions else None


@dataclass(frozen=True, slots=True)
class SideView:
    """What one of two compared versions did meanwhile; times in milliseconds, None without calls."""

    is_tried: bool
    calls: int = 0
    failed: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    labels: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TrialView:
    """A version that is tried beside the one that serves, or was last and was taken back for a reason."""

    role: str
    weight: int
    model: str
    version: int
    variant: str
    state: str
    reason: Mapping[str, str] = field(default_factory=dict)  # by language
    sides: tuple[SideView, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What an endpoint is told about itself, as `hanlin deploy`, `scale` and `endpoint set` tell it.

    Attributes:
        isolation: whether a replica has a worker process of its own.
        min_replicas, max_replicas: loaded copies, as load asks for; at least 0: it sleeps while it is not used.
        idle_s: with a minimum of 0: it sleeps after so long without a call; 0: when others need the memory.
        cache_ttl_s: seconds for which answers are kept; 0 keeps none.
    """

    isolation: Isolation = "own"
    min_replicas: int = 1
    max_replicas: int = 1
    idle_s: int = 0
    long_text: LongText = "refuse"
    cache_ttl_s: int = 0


@dataclass(frozen=True, slots=True)
class EndpointView:
    """A public name and what answers behind it."""

    name: str
    state: str
    task: str = ""
    model: str = ""
    version: int | None = None
    variant: str = ""
    replicas: int = 1
    reason: Mapping[str, str] = field(default_factory=dict)  # why it does not serve, by language; empty when all is well
    labels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    settings: EndpointSettings = field(default_factory=EndpointSettings)
    trial: TrialView | None = None
    talks: bool | None = None  # whether its model reads talks; None while it is not loaded
    pairs: bool = False  # whether its model, as far as is known, judges a text beside another


@dataclass(frozen=True, slots=True)
class JobView:
    """Queued work and how far it is."""

    id: str
    kind: str
    state: str
    subject: str = ""
    step: int = 0
    total: int = 0
    said: Said | None = None
    metrics: tuple[tuple[str, float], ...] = ()
    attempt: int = 1
    config: JsonObject = field(default_factory=dict)
    result: JsonObject = field(default_factory=dict)
    error: JsonObject = field(default_factory=dict)
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    @property
    def result_files(self) -> tuple[tuple[str, str], ...]:
        """What a batch made: `output` and `errors`, as far as there are any, with the names of the files."""
        found = [(which, self.result.get(which)) for which in ("output", "errors")]
        return tuple((which, str(file.get("path"))) for which, file in found if isinstance(file, dict))

    @property
    def result_version(self) -> tuple[str, int] | None:
        """The model version that this job made, if it made one."""
        name, number = self.result.get("model"), self.result.get("version")
        return (name, number) if isinstance(name, str) and isinstance(number, int) else None

    @property
    def study(self) -> SearchReport | None:
        """The trials of a search, as far as they have come."""
        found = self.result.get("study")
        with contextlib.suppress(KeyError, TypeError):  # of an older form
            return SearchReport.from_json(found) if isinstance(found, dict) else None
        return None

    @property
    def result_dataset(self) -> tuple[str, int] | None:
        """The dataset version that this job read in, if it did."""
        name, number = self.result.get("dataset"), self.result.get("version")
        if self.kind in {"ingest", "check"} and isinstance(name, str) and is_name(name) and isinstance(number, int):
            return name, number
        return None


@dataclass(frozen=True, slots=True)
class JobEventView:
    """One line of a job's story, numbered from 1."""

    seq: int
    kind: str
    step: int = 0
    total: int = 0
    metrics: tuple[tuple[str, float], ...] = ()
    said: Said | None = None
