"""Pictures of a version are stored once a language: `confusion.svg` in English, `confusion.zh.svg` in Chinese."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

_ENDINGS = {"en": ".svg", "zh": ".zh.svg"}  # as `control/models.py` finds them


def write_pictures(folder: Path, drawings: Mapping[str, Callable[[str], str]]) -> None:
    """Write every drawing in every language into `folder`, which is made where it is missing; a drawing is given the language."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in drawings.items():
        for language, ending in _ENDINGS.items():
            (folder / f"{name}{ending}").write_text(draw(language), encoding="utf-8")
