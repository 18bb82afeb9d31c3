"""Settings: defaults, then a TOML file (`HANLIN_CONFIG` or `<home>/hanlin.toml`), then `HANLIN_*` variables.

A bad or unknown value stops the start. Every field is documented in `docs/settings.md`, which a test holds complete.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from hanlin.errors import InvalidInput
from hanlin.home import home_folder, settled
from hanlin.types import MAX_IDLE_S, Isolation, Pinning, nearest, shorten

# Variables the client reads; they are not settings of the server.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
CLIENT_VARIABLES = frozenset({"HANLIN_URL", "HANLIN_KEY", "HANLIN_CONFIG", "HANLIN_LANG"})


def _listed(value: object) -> object:
    """`a, b` of a variable as a list; a list of a file as it is."""
    return tuple(filter(None, re.split(r"[\s,]+", value))) if isinstance(value, str) else value


class Settings(BaseModel):
    """All settings of a server. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(default_factory=lambda: Path.home() / ".hanlin", description="folder of the database, artifacts, run files and logs")
    host: str = Field("127.0.0.1", description="address the gateway listens on")
    port: int = Field(8000, ge=0, le=65535, description="port of the gateway")
    grpc_port: int | None = Field(
        None, ge=-1, le=65535, description="port of gRPC; left out: the one after `port`; 0: a free one; -1: no gRPC"
    )
    gateways: int = Field(1, ge=1, le=64, description="gateway processes at the one port")
    database_url: str = Field("", description="SQLAlchemy URL; empty means SQLite in the home folder")
    blobs_url: str = Field("", description="where artifacts live (file path or s3://bucket/prefix); empty means the home folder")
    threads: int = Field(0, ge=0, le=256, description="threads of one engine; 0 means all cores")
    engine_streams: int = Field(
        0, ge=0, le=256, description="steps of one model on OpenVINO side by side, which share its threads; 0: as many as threads"
    )
    engine_pinning: Pinning = Field(
        "auto", description="threads of OpenVINO are bound to cores: `on`, `off`, or `auto`: those of a model that has all cores"
    )
    max_body_bytes: int = Field(8 * 2**20, ge=1024, description="largest request body of the inference API")
    max_header_bytes: int = Field(32 * 2**10, ge=4096, description="largest request head")
    max_items: int = Field(256, ge=1, description="texts in one request")
    max_text_bytes: int = Field(1 * 2**20, ge=16, description="size of one text in UTF-8")
    max_batch_tokens: int = Field(4096, ge=16, description="token budget of one engine step, padding included")
    max_queue_tokens: int = Field(65_536, ge=16, description="tokens that may wait in front of one replica; the last eighth: of new keys")
    max_queue_wait_s: float = Field(0.1, gt=0, description="expected wait beyond which a key with many calls waiting is refused more")
    max_concurrency: int = Field(1024, ge=1, description="calls in flight in one gateway; the gateways together take that many each")
    response_cache_bytes: int = Field(32 * 2**20, ge=0, description="memory of one gateway for answers of endpoints that keep them")
    default_endpoint: str = Field("", description="endpoint of calls that name none; empty means the team's only one for the task")
    moderation_endpoint: str = Field("", description="classifier behind `/v1/moderations`; empty means that there is none")
    moderation_labels: str = Field("", description="labels of it that are harmful, with commas between them")
    moderation_threshold: float = Field(0.5, gt=0, le=1, description="score from which on such a label counts")
    request_timeout_s: float = Field(30.0, gt=0, description="deadline of a call that names none")
    stream_timeout_s: float = Field(600.0, gt=0, description="deadline of a call that names none and is told in parts")
    stream_ping_s: float = Field(15.0, gt=0, description="silence of a stream after which a comment is sent, also before its first part")
    stream_buffer_bytes: int = Field(
        256 * 2**10, ge=1024, description="what a caller who does not read may let wait of a stream; beyond that the call is given up"
    )
    header_timeout_s: float = Field(10.0, gt=0, description="time to receive a request head")
    body_timeout_s: float = Field(30.0, gt=0, description="time to receive a request body")
    write_timeout_s: float = Field(30.0, gt=0, description="time that a caller who does not read may hold an answer")
    drain_timeout_s: float = Field(10.0, gt=0, description="time for calls in flight to end at shutdown")
    pre_stop_s: float = Field(0.5, ge=0, le=600, description="time between not being ready and taking no more connections, at shutdown")
    scale_up_after_s: float = Field(3.0, gt=0, description="an endpoint that lacks replicas for this long gets one more, up to its maximum")
    scale_down_after_s: float = Field(60.0, gt=0, description="an endpoint with one replica too many for this long loses it")
    trial_min_calls: int = Field(100, ge=10, description="calls on each side before a canary or shadow is judged")
    trial_max_error_points: float = Field(2.0, ge=0, le=100, description="failed calls of a trial, in percentage points above what serves")
    trial_max_latency_ratio: float = Field(2.0, gt=1, description="95th percentile of a trial's latency, as a multiple of what serves")
    trial_max_label_drift: float = Field(0.2, gt=0, le=1, description="share of answers by which a trial's label counts may differ")
    worker_start_timeout_s: float = Field(120.0, gt=0, description="time for a worker to load its model")
    isolation: Isolation = Field("own", description="`own` worker process or `shared` ones, where a deployment does not say")
    memory_budget_bytes: int = Field(0, ge=0, description="memory of all loaded models; 0 means 60 % of the machine's")
    spare_worker: bool = Field(True, description="keep a worker process ready for the next model (about 60 MB)")
    worker_hang_s: float = Field(10.0, ge=0, description="a worker that stands still this long is ended and replaced; 0: never")
    worker_confinement: Literal["required", "available", "off"] = Field(
        "available", description="protections of workers: all or none start, those that the kernel has, or none"
    )
    worker_memory_bytes: int = Field(
        0, ge=0, description="most memory of its own that one worker may hold; 0: 4 GiB and 8 times its weights"
    )
    vllm_python: Path | None = Field(
        None, description="Python of the environment where `hanlin[vllm]` is installed; workers of vllm run on it, and are not confined"
    )
    vllm_memory_share: float = Field(
        0.92, gt=0, le=0.98, description="of a graphics processor's memory, that one model on vllm takes; those measured together share it"
    )
    certificate_rows: int = Field(200, ge=1, le=10_000, description="rows that a certificate replays, where its job does not say how many")
    compression_rows: int = Field(10_000, ge=1, le=10_000, description="rows at most that a compression judges on, where its job says none")
    job_lease_s: float = Field(15.0, gt=1, description="a job whose runner is silent for this long is taken over")
    job_memory_bytes: int = Field(0, ge=0, description="memory of one job; 0 means three quarters of the machine's")
    max_upload_bytes: int = Field(8 * 2**30, ge=1, description="largest uploaded blob")
    upload_ttl_s: float = Field(86_400.0, gt=0, description="an unfinished upload is removed after this time")
    max_batch_rows: int = Field(10_000_000, ge=1, description="rows of one batch")
    max_batch_file_bytes: int = Field(2 * 2**30, ge=1024, description="largest file of a batch")
    max_files: int = Field(10_000, ge=1, description="files that a team may keep, those that batches made included")
    file_ttl_s: float = Field(30 * 86_400.0, gt=0, description="files of batches, results included, are removed after this time")
    response_ttl_s: float = Field(
        30 * 86_400.0, ge=0, description="responses that are stored are removed so long after their talk's last turn; 0: none is stored"
    )
    max_response_bytes: int = Field(2 * 2**20, ge=1024, description="what one call of `/v1/responses` may send to be stored, as JSON")
    max_responses: int = Field(10_000, ge=1, description="responses that are stored of a team; of more the oldest go")
    max_responses_bytes: int = Field(256 * 2**20, ge=2**20, description="size of all that are stored of a team; beyond it the oldest go")
    max_fine_tuned: int = Field(64, ge=1, description="endpoints of fine-tunings through `/v1/fine_tuning/jobs` that a team may have")
    fine_tuned_idle_s: float = Field(
        600.0,
        ge=0,
        le=MAX_IDLE_S,
        description="such an endpoint sleeps after this time without a call; 0: only when others need the memory",
    )
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), max_length=100, description="origins whose web pages may read answers, such as `https://app.example`; with commas between"
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least severe line that is logged")

    @field_validator("engine_streams")
    @classmethod
    def _have_a_thread_each(cls, value: int, info: ValidationInfo) -> int:
        if value > (most := _threads(int(info.data.get("threads", 0)))):
            raise ValueError(f"of {most} threads there are at most {most} streams: write 0 to {most}, or raise HANLIN_THREADS")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{shorten(origin)} is not an origin: write https://HOST or https://HOST:PORT, in lower case, nothing behind it"
                )
        return value

    @field_validator("vllm_python")
    @classmethod
    def _is_python(cls, value: Path | None) -> Path | None:
        if value is not None and not (value.is_absolute() and value.is_file() and os.access(value, os.X_OK)):
            raise ValueError("it is no whole path of a program that may be run")
        return value

    @property
    def pythons(self) -> Mapping[str, Path]:
        """Where engines live in an environment of their own: its Python, by engine."""
        return {} if self.vllm_python is None else {"vllm": self.vllm_python}

    @property
    def harmful_labels(self) -> frozenset[str]:
        """Labels of the moderation endpoint that are harmful."""
        return frozenset(label.strip() for label in self.moderation_labels.split(",") if label.strip())

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.home / 'hanlin.db'}"

    @property
    def blobs(self) -> str:
        """The artifact URL in force."""
        return self.blobs_url or str(self.home / "blobs")

    @property
    def wanted_grpc_port(self) -> int | None:
        """The port of gRPC: 0 means a free one, None that there is no gRPC."""
        if self.grpc_port is not None:
            return None if self.grpc_port < 0 else self.grpc_port
        return self.port + 1 if 0 < self.port < 65535 else 0

    @property
    def engine_threads(self) -> int:
        """Threads of one engine: the setting, or the cores this process may use."""
        return _threads(self.threads)


def _threads(wanted: int) -> int:
    """So many, or for 0 as many as the cores this process may use."""
    return wanted or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else wanted or os.cpu_count() or 1


def load_settings(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Settings in force; `overrides` that are not None win.

    Raises:
        InvalidInput: `invalid_setting`, naming the setting and what would be right.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    home = settled(str(overrides["home"])) if overrides.get("home") else home_folder(environ)
    path = Path(environ["HANLIN_CONFIG"]) if environ.get("HANLIN_CONFIG") else home / "hanlin.toml"
    if path.is_file():
        try:
            values.update(tomllib.loads(path.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidInput("invalid_setting", name=path.name, problem=str(error)[:200]) from error
    elif environ.get("HANLIN_CONFIG"):
        raise InvalidInput("invalid_setting", name="HANLIN_CONFIG", problem="the file does not exist")
    for name, value in environ.items():
        if name.startswith("HANLIN_") and name not in CLIENT_VARIABLES:
            values[name.removeprefix("HANLIN_").lower()] = value
    values.update({name: value for name, value in overrides.items() if value is not None})
    if isinstance(values.get("home", ""), str | Path):  # anything else is told to be wrong
        values["home"] = home
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            raise _unknown(str(first["loc"][0]), environ) from error
        raise InvalidInput("invalid_setting", name=".".join(map(str, first["loc"])), problem=str(first["msg"])[:200]) from error


def _unknown(name: str, environ: Mapping[str, str]) -> InvalidInput:
    """A setting that is none, with the nearest that is one: as variables where it was given as one."""
    near = nearest(name, Settings.model_fields)
    if is_variable := f"HANLIN_{name.upper()}" in environ:
        name, near = f"HANLIN_{name.upper()}", f"HANLIN_{near.upper()}"
    return InvalidInput("unknown_setting", name=name if is_variable else shorten(name), near=near)
