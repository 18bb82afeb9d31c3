"""What whoever deploys a model by its bare name should know: the newest version was taken, and what the alias `production` says."""

from __future__ import annotations

from hanlin.control.platform import Platform
from hanlin.engines import reference_in
from hanlin.errors import NotFound
from hanlin.messages.said import Said
from hanlin.registry.values import ModelVersion
from hanlin.types import ModelRef, Principal

_ALIAS = "production"


def name_warnings(platform: Platform, principal: Principal, reference: ModelRef, version: ModelVersion, variant: str) -> tuple[Said, ...]:
    """One warning where `production` means another version than the bare name did; nothing for a version or alias that was named."""
    if reference.version is not None or reference.alias is not None:
        return ()
    try:
        meant = platform.registry.resolve(principal.team_id, ModelRef(reference.name, alias=_ALIAS))
    except NotFound:
        return ()
    if meant.number == version.number:
        return ()
    params: dict[str, str | int] = {"model": version.model, "taken": version.number, "meant": meant.number}
    chosen = next((item.variant for item in platform.registry.list_variants(meant)), reference_in(meant.lineage))
    is_slower = variant == reference_in(version.lineage) != chosen
    return (Said("deployed_beside_production_uncompressed" if is_slower else "deployed_beside_production", params),)
