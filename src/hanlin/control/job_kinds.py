"""What a job of each kind must be told: strict, complete, defaults filled in. One class a kind.

A job is checked here when it is submitted, so that a wrong word fails at once and not an hour later; `pipelines/`
receives the checked form. Knows nothing of how a job is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from hanlin.control.field_problems import field_error
from hanlin.errors import HanlinError, InvalidInput
from hanlin.jobs.values import Lane
from hanlin.settings import Settings
from hanlin.tasks.names import canonical
from hanlin.types import JsonObject, ModelRef, check_name, is_digest, shorten

_DATASET_REF = re.compile(r"[^:]+(:[0-9]{1,9})?")
_PART = re.compile(r"[^/\\\x00-\x1f\x7f]{1,200}")
_Model = TypeVar("_Model", bound=BaseModel)
BatchUrl = Literal[  # of the lines of a batch
    "/v1/embeddings", "/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/moderations", "/v1/rerank"
]  # fmt: skip


def _dataset_name(text: str) -> str:
    return check_name(text, kind="dataset")


def _model_name(text: str) -> str:
    return check_name(text, kind="model")


def _endpoint_name(text: str) -> str:
    return check_name(text, kind="endpoint")


def _model_ref(text: str) -> str:
    return str(ModelRef.parse(text))


def _dataset_ref(text: str) -> str:
    if not _DATASET_REF.fullmatch(text):
        raise InvalidInput("invalid_dataset_reference", reference=shorten(text))
    check_name(text.partition(":")[0], kind="dataset")
    return text


def _path(text: str) -> str:
    """A relative path of plain parts; anything that could leave its folder is refused."""
    parts = text.split("/")
    if len(text) > 400 or any(not _PART.fullmatch(part) or part in {".", ".."} for part in parts) or ":" in parts[0]:
        raise InvalidInput("invalid_file_path", path=shorten(text))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput("invalid_file_path", path=shorten(text)) from error
    return text


def _digest(text: str) -> str:
    if not is_digest(text):
        raise InvalidInput("invalid_digest", digest=shorten(text, 64))
    return text


TaskName = Annotated[str, AfterValidator(canonical)]
NewDataset = Annotated[str, AfterValidator(_dataset_name)]
NewModel = Annotated[str, AfterValidator(_model_name)]
ModelName = Annotated[str, AfterValidator(_model_ref)]
TrainedModel = Annotated[
    str, Field(min_length=1, max_length=140, description="a network of our own (lstm, gru, rnn, transformer), or a model to fine-tune")
]
EndpointName = Annotated[str, AfterValidator(_endpoint_name)]
DatasetName = Annotated[str, AfterValidator(_dataset_ref)]
Label = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class FileItem(_Strict):
    """One uploaded file: the name it had, and the digest under which its bytes were put."""

    path: Annotated[str, AfterValidator(_path)]
    sha256: Annotated[str, AfterValidator(_digest)]
    size_bytes: int = Field(ge=0)


class JobKind(_Strict):
    """What every kind says of itself."""

    kind: ClassVar[str]
    lane: ClassVar[Lane] = "heavy"
    filled: ClassVar[Mapping[str, str]] = MappingProxyType({})  # fields that a setting fills, by its name, where the job leaves them out

    def completed(self, settings: Settings) -> Self:
        """With what the settings say in the place of what was left out."""
        left_out = {name: value for name, value in self.filled.items() if getattr(self, name) is None}
        return self.model_copy(update={name: getattr(settings, value) for name, value in left_out.items()})


class Ingest(JobKind):
    """Files become a dataset version."""

    kind = "ingest"
    lane = "data"
    dataset: NewDataset
    task: TaskName = "text-classification"
    files: list[FileItem] = Field(min_length=1, max_length=10_000)
    options: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="format, encoding, text, label, columns, separator, split, leaks, bad_bytes; what is left out is found out",
    )


class Train(JobKind):
    """A dataset version becomes a model version."""

    kind = "train"
    task: TaskName = "text-classification"
    dataset: DatasetName
    model: TrainedModel
    name: NewModel
    seed: int = Field(0, ge=0, lt=2**31)
    options: dict[str, JsonValue] = Field(default_factory=dict, description="fields of the training configuration")
    vectors: FileItem | None = Field(None, description="uploaded word vectors (word2vec or fastText text file) to start from")
    raw_text: FileItem | None = Field(None, description="uploaded text file, one text a line, to learn word vectors from")
    publish: bool = True
    force: bool = False


class Tune(Train):
    """Trainings with other options are tried on the validation rows, and the best becomes a model version."""

    kind = "tune"
    options: dict[str, JsonValue] = Field(default_factory=dict, description="fields of the training configuration that every trial has")
    space: dict[str, JsonValue] | None = Field(
        None, description="options to search: by name {min, max} with step or log, or {choices}; null searches what usually matters"
    )
    trials: int = Field(20, ge=1, le=500)
    time_s: float | None = Field(None, gt=0, le=30 * 86_400.0, description="time after which no further trial begins")
    parallel: int = Field(1, ge=1, le=16, description="trials at a time; they share the threads")
    pruner: Literal["asha", "hyperband", "none"] = Field("asha", description="which trials end early")


class FineTune(JobKind):
    """A file of examples becomes a model that answers at once, as `/v1/fine_tuning/jobs` asks for it."""

    kind = "fine-tune"
    task: TaskName = "text-classification"
    model: TrainedModel
    name: NewModel = Field(description="of the dataset, the model and the endpoint that are made")
    training_file: FileItem
    validation_file: FileItem | None = None
    seed: int = Field(0, ge=0, lt=2**31)
    options: dict[str, JsonValue] = Field(default_factory=dict, description="fields of the training configuration")
    file_ids: list[Annotated[str, Field(max_length=100)]] = Field(default_factory=list, max_length=2)
    hyperparameters: dict[Literal["n_epochs", "batch_size", "learning_rate_multiplier", "beta"], float | None] = Field(default_factory=dict)
    method: Literal["supervised", "dpo"] = "supervised"
    suffix: str = Field("", max_length=64)
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] = Field(default_factory=dict, max_length=16)


class Check(JobKind):
    """A dataset version is looked through: near-twins, leaks between splits, label-noise suspects, lengths, languages."""

    kind = "check"
    lane = "light"
    dataset: DatasetName
    model: ModelName | None = Field(None, description="whose tokenizer and longest text count; null: characters of Chinese and words")
    likeness: float = Field(0.7, ge=0.5, le=1, description="from which on two texts are near-twins: shared shingles over all (Jaccard)")


class Evaluate(JobKind):
    """A model version is measured on a dataset's test rows."""

    kind = "evaluate"
    lane = "light"
    model: ModelName
    dataset: DatasetName | None = None


class Import(JobKind):
    """An uploaded model folder becomes a model version."""

    kind = "import"
    lane = "light"
    name: NewModel
    task: TaskName = "text-classification"
    files: list[FileItem] = Field(min_length=1, max_length=1_000)
    rows: DatasetName | None = Field(None, description="dataset whose test rows certify the import")
    labels: list[Label] | None = Field(None, min_length=2, max_length=1_000)
    base: ModelName | None = Field(None, description="model version that the folder, an adapter of peft's, stands on")
    publish: bool = True


class Examining(JobKind):
    """A job that may ask variants of a network that writes to do a task besides, on a dataset's rows, for the task's own figure."""

    model: ModelName
    task_model: ModelName | None = Field(None, description="version that is asked for it by prompts, of the same weights; else `model`")
    task_dataset: DatasetName | None = Field(None, description="dataset of that task; left out beside `task_model`: the one it names")
    task_rows: int | None = Field(None, ge=1, le=10_000, description="most rows of it that are written; left out: 40")

    @model_validator(mode="after")
    def _has_task_for_options(self) -> Self:
        for name in ("task_rows", "task_budget"):
            if getattr(self, name, None) is not None and (self.task_model or self.task_dataset) is None:
                raise InvalidInput("task_option_alone", option=name)
        return self


class Compress(Examining):
    """Variants of a version are made, measured, and the best within the budget is chosen."""

    kind = "compress"
    filled = MappingProxyType({"rows": "compression_rows"})
    dataset: DatasetName | None = None
    budget: float = Field(0.5, ge=0, le=100, description="points of the main metric, on validation rows")
    max_kl: float | None = Field(None, ge=0, le=1, description="mean KL of the next token, nats; of models whose texts are read; else 0.05")
    min_greedy_agreement: float | None = Field(None, ge=0, le=1, description="least share of the same likeliest token, of such models")
    task_budget: float | None = Field(None, ge=0, le=100, description="points of the task's figure that may be lost; left out: any")
    target: Literal["throughput", "latency", "memory"] = "throughput"
    variants: list[str] | None = Field(None, min_length=1, max_length=32)
    rows: int | None = Field(None, ge=1, le=10_000, description="most rows that judge; left out: the setting `compression_rows`")
    keep_losers: bool = False
    publish: bool = True
    force: bool = False


class Certify(Examining):
    """A variant's answers through the real serving path are compared with the trained model's."""

    kind = "certify"
    lane = "light"
    filled = MappingProxyType({"rows": "certificate_rows"})
    variant: str | None = Field(None, max_length=64)
    dataset: DatasetName | None = None
    rows: int | None = Field(None, ge=1, le=10_000, description="how many are replayed; left out: the setting `certificate_rows`")


class Batch(JobKind):
    """An endpoint answers every row of an uploaded file, in the gaps that all other calls leave."""

    kind = "batch"
    lane = "batch"
    endpoint: EndpointName | None = Field(None, description="who answers")
    url: BatchUrl | None = Field(None, description="instead of an endpoint: the file has lines of requests as `/v1/batches` does")
    file: FileItem
    format: Literal["", "jsonl", "json", "csv", "tsv", "parquet"] = Field("", description="form of the file; empty finds it out")
    text: str = Field("", max_length=1000, description="header of the text column; empty finds it out")
    id: str = Field("", max_length=1000, description="header of a column that is repeated beside each result; empty: none")
    parameters: dict[str, JsonValue] = Field(default_factory=dict, description="of every call, such as top_k")
    out_format: Literal["jsonl", "csv", "tsv", "parquet"] = Field("jsonl", description="form of the results")
    window_s: float = Field(7 * 86_400.0, gt=0, le=30 * 86_400.0, description="time after which rows that are not done are given up")
    language: Literal["en", "zh"] = Field("en", description="of the errors of rows")
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] = Field(default_factory=dict, max_length=16)

    @model_validator(mode="after")
    def _has_one_goal(self) -> Self:
        if (self.endpoint is None) == (self.url is None):
            raise InvalidInput("missing_field", name="endpoint")
        return self


JOB_KINDS: dict[str, type[JobKind]] = {
    model.kind: model for model in (Ingest, Check, Train, Tune, FineTune, Evaluate, Import, Compress, Certify, Batch)
}


def check_job(kind: str, config: JsonObject) -> JobKind:
    """The checked job with its defaults.

    Raises:
        InvalidInput: `unknown_job_kind`, `missing_field`, `unknown_field`, `wrong_field_type` or `invalid_job_config` (naming the
            field), or the field's own error.
    """
    if kind not in JOB_KINDS:
        raise InvalidInput("unknown_job_kind", kind=shorten(kind), choices=", ".join(sorted(JOB_KINDS)))
    return parse_strictly(JOB_KINDS[kind], config)


def parse_strictly(model: type[_Model], value: object) -> _Model:
    """`value` as `model`; the first thing wrong becomes our own error, without echoing what was sent."""
    try:
        return model.model_validate(value)
    except HanlinError:
        raise
    except ValidationError as error:
        raise field_error(error.errors(include_url=False, include_input=False), model, otherwise="invalid_job_config") from error
