"""Which version guesses what another one writes next (a draft model), and whether it may."""

from __future__ import annotations

from hanlin.control.platform import Platform
from hanlin.engines import ENGINES, split_variant
from hanlin.errors import Conflict, InvalidInput
from hanlin.registry.values import ModelVersion
from hanlin.tasks.base import TASKS
from hanlin.types import ModelRef, TeamId, shorten

_TOKENIZER = "tokenizer.json"


def find_draft(platform: Platform, reference: str, version: ModelVersion, variant: str) -> ModelVersion:
    """The version that `reference` means, if it can guess for `version` in `variant`. The engine compares vocabularies once more.

    Raises:
        NotFound: no such model, version or alias.
        Conflict: `not_published`.
        InvalidInput: `draft_not_served`, `draft_does_not_fit`; `invalid_model_reference`.
    """
    if not ENGINES.get(split_variant(variant)[0]).capabilities.drafts or not _continues(version):
        raise InvalidInput("draft_not_served", variant=variant)
    found = platform.registry.resolve(TeamId(version.team_id), ModelRef.parse(reference))
    if found.state != "published":
        raise Conflict("not_published", model=found.model, version=found.number, state=found.state)
    if not _continues(found) or bool(version.manifest.find(_TOKENIZER)) != bool(found.manifest.find(_TOKENIZER)):
        raise _misfit(found, variant)
    draft_variant(platform, found, variant)
    return found


def draft_variant(platform: Platform, draft: ModelVersion, variant: str) -> str:
    """In which variant it guesses: the chosen one if it is of the engine of `variant`, else the first certified one that is.

    Raises InvalidInput (`draft_does_not_fit`)."""
    engine = split_variant(variant)[0]
    for made in platform.registry.list_variants(draft):  # the chosen one first
        if made.variant.rpartition("-")[0] == engine and platform.registry.is_certified(draft, made.variant):
            return made.variant
    raise _misfit(draft, variant)


def _continues(version: ModelVersion) -> bool:
    return TASKS.get(version.task).head == "continuations"


def _misfit(draft: ModelVersion, variant: str) -> InvalidInput:
    return InvalidInput("draft_does_not_fit", draft=shorten(str(draft)), engine=split_variant(variant)[0])
