"""Models as a team sees them: versions, aliases, notes, cards, pictures; publishing and deleting."""

from __future__ import annotations

from hanlin.control.platform import Platform
from hanlin.control.values import ModelView, MovedAlias, VersionView
from hanlin.errors import NotFound
from hanlin.registry.values import ModelVersion
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.tasks.label_change import label_change
from hanlin.types import ModelRef, Principal, check_name, shorten

_PICTURES = "pictures/"
_CHINESE = ".zh.svg"  # beside the English one, as `pipelines/pictures.py` writes them
_MAX_PICTURE_BYTES = 4 * 2**20


def list_models(platform: Platform, principal: Principal) -> list[ModelView]:
    """The team's models by name."""
    principal.require("read")
    return [get_model(platform, principal, item.name) for item in platform.registry.list_models(principal.team_id)]


def get_model(platform: Platform, principal: Principal, name: str) -> ModelView:
    """One model with its versions, newest first. Raises NotFound."""
    principal.require("read")
    model = platform.registry.get_model(principal.team_id, name)
    versions = tuple(_version_view(platform, item) for item in sorted(model.versions, key=lambda item: -item.number))
    return ModelView(model.name, model.task, model.notes, model.aliases, versions)


def publish(platform: Platform, principal: Principal, name: str, number: int) -> ModelVersion:
    """Makes a certified version public. Raises NotFound, Conflict (`not_certified`, `already_published`)."""
    principal.require("write")
    return platform.registry.publish(_version(platform, principal, name, number), actor=principal.key_id)


def set_alias(platform: Platform, principal: Principal, name: str, alias: str, number: int) -> MovedAlias:
    """Points `alias` at a version, and warns when its labels are not those of the one it meant before. Raises NotFound, InvalidInput."""
    principal.require("write")
    check_name(alias, kind="alias")
    version = _version(platform, principal, name, number)
    model = platform.registry.get_model(principal.team_id, name)
    platform.registry.set_alias(principal.team_id, name, alias, version.number, actor=principal.key_id)
    meant = {item.name: item.number for item in model.aliases}.get(alias)
    changes = [label_change(str(former), former.labels, version.labels) for former in model.versions if former.number == meant]
    return MovedAlias(version, tuple(change for change in changes if change is not None))


def delete_alias(platform: Platform, principal: Principal, name: str, alias: str) -> None:
    """Removes an alias; what was deployed by it goes on. Raises NotFound."""
    principal.require("write")
    platform.registry.delete_alias(principal.team_id, name, alias, actor=principal.key_id)


def set_notes(platform: Platform, principal: Principal, name: str, notes: str) -> ModelView:
    """Replaces the notes of the model card. Raises NotFound, InvalidInput (`notes_too_long`)."""
    principal.require("write")
    platform.registry.set_notes(principal.team_id, name, notes)
    return get_model(platform, principal, name)


def delete_version(platform: Platform, principal: Principal, name: str, number: int) -> None:
    """Deletes a version. Raises NotFound, Conflict (`in_use`) while an endpoint, alias or job needs it."""
    principal.require("write")
    platform.registry.delete_version(_version(platform, principal, name, number), actor=principal.key_id)


def delete_model(platform: Platform, principal: Principal, name: str) -> None:
    """Deletes a model with all its versions, or nothing. Raises NotFound, Conflict (`in_use`) while one of them is needed."""
    principal.require("write")
    platform.registry.delete_model(principal.team_id, name, actor=principal.key_id)


def card(platform: Platform, principal: Principal, name: str, number: int, *, language: str = "en") -> str:
    """The model card in Markdown, with headings in `en` or `zh`. Raises NotFound."""
    principal.require("read")
    return platform.registry.card(_version(platform, principal, name, number), language=language)


def picture(platform: Platform, principal: Principal, name: str, number: int, title: str, *, language: str = "en") -> bytes:
    """A stored SVG, such as `confusion`, in `language` where it was drawn in it. Raises NotFound (`picture_not_found`)."""
    principal.require("read")
    version = _version(platform, principal, name, number)
    drawn = {item.path.removeprefix(_PICTURES): item for item in _picture_files(platform, version)}
    file = drawn.get(f"{title}{_CHINESE}") if language.startswith("zh") else None
    file = file or drawn.get(f"{title}.svg")
    if file is None or file.size_bytes > _MAX_PICTURE_BYTES:
        raise NotFound("picture_not_found", name=shorten(title))
    with platform.blobs.open(file.sha256) as stream:
        return stream.read()


def list_files(platform: Platform, principal: Principal, name: str, number: int) -> Manifest:
    """The files of a version with those of its variants. Raises NotFound."""
    principal.require("read")
    version = _version(platform, principal, name, number)
    return full_manifest(platform, version)


def full_manifest(platform: Platform, version: ModelVersion, *, variant: str | None = None) -> Manifest:
    """The version's own files, and those of one variant or (None) of all."""
    manifest = version.manifest
    for item in reversed(platform.registry.list_variants(version)):  # the chosen one last: its pictures are the latest
        if item.manifest is not None and variant in {None, item.variant}:
            manifest = manifest.merge(item.manifest)
    return manifest


def _version(platform: Platform, principal: Principal, name: str, number: int) -> ModelVersion:
    return platform.registry.resolve(principal.team_id, ModelRef(check_name(name, kind="model"), version=number))


def _version_view(platform: Platform, version: ModelVersion) -> VersionView:
    variants = tuple(platform.registry.list_variants(version))
    certificates = tuple(platform.registry.list_certificates(version))
    pictures = tuple(
        sorted(
            {file.path.removeprefix(_PICTURES).removesuffix(_CHINESE).removesuffix(".svg") for file in _picture_files(platform, version)}
        )
    )
    return VersionView(version, variants, certificates, pictures)


def _picture_files(platform: Platform, version: ModelVersion) -> list[ManifestFile]:
    return [file for file in full_manifest(platform, version).files if file.path.startswith(_PICTURES) and file.path.endswith(".svg")]
