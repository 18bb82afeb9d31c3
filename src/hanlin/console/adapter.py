"""The console's port over `control/` and the dataplane: asks, and turns their values into the pages' views. Scopes are checked there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from hanlin.compression.pictures import pareto_svg
from hanlin.compression.report import CompressionReport
from hanlin.console import answers, reading
from hanlin.console.reading_data import read_dataset_version
from hanlin.console.views import EndpointSettings, EndpointView, JobEventView, JobView, ModelView, VariantView, VersionView
from hanlin.console.views_data import DatasetView, DownloadView
from hanlin.console.views_play import Prediction, Tell, WritingCall
from hanlin.console.words import LANGUAGES
from hanlin.console.writing import write
from hanlin.control import datasets, deployments, files, jobs, models
from hanlin.control.platform import Platform
from hanlin.control.values import DatasetView as ControlDataset
from hanlin.control.values import EndpointView as ControlEndpoint
from hanlin.control.values import ModelView as ControlModel
from hanlin.control.values import VersionView as ControlVersion
from hanlin.errors import NotFound
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.streaming import Streams
from hanlin.jobs.values import Job, JobEvent
from hanlin.messages.said import Said
from hanlin.registry.values import ModelVersion, Variant
from hanlin.tasks import TASKS
from hanlin.types import JsonObject, KeyId, Principal, subject_of


class PlatformPort:
    """See `ConsolePort`.

    Args:
        platform: the home's database, registry, jobs and accounts.
        dataplane: the inference path of this process.
        streams: answers that it tells in parts; None: nobody else asks after them.
    """

    def __init__(self, platform: Platform, dataplane: Dataplane, streams: Streams | None = None) -> None:
        self._platform = platform
        self._dataplane = dataplane
        self._streams = streams or Streams(platform.settings)

    def authenticate(self, key: str) -> Principal:
        """Who holds this key. Raises Unauthenticated."""
        return self._platform.accounts.authenticate(f"Bearer {key}")

    def resume(self, key_id: KeyId) -> Principal:
        """Who holds the key of this id, now. Raises Unauthenticated."""
        return self._platform.accounts.resume(key_id)

    def list_models(self, principal: Principal) -> Sequence[ModelView]:
        """Every model of the team."""
        return [_model(item) for item in models.list_models(self._platform, principal)]

    def get_model(self, principal: Principal, name: str) -> ModelView:
        """One model with all its versions. Raises NotFound."""
        return _model(models.get_model(self._platform, principal, name))

    def list_datasets(self, principal: Principal) -> Sequence[DatasetView]:
        """Every dataset of the team."""
        return self._datasets(principal, datasets.list_datasets(self._platform, principal))

    def get_dataset(self, principal: Principal, name: str) -> DatasetView:
        """One dataset with all its versions. Raises NotFound."""
        return self._datasets(principal, [datasets.get_dataset(self._platform, principal, name)])[0]

    def _datasets(self, principal: Principal, items: Sequence[ControlDataset]) -> list[DatasetView]:
        made = datasets.made_of(self._platform, principal, [version for item in items for version in item.versions])
        views = {name: [_release(version) for version in reversed(versions)] for name, versions in made.items()}
        return [
            DatasetView(item.name, item.task, tuple(read_dataset_version(version, views[str(version)]) for version in item.versions))
            for item in items
        ]

    def list_endpoints(self, principal: Principal) -> Sequence[EndpointView]:
        """Every endpoint of the team."""
        return [self._seen(principal, _endpoint(item)) for item in deployments.list_endpoints(self._platform, principal)]

    def get_endpoint(self, principal: Principal, name: str) -> EndpointView:
        """One endpoint. Raises NotFound."""
        return self._seen(principal, _endpoint(deployments.get_endpoint(self._platform, principal, name)))

    def configure_endpoint(self, principal: Principal, name: str, settings: EndpointSettings) -> bool:
        """Changes what differs; where the model lives is a new deployment of the same version. See `ConsolePort`."""
        found = deployments.get_endpoint(self._platform, principal, name)
        now, wanted = reading.read_settings(found), found.wanted
        low, high = settings.min_replicas, settings.max_replicas
        is_restarted = (now.isolation, now.idle_s) != (settings.isolation, settings.idle_s)
        if is_restarted:
            deployments.deploy(
                self._platform, principal, model=f"{wanted.model}:{wanted.version}", endpoint=name, variant=wanted.variant, replicas=low,
                max_replicas=high, isolation=settings.isolation, idle_s=settings.idle_s,
            )  # fmt: skip
        elif (now.min_replicas, now.max_replicas) != (low, high):
            deployments.scale(self._platform, principal, name, min_replicas=low, max_replicas=high)
        if (now.long_text, now.cache_ttl_s) != (settings.long_text, settings.cache_ttl_s):
            deployments.update_endpoint(self._platform, principal, name, long_text=settings.long_text, cache_ttl_s=settings.cache_ttl_s)
        return is_restarted

    def _seen(self, principal: Principal, item: EndpointView) -> EndpointView:
        """With what only the loaded model tells; without, while it is not loaded."""
        try:
            info = self._dataplane.find(principal, item.name).info
        except NotFound:
            return item
        if info is None:
            return item
        return replace(item, languages=info.languages, talks=info.talks, pairs=info.pairs and info.task not in answers.ASKS)

    def list_jobs(self, principal: Principal, limit: int) -> Sequence[JobView]:
        """The newest jobs first."""
        return [_job(item) for item in jobs.list_jobs(self._platform, principal, limit=limit)]

    def get_job(self, principal: Principal, job_id: str) -> JobView:
        """One job. Raises NotFound."""
        return _job(jobs.get_job(self._platform, principal, job_id))

    def job_events(self, principal: Principal, job_id: str, after: int) -> Sequence[JobEventView]:
        """Events after number `after`, in order; the end is seen from the job's state."""
        found = jobs.events(self._platform, principal, job_id, after=after)
        return [_event(item) for item in found]

    def job_file(self, principal: Principal, job_id: str, which: str) -> DownloadView:
        """The results or errors of a batch. Raises NotFound."""
        found = (jobs.get_job(self._platform, principal, job_id).result or {}).get(which)
        if not isinstance(found, dict):
            raise NotFound("console_page_missing")
        file = files.get_file(self._platform, principal, str(found["id"]))
        return DownloadView(file.name, file.size_bytes, files.open_file(self._platform, principal, file.id))

    def picture(self, principal: Principal, model: str, version: int, name: str, language: str) -> bytes:
        """The SVG called `name` in the reader's language; the compression report is drawn anew. Raises NotFound."""
        if name == "pareto":
            found = models.get_model(self._platform, principal, model)
            report = next((_report(item) for item in found.versions if item.version.number == version), {})
            if report:
                return pareto_svg(CompressionReport.from_json(report), language=language).encode()
        return models.picture(self._platform, principal, model, version, name, language=language)

    def card(self, principal: Principal, model: str, version: int, language: str) -> str:
        """The model card in Markdown."""
        return models.card(self._platform, principal, model, version, language=language)

    async def classify(
        self, principal: Principal, endpoint: str, text: str, language: str, *, query: str = "", pair: str = ""
    ) -> Prediction:
        """One text through the very path that every other caller takes."""
        info = self._dataplane.find(principal, endpoint).info
        task = info.task if info is not None else ""
        inputs, parameters = answers.question(task, text, query, pair)
        timeout_s = self._platform.settings.request_timeout_s
        outcome = await self._dataplane.predict(
            principal, endpoint, inputs, parameters, timeout_s=timeout_s, language=language, request_id=f"console-{uuid4().hex}"
        )
        model, _, number = outcome.version.partition(":")
        version = int(number) if number.isdigit() else None
        said = Prediction(
            (), model, version, outcome.variant, outcome.queue_ms, outcome.encode_ms, outcome.engine_ms,
            is_truncated=bool(outcome.truncated), num_windows=outcome.windows[0][1] if outcome.windows else 1,
        )  # fmt: skip
        return replace(said, **answers.shown(task, outcome.body, text, inputs))

    async def write(self, principal: Principal, call: WritingCall, *, language: str, tell: Tell) -> None:
        """What the model writes, told as it comes. See `ConsolePort`."""
        await write(self._dataplane, self._streams, principal, call, language=language, tell=tell)


def _model(item: ControlModel) -> ModelView:
    aliases = tuple((alias.name, alias.number) for alias in item.aliases)
    return ModelView(item.name, item.task, aliases, tuple(_version(version) for version in item.versions))


def figures_of(task: str) -> tuple[str, ...]:
    """Names of a task's figures, the main one first; none of a task whose plug-in is gone."""
    if task not in TASKS.names():
        return ()
    found = TASKS.get(task)
    return (found.main_metric, *found.figures)


def _release(version: ModelVersion) -> VersionView:
    """A version by name, without what hangs on it."""
    metrics = reading.read_metrics(version.metrics, figures_of(version.task))
    return VersionView(version.model, version.number, version.state, version.task, metrics=metrics, created_at=version.created_at)


def _version(item: ControlVersion) -> VersionView:
    version = item.version
    certificates = tuple(
        reading.read_certificate(one.variant, one.report, is_passed=one.is_passed, created_at=one.created_at) for one in item.certificates
    )
    evidence = [one.evidence for one in item.variants]
    return VersionView(
        model=version.model,
        number=version.number,
        state=version.state,
        task=version.task,
        is_base=version.is_base,
        labels=version.labels,
        metrics=reading.read_metrics(version.metrics, figures_of(version.task)),
        created_at=version.created_at,
        published_at=version.published_at,
        lineage=reading.read_lineage(version.lineage),
        variants=tuple(_variant(one) for one in item.variants),
        certificates=certificates,
        pictures=tuple({*item.pictures, "pareto"} if _report(item) else item.pictures),
        budget=reading.first_real(evidence, "budget"),
        max_kl=reading.first_real(evidence, "max_kl"),
        min_greedy_agreement=reading.first_real(evidence, "min_greedy_agreement"),
        warnings=_warnings(version),
        search_warnings=tuple(said for said in reading.read_warnings(_report(item)) if said.code != "few_test_rows"),  # told already
        task_asked=reading.read_asked(_report(item)),
        curve=reading.read_curve(version.lineage),
        target=next((words for one in evidence if (words := reading.text(one, "target"))), ""),
    )


def _warnings(version: ModelVersion) -> tuple[Said, ...]:
    """What qualifies the figures of a version, as the command line tells it, and what its import had to assume."""
    is_assumed = reading.child(version.lineage, "head").get("is_assumed") is True
    found = reading.read_warnings(reading.child(version.metrics, "test") or version.metrics)
    return (*found, Said("pooling_assumed")) if is_assumed else found


def _report(item: ControlVersion) -> JsonObject:
    """The whole compression report, which the chosen variant's evidence carries; empty when there is none."""
    reports = (reading.child(one.evidence, "report") for one in item.variants)
    return next((report for report in reports if report), {})


def _variant(item: Variant) -> VariantView:
    size_bytes = sum(file.size_bytes for file in item.manifest.files) if item.manifest else None
    return reading.read_variant(item.variant, item.evidence, is_chosen=item.is_chosen, size_bytes=size_bytes)


def _endpoint(item: ControlEndpoint) -> EndpointView:
    """What answers now; what is wanted where nothing answers yet. A wish that failed beside it is named as the reason."""
    shown = item.serving or item.wanted
    told = item.wanted if item.wanted.state == "failed" else shown
    reason = {language: told.reason_in(language) for language in LANGUAGES} if told.reason else {}
    return EndpointView(
        item.name, shown.state, shown.task, shown.model, shown.version, shown.variant, shown.replicas, reason, labels=item.labels,
        settings=reading.read_settings(item),
        trial=reading.read_trial(item.trial) if item.trial else None,
    )  # fmt: skip


def _job(item: Job) -> JobView:
    return JobView(
        id=item.id,
        kind=item.kind,
        state=item.state,
        subject=subject_of(item.kind, item.config),
        step=item.progress.step,
        total=item.progress.total,
        said=item.said,
        metrics=reading.read_figures(item.progress.metrics),
        attempt=item.attempt,
        config=item.config,
        result=item.result or {},
        error=item.error or {},
        created_at=item.created_at,
        started_at=item.started_at,
        ended_at=item.ended_at,
    )


def _event(item: JobEvent) -> JobEventView:
    data = item.data
    figures = reading.read_figures(reading.child(data, "metrics"))
    step, total = reading.whole(data, "step") or 0, reading.whole(data, "total") or 0
    return JobEventView(item.number, item.kind, step, total, figures, Said.from_json(data))
