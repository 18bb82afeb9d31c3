"""A platform small enough to know by heart."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.console.scribe import Scribe

from hanlin.console.views import (
    CertificateView,
    CurveView,
    EndpointSettings,
    EndpointView,
    JobEventView,
    JobView,
    LabelScores,
    MetricsView,
    ModelView,
    VariantView,
    VersionView,
)
from hanlin.console.views_data import DatasetVersionView, DatasetView, DownloadView, Found, LabelRows, Place
from hanlin.console.views_play import Prediction, Tell, WritingCall
from hanlin.errors import HanlinError, NotFound, Unauthenticated
from hanlin.messages.said import Said
from hanlin.types import JsonObject, KeyId, Principal, TeamId

KEY = "hl_" + "k" * 43
START = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
PICTURE = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 320"><style>text{font:14px sans-serif;fill:#665}


@media (prefers-color-scheme:dark){text{fill:#cba}}</style><path d="M60 20V280H700" fill="none" stroke="#a98"/>
<circle cx="180" cy="60" r="6" fill="#2f4f86"/><circle cx="420" cy="70" r="6" fill="#2f4f86"/>
<circle cx="610" cy="80" r="8" fill="#ad2e1d"/>
<text x="190" y="52">torch-fp32</text><text x="560" y="66">openvino-int8</text></svg>"""


OVER = Said("points_lost", {"points": "0.81", "budget": "0.5"})


def make_variant(
    name: str,
    quality: tuple[float, ...],
    cost: tuple[float, ...],
    *,
    is_chosen: bool = False,
    status: str = "ok",
    reason: Said | None = None,
) -> VariantView:
    p50, p99, rows, memory, size = cost
    return VariantView(name, is_chosen, status, reason, *quality, p50, p99, rows, int(memory * 1e6), int(size * 1e6))


def make_version(number: int, **changes: object) -> VersionView:
    metrics = MetricsView(
        "accuracy",
        0.8512,
        (0.8341, 0.8674),
        0.8507,
        0.0213,
        (LabelScores("neg", 0.846, 0.861, 0.853, 871), LabelScores("pos", 0.857, 0.842, 0.849, 866)),
        ((750, 121), (137, 729)),
    )
    variants = (
        make_variant("torch-fp32", (0.8533, 0.0, 0.8512), (5.91, 8.4, 410, 412, 9.31)),
        make_variant("onnxruntime-int8", (0.8452, 0.81, 0.8437), (1.32, 1.9, 980, 121, 2.4), status="over budget", reason=OVER),
        make_variant("openvino-bf16", (0.8531, 0.02, 0.8509), (1.71, 2.6, 1720, 164, 9.3)),
        make_variant("openvino-int8", (0.8528, 0.05, 0.8506), (1.44, 2.1, 2310, 133, 2.41), is_chosen=True),
    )
    lineage = (("dataset", "reviews-zh:1"), ("dataset_digest", "11" * 32), ("model", "lstm"), ("seed", "0"), ("code_version", "0.1.0"))
    certificate = CertificateView("openvino-int8", True, START, 200, 0.995, 0.0123, 0.05, (0.972, 0.9991))
    version = VersionView(
        "sentiment-zh",
        number,
        "published",
        "text-classification",
        labels=("neg", "pos"),
        metrics=metrics,
        created_at=START,
        published_at=START,
        lineage=lineage,
        variants=variants,
        certificates=(certificate,),
        pictures=("pareto", "curve"),
        budget=0.5,
        target="throughput",
        curve=CurveView(True, "accuracy", 0.8411, 0.8598),
    )
    return replace(version, **changes)  # type: ignore[arg-type]


FEW = Said("few_test_rows", {"rows": 61, "points": "1.6"})


def make_dataset() -> DatasetView:
    """`reviews-zh`: version 2 with every kind of trouble, version 1 clean and small."""
    found = (
        Found("duplicates", 41),
        Found("conflicts", 3, (Place("hotels.csv", 12), Place("hotels.csv", 40))),
        Found("leaks", 2, (Place("hotels.csv", 77, "test", Place("films.csv", 9, "train")),)),
        Found("bad_rows", 1, (Place("films.csv", 5, problem=(("en", "the text is missing"), ("zh", "缺少文本"))),)),
    )
    whole = DatasetVersionView(
        "reviews-zh", 2, "text-classification", "9f2c61d0" * 8, START, 12_000, 12_049, (9600, 1200, 1200),
        (LabelRows("pos", (6000, 700, 700)), LabelRows("neg", (3600, 500, 500))),
        (("p5", 4), ("p50", 31), ("p95", 210), ("p99", 480), ("max", 2100)), found, 7,
        facts=(("format", "csv"), ("encoding", "gb18030"), ("language", "zh"), ("split", "80/10/10")),
        trained=(VersionView("sentiment-zh", 2, "published", metrics=MetricsView("accuracy", 0.8512), created_at=START),),
    )  # fmt: skip
    small = DatasetVersionView("reviews-zh", 1, "text-classification", "11" * 32, START, 600, 600, (480, 59, 61), warnings=(FEW,))
    return DatasetView("reviews-zh", "text-classification", (whole, small))


BATCH: JsonObject = {
    "endpoint": "sentiment", "total": 12_000, "completed": 11_999, "failed": 1, "errors": None,
    "output": {"id": "file-1", "path": "rows.results.jsonl", "sha256": "0" * 64, "size_bytes": 10},
}  # fmt: skip
RESULTS = b'{"row":1}\n'


class FakePort:
    """Everything the pages ask for, from memory. `steps` says how far the running job is; tests move it on."""

    def __init__(self) -> None:
        self.principal = Principal(TeamId("default"), KeyId("key-1"), frozenset({"read", "write", "predict"}))
        self.is_revoked = False
        self.steps = 12
        self.has_ended = False
        self.asked: list[str] = []
        self.failure: HanlinError | None = None
        self.answer: Prediction | None = None
        self.told: list[bytes] = []  # of what is written, where a test says so
        other = make_version(3, model="sentiment-en", labels=("negative", "positive"), certificates=())
        self.models = [
            ModelView(
                "sentiment-zh",
                "text-classification",
                (("production", 2), ("staging", 2)),
                (make_version(2), make_version(1, state="candidate", variants=())),
            ),
            ModelView("sentiment-en", "text-classification", (), (other,)),
        ]
        self.datasets = [make_dataset()]
        self.endpoints = [
            EndpointView("sentiment", "ready", "text-classification", "sentiment-zh", 2, "openvino-int8", 2, {}, ("neg", "pos"), ("zh",)),
            EndpointView("reviews", "starting", "text-classification", "sentiment-en", 3, "openvino-bf16", languages=("en",)),
        ]
        self.job = JobView(
            "job-7",
            "train",
            "running",
            "sentiment-zh",
            0,
            400,
            config={"model": "lstm", "dataset": "reviews-zh:1"},
            created_at=START,
            started_at=datetime.now(UTC) - timedelta(seconds=94),
        )
        self.jobs = [
            JobView(
                "job-6",
                "compress",
                "succeeded",
                "sentiment-zh:2",
                result={"model": "sentiment-zh", "version": 2},
                created_at=START,
                started_at=START,
                ended_at=START + timedelta(seconds=141),
            ),
            JobView("job-4", "batch", "succeeded", "sentiment", result=BATCH, created_at=START, started_at=START, ended_at=START),
            JobView(
                "job-5",
                "ingest",
                "failed",
                "reviews-zh",
                error={"message": "row 7 has no label", "next": "Correct it."},
                created_at=START,
                started_at=START,
                ended_at=START + timedelta(seconds=3),
            ),
        ]

    def add_writers(self) -> None:
        """`muse` and `endless` read talks, `poet` does not."""
        for name, talks in (("muse", True), ("endless", True), ("poet", False)):
            self.endpoints.append(EndpointView(name, "ready", "text-generation", "muse", 1, "torch-fp32", talks=talks))

    @functools.cached_property
    def scribe(self) -> Scribe:
        """Answers for whatever writes."""
        return Scribe()

    def authenticate(self, key: str) -> Principal:
        if key != KEY or self.is_revoked:
            raise Unauthenticated("console_signed_out")
        return self.principal

    def resume(self, key_id: KeyId) -> Principal:
        if key_id != self.principal.key_id or self.is_revoked:
            raise Unauthenticated("console_signed_out")
        return self.principal

    def list_models(self, principal: Principal) -> Sequence[ModelView]:
        principal.require("read")
        return self.models

    def get_model(self, principal: Principal, name: str) -> ModelView:
        return self._find(self.models, name)

    def list_datasets(self, principal: Principal) -> Sequence[DatasetView]:
        return self.datasets

    def get_dataset(self, principal: Principal, name: str) -> DatasetView:
        return self._find(self.datasets, name)

    def list_endpoints(self, principal: Principal) -> Sequence[EndpointView]:
        return self.endpoints

    def get_endpoint(self, principal: Principal, name: str) -> EndpointView:
        return self._find(self.endpoints, name)

    def configure_endpoint(self, principal: Principal, name: str, settings: EndpointSettings) -> bool:
        principal.require("write")
        now = self._find(self.endpoints, name)
        self.endpoints[self.endpoints.index(now)] = replace(now, settings=settings)
        return now.settings.isolation != settings.isolation

    def list_jobs(self, principal: Principal, limit: int) -> Sequence[JobView]:
        return [self._running(), *self.jobs][:limit]

    def get_job(self, principal: Principal, job_id: str) -> JobView:
        return next((job for job in [self._running(), *self.jobs] if job.id == job_id), None) or self._missing()

    def job_events(self, principal: Principal, job_id: str, after: int) -> Sequence[JobEventView]:
        return [_event(seq) for seq in range(1, self.steps + 1) if seq > after]

    def job_file(self, principal: Principal, job_id: str, which: str) -> DownloadView:
        found = self.get_job(principal, job_id).result.get(which)
        return DownloadView("rows.results.jsonl", len(RESULTS), io.BytesIO(RESULTS)) if found else self._missing()

    def picture(self, principal: Principal, model: str, version: int, name: str, language: str) -> bytes:
        return PICTURE if name in {"pareto", "curve"} else self._missing()

    def card(self, principal: Principal, model: str, version: int, language: str) -> str:
        return "# sentiment-zh\n\nReads reviews.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<script>alert(1)</script> ![x](https://example.org/x.png)"

    async def classify(
        self, principal: Principal, endpoint: str, text: str, language: str, *, query: str = "", pair: str = ""
    ) -> Prediction:
        self.asked += [text, pair] if pair else [text]
        if self.answer is not None:
            return self.answer
        if self.failure:
            raise self.failure
        score = 0.5 + 0.45 * math.sin(len(text))
        ranked = sorted([("neg", 1 - score), ("pos", score)], key=lambda item: -item[1])
        return Prediction(tuple(ranked), "sentiment-zh", 2, "openvino-int8", 0.1, 0.2, 1.4)

    async def write(self, principal: Principal, call: WritingCall, *, language: str, tell: Tell) -> None:
        if self.failure:
            raise self.failure
        if self.told:
            for event in self.told:
                await tell(event)
            return
        await self.scribe.write(principal, call, language=language, tell=tell)

    def _running(self) -> JobView:
        return replace(self.job, step=self.steps * 4, state="succeeded" if self.has_ended else "running")

    def _find(self, items: Sequence[object], name: str):
        return next((item for item in items if getattr(item, "name", "") == name), None) or self._missing()

    def _missing(self):
        raise NotFound("console_page_missing")


def _event(seq: int) -> JobEventView:
    loss = 0.7 * math.exp(-seq / 30) + 0.18 + 0.02 * math.sin(seq * 1.7)
    metrics = [("loss", loss), ("rows_per_s", 840 + 20 * math.sin(seq))]
    if seq % 5 == 0:
        metrics += [("validation_loss", loss + 0.06), ("validation_accuracy", 0.86 - 0.3 * math.exp(-seq / 20))]
    return JobEventView(seq, "progress", seq * 4, 400, tuple(metrics))
