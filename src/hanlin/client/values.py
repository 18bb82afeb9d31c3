"""What the server answers, as frozen values. Unknown fields are ignored, so an older client reads a newer server."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from hanlin.client.value import JsonObject, Value, Warned
from hanlin.errors import NotFound
from hanlin.types import ModelRef

Aggregation = Literal["none", "simple", "first", "average", "max"]
JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class Task(Value):
    """One kind of NLP problem that the server knows."""

    name: str
    main_metric: str = ""
    columns: JsonValue = None
    example: JsonValue = None


class UploadedFile(Value):
    """A file whose bytes the server has."""

    path: str
    sha256: str
    size_bytes: int


class DatasetVersion(Value):
    """An immutable snapshot of examples."""

    number: int
    digest: str
    rows: int = 0
    created_at: datetime | None = None
    report: JsonObject = Field(default_factory=dict)


class DatasetCheck(Value):
    """What looking through a dataset version found; docs/honest-data.md names what stands in `found`."""

    name: str
    number: int
    found: JsonObject = Field(default_factory=dict)


class Dataset(Value):
    """A named table of examples for a task; versions newest first."""

    name: str
    task: str = ""
    versions: tuple[DatasetVersion, ...] = ()


class Variant(Value):
    """One runnable form (engine and precision) of a model version, with its evidence."""

    variant: str
    is_chosen: bool = False
    size_bytes: int | None = None
    evidence: JsonObject = Field(default_factory=dict)


class Certificate(Value):
    """The record that a variant answers like the trained model."""

    variant: str
    is_passed: bool
    report: JsonObject = Field(default_factory=dict)
    created_at: datetime | None = None


class ModelVersion(Value):
    """An immutable release of a model."""

    number: int
    state: str
    is_base: bool = False
    labels: tuple[str, ...] = ()
    metrics: JsonObject = Field(default_factory=dict)
    lineage: JsonObject = Field(default_factory=dict)
    created_at: datetime | None = None
    published_at: datetime | None = None
    variants: tuple[Variant, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    pictures: tuple[str, ...] = ()
    warnings: tuple[Warned, ...] = ()


class Model(Value):
    """A model name with its versions (newest first) and aliases."""

    name: str
    task: str = ""
    notes: str = ""
    aliases: dict[str, int] = Field(default_factory=dict)
    versions: tuple[ModelVersion, ...] = ()

    def version(self, reference: ModelRef | None = None) -> ModelVersion:
        """The version that `reference` names: its number, its alias, else the newest published one, else the newest.

        Raises:
            NotFound: `version_missing`.
        """
        reference = reference or ModelRef(self.name)
        number = self.aliases.get(reference.alias or "") if reference.alias else reference.version
        if number is not None or reference.alias:
            found = [version for version in self.versions if version.number == number]
        else:
            newest_first = sorted(self.versions, key=lambda version: version.number, reverse=True)
            found = [version for version in newest_first if version.state == "published"] or newest_first
        if not found:
            raise NotFound("version_missing", reference=str(reference))
        return found[0]


class Progress(Value):
    """How far a job is; `metrics` are the latest live figures."""

    step: int = 0
    total: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)


class Job(Value):
    """Queued work and what became of it."""

    id: str
    kind: str
    state: JobState
    attempt: int = 0
    config: JsonObject = Field(default_factory=dict)
    progress: Progress | None = None
    message: str | None = None
    said: JsonObject | None = None
    result: JsonValue = None
    error: JsonObject | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended, well or badly."""
        return self.state in ("succeeded", "failed", "cancelled")


class JobEvent(Value):
    """One line of a job's story: `progress` carries step, total and metrics; `message` carries words with code and params."""

    seq: int
    kind: str
    step: int = 0
    total: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    message: str = ""
    code: str = ""
    params: JsonObject = Field(default_factory=dict)


class Deployment(Value):
    """Declared desired state behind an endpoint, and its present state."""

    id: str
    endpoint: str
    model: str = ""
    version: int | str | None = None
    variant: str | None = None
    replicas: int = 1
    max_replicas: int = 1
    role: str = "live"
    weight: int = 0
    stats: JsonObject | None = None
    isolation: str = "own"
    idle_s: float = 0.0
    draft: str = ""
    state: str = "starting"
    reason: str | None = None
    said: JsonObject | None = None
    url: str | None = None
    created_at: datetime | None = None
    warnings: tuple[Warned, ...] = ()


class Rollback(Deployment):
    """What an endpoint shall serve after a rollback. `is_changed`: False when it had been rolled back already."""

    is_changed: bool = True


class Endpoint(Value):
    """A public name that answers requests.

    Attributes:
        isolation: `own`, a worker process for each replica, or `shared`, one together with other small models.
        idle_s: seconds without a call after which an endpoint of 0 replicas sleeps; 0: only when others need the memory.
        draft: the model that proposes tokens to this one; empty: none.
    """

    endpoint: str
    id: str | None = None
    task: str | None = None
    model: str | None = None
    version: int | str | None = None
    variant: str | None = None
    state: str | None = None
    labels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    replicas: int | None = None
    max_replicas: int | None = None
    isolation: str | None = None
    idle_s: float | None = None
    draft: str | None = None
    trial: Deployment | None = None
    reason: str | None = None
    said: JsonObject | None = None
    url: str | None = None
    long_text: str | None = None
    cache_ttl_s: int | None = None
    limits: JsonObject | None = None
    example: JsonValue = None


class Answer(Value):
    """An answer with what the server said about it.

    Attributes:
        value: as `predict` gives it.
        model: version and variant that answered, such as `sentiment:3 onnxruntime-int8`.
        truncated: indices of the texts that were cut because they were too long.
        windows: how many windows a text was read in, by its index; texts that fitted are not in it.
        times_ms: where the server's time went, by name (`queue`, `encode`, `engine`, …).
        is_cached: it was kept from an earlier call.
    """

    value: JsonValue
    model: str = ""
    truncated: tuple[int, ...] = ()
    windows: dict[int, int] = Field(default_factory=dict)
    times_ms: dict[str, float] = Field(default_factory=dict)
    is_cached: bool = False


class Key(Value):
    """An API credential; `secret` is present only in the answer that created it."""

    id: str
    name: str = ""
    scopes: tuple[str, ...] = ()
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    secret: str | None = Field(default=None, repr=False)
