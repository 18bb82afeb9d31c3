"""One line of what `hanlin doctor` reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok`, `note` (fine, but worth knowing) or `problem`."""

    name: str
    status: Literal["ok", "note", "problem"]
    value: str
    advice: str = ""

    def to_json(self) -> dict[str, str]:
        """The JSON form."""
        return asdict(self)
