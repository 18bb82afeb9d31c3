"""Model cards: a version's record as Markdown, in English or Chinese. Reads values only."""

from __future__ import annotations

from collections.abc import Sequence

from hanlin.registry.values import Certificate, DatasetVersion, Model, ModelVersion, Variant


def write_card(
    model: Model,
    version: ModelVersion,
    *,
    variants: Sequence[Variant],
    certificates: Sequence[Certificate],
    dataset: DatasetVersion | None,
    language: str = "en",
) -> str:
    """The card."""
    return f"# {version}\n\n{model.notes}\n"
