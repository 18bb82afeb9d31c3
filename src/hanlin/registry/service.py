"""The registry's one door. Every method is one short transaction; bytes are stored before their record is made.

So a crash leaves at worst blobs without a record, which `collect_garbage` removes; never a record without its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hanlin.errors import InvalidInput, NotFound
from hanlin.registry.card import write_card
from hanlin.registry.datasets import DatasetRecords
from hanlin.registry.models import ModelRecords
from hanlin.registry.values import Alias, Certificate, Dataset, DatasetVersion, Model, ModelVersion, Variant
from hanlin.registry.versions import VersionRecords
from hanlin.storage.blobs import BlobStore
from hanlin.storage.database import Database
from hanlin.storage.manifest import Manifest, materialize
from hanlin.tasks.spec import DRAFT_FOLDER
from hanlin.types import JobId, JsonObject, ModelRef, TeamId


class Registry:
    """Datasets, models, versions, variants, certificates, aliases and cards of all teams.

    Any method may raise NotFound (`not_found`): another team's thing looks exactly like no thing.
    """

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self.database = database
        self.blobs = blobs
        self._datasets = DatasetRecords(database)
        self._models = ModelRecords(database)
        self._versions = VersionRecords(database)

    def create_dataset_version(self, team_id: TeamId, name: str, task: str, manifest: Manifest, report: JsonObject) -> DatasetVersion:
        """A new version; or the one that has these very bytes already.

        Raises:
            InvalidInput: `invalid_name`.
            Conflict: `task_mismatch` when the name belongs to another task.
        """
        return self._datasets.create_version(team_id, name, task, manifest, report)

    def resolve_dataset(self, team_id: TeamId, reference: str) -> DatasetVersion:
        """`name` (newest) or `name:3`. Raises InvalidInput (`invalid_dataset_reference`) or NotFound."""
        return self._datasets.resolve(team_id, reference)

    def get_dataset(self, team_id: TeamId, name: str) -> Dataset:
        """A dataset with all versions, newest first."""
        return self._datasets.get(team_id, name)

    def list_datasets(self, team_id: TeamId) -> list[Dataset]:
        """All datasets, by name."""
        return self._datasets.list(team_id)

    def keep_check(self, version: DatasetVersion, found: JsonObject) -> None:
        """What looking through a dataset version found, instead of what was found before. Raises NotFound when it is gone."""
        self._datasets.keep_check(version, found)

    def made_of(self, team_id: TeamId, versions: Iterable[DatasetVersion]) -> dict[str, tuple[ModelVersion, ...]]:
        """The model versions that were trained on these dataset versions, by `name:number`, oldest first."""
        return self._datasets.made_of(team_id, versions)

    def delete_dataset(
        self, team_id: TeamId, name: str, number: int | None = None, *, is_forced: bool = False, actor: str = "system"
    ) -> None:
        """Removes one version, whose number is never given again, or (None) the whole dataset. `collect_garbage` frees the files.

        Raises:
            Conflict: `in_use` while a job needs it; `dataset_in_lineage`, naming the model versions made of it, unless `is_forced`.
        """
        self._datasets.delete(team_id, name, number, is_forced=is_forced, actor=actor)

    def create_version(
        self,
        team_id: TeamId,
        name: str,
        task: str,
        *,
        manifest: Manifest,
        lineage: JsonObject,
        metrics: JsonObject,
        labels: tuple[str, ...],
        is_base: bool = False,
        notes: str = "",
        fingerprint: str = "",
        job_id: JobId | None = None,
    ) -> ModelVersion:
        """A new candidate. A job that asks again (after a crash) gets the version it made, not a second one.

        Args:
            team_id: whose.
            name: the model; made when new.
            task: the model's task.
            manifest: its files; their blobs must be stored already.
            lineage: where it comes from, see `ModelVersion`.
            metrics: the task's metrics on the test rows.
            labels: in the order of the outputs.
            is_base: it may be published without a certificate, as a base for fine-tuning.
            notes: the model's first notes.
            fingerprint: names the request that made it, for `find_by_request`; taken from `lineage["request"]` when empty.
            job_id: the job that made it.

        Raises:
            InvalidInput: `invalid_name`, `notes_too_long`.
            Conflict: `task_mismatch`.
        """
        return self._models.create(
            team_id, name, task, manifest=manifest, lineage=lineage, metrics=metrics, labels=labels, is_base=is_base, notes=notes,
            fingerprint=fingerprint, job_id=job_id,
        )  # fmt: skip

    def find_by_request(self, team_id: TeamId, name: str, fingerprint: str) -> ModelVersion | None:
        """The newest version of the model that a request with this fingerprint made, or None."""
        return self._models.find(team_id, name, fingerprint)

    def list_versions(self, team_id: TeamId, name: str) -> list[ModelVersion]:
        """All versions of a model, newest first."""
        return list(self.get_model(team_id, name).versions)

    def add_variant(
        self, version: ModelVersion, variant: str, manifest: Manifest | None, evidence: JsonObject, *, is_chosen: bool = False
    ) -> Variant:
        """Appends a variant, or replaces the one of this name; new bytes lose the old certificate.

        Args:
            version: what it is a form of.
            variant: such as `openvino-int8`.
            manifest: its own files below `variants/`; None when it runs from the version's.
            evidence: what was measured.
            is_chosen: it becomes the one that is deployed unless another is named.
        """
        return self._versions.add_variant(version, variant, manifest, evidence, is_chosen=is_chosen)

    def choose_variant(self, version: ModelVersion, variant: str) -> Variant:
        """Makes an existing variant the chosen one."""
        return self._versions.choose(version, variant)

    def list_variants(self, version: ModelVersion) -> list[Variant]:
        """All variants, the chosen one first."""
        return self._versions.variants(version)

    def add_certificate(self, version: ModelVersion, variant: str, report: JsonObject, *, is_passed: bool) -> ModelVersion:
        """Appends a certificate; a passed one for the chosen variant makes a candidate certified, a failed one undoes that."""
        return self._versions.add_certificate(version, variant, report, is_passed=is_passed)

    def list_certificates(self, version: ModelVersion) -> list[Certificate]:
        """All certificates, newest first."""
        return self._versions.certificates(version)

    def is_certified(self, version: ModelVersion, variant: str) -> bool:
        """Whether the newest certificate about this variant's present bytes was passed."""
        return self._versions.is_certified(version, variant)

    def publish(self, version: ModelVersion, *, actor: str = "system") -> ModelVersion:
        """Makes the version public within its team.

        Raises:
            Conflict: `not_certified` unless its chosen variant has a passed certificate or it is a base; `already_published`.
        """
        return self._versions.publish(version, actor=actor)

    def set_alias(self, team_id: TeamId, name: str, alias: str, number: int, *, actor: str = "system") -> Alias:
        """Makes or moves an alias. Raises Conflict (`version_not_published`)."""
        return self._models.set_alias(team_id, name, alias, number, actor=actor)

    def delete_alias(self, team_id: TeamId, name: str, alias: str, *, actor: str = "system") -> None:
        """Removes an alias; endpoints that were deployed by it go on."""
        self._models.delete_alias(team_id, name, alias, actor=actor)

    def resolve(self, team_id: TeamId, reference: ModelRef) -> ModelVersion:
        """The version meant: by number in any state, by alias, or the newest published one. Raises NotFound."""
        return self._models.resolve(team_id, reference)

    def list_models(self, team_id: TeamId) -> list[Model]:
        """All models, by name."""
        return self._models.list(team_id)

    def get_model(self, team_id: TeamId, name: str) -> Model:
        """A model with aliases and all versions."""
        return self._models.get(team_id, name)

    def set_notes(self, team_id: TeamId, name: str, notes: str) -> None:
        """Replaces the model's notes (Markdown). Raises InvalidInput (`notes_too_long`)."""
        self._models.set_notes(team_id, name, notes)

    def delete_version(self, version: ModelVersion, *, actor: str = "system", is_unpublished_only: bool = False) -> None:
        """Removes the record; its number is never given again.

        Raises:
            Conflict: `in_use`, naming the user; with `is_unpublished_only` also `already_published`, be it published this instant.
        """
        self._models.delete(version, actor=actor, is_unpublished_only=is_unpublished_only)

    def delete_model(self, team_id: TeamId, name: str, *, actor: str = "system") -> None:
        """Removes the model with all its versions; its name is free again. Raises Conflict (`in_use`), nothing being removed."""
        self._models.delete_model(team_id, name, actor=actor)

    def materialize(
        self, version: ModelVersion, cache: Path, *, variants: tuple[str, ...] | None = None, draft: tuple[ModelVersion, str] | None = None
    ) -> Path:  # fmt: skip
        """A verified folder below `cache`, named by digest, with the version's files and those of its variants.

        Args:
            version: what to lay out.
            cache: the folder of folders, such as `<home>/cache/artifacts`.
            variants: names to include; None takes all, `()` none.
            draft: a version and its variant whose files go into `draft/`.

        Raises:
            DataCorrupt: `artifact_corrupt`.
        """
        whole = self._files(version, variants)
        if draft is not None:
            whole = whole.merge(self._files(draft[0], (draft[1],)).below(DRAFT_FOLDER))
        return materialize(whole, self.blobs, cache / whole.digest)

    def _files(self, version: ModelVersion, variants: tuple[str, ...] | None) -> Manifest:
        whole = version.manifest
        for found in self.list_variants(version):
            if found.manifest is not None and (variants is None or found.variant in variants):
                whole = whole.merge(found.manifest)
        return whole

    def card(self, version: ModelVersion, *, language: str = "en") -> str:
        """The model card of a version in Markdown, with English (`en`) or Chinese (`zh`) headings."""
        model = self.get_model(version.team_id, version.model)
        dataset = self._lineage_dataset(version)
        return write_card(
            model,
            version,
            variants=self.list_variants(version),
            certificates=self.list_certificates(version),
            dataset=dataset,
            language=language,
        )

    def _lineage_dataset(self, version: ModelVersion) -> DatasetVersion | None:
        """The dataset version that the lineage names, never another one with the same rows; None when its rows are others now."""
        name = version.lineage.get("dataset")
        if not isinstance(name, str):
            return None
        try:
            found = self.resolve_dataset(version.team_id, name)
        except (NotFound, InvalidInput):
            return None
        return found if version.is_of_rows(found.digest) else None
