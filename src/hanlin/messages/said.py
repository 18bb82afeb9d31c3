"""A line for people that is kept as a code with parameters, and put into words where it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from hanlin import messages

Plain = str | int | float | bool | None
Json = Plain | list["Json"] | dict[str, "Json"]  # as in `types`, which stands above this room
MAX_TEXT = 1000  # characters of one parameter; longer ones are cut
MAX_PARAMS = 12


@dataclass(frozen=True, slots=True)
class Said:
    """A code of the catalogue and what fills its placeholders; a parameter may itself be something said, such as a reason."""

    code: str
    params: Mapping[str, Plain | Said] = field(default_factory=dict)

    def text(self, language: str) -> str:
        """The line in `language` (`en` or `zh`)."""
        filled = {name: value.text(language) if isinstance(value, Said) else value for name, value in self.params.items()}
        return messages.render(self.code, "message", language, filled)

    def to_json(self) -> dict[str, Json]:
        """The stored form, bounded."""
        return {"code": self.code, "params": {name: _stored(value) for name, value in list(self.params.items())[:MAX_PARAMS]}}

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """What `to_json` wrote; None for anything else."""
        if not isinstance(value, dict) or not isinstance(value.get("code"), str) or not isinstance(value.get("params"), dict):
            return None
        return cls(value["code"], {str(name): cls.from_json(item) or _plain(item) for name, item in value["params"].items()})

    def dump(self) -> str:
        """The stored form as text."""
        return json.dumps(self.to_json(), ensure_ascii=False)

    @classmethod
    def load(cls, text: str) -> Self | None:
        """What `dump` wrote; None for anything else."""
        try:
            return cls.from_json(json.loads(text))
        except ValueError:
            return None


def _stored(value: Plain | Said) -> Json:
    return value.to_json() if isinstance(value, Said) else _plain(value)


def _plain(value: object) -> Plain:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)  # JSON has no word for it
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:MAX_TEXT]
