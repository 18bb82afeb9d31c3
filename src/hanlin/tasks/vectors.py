"""What a version says about its embeddings: size, normalisation, prompts; a part of `hanlin.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, JsonValue, shorten

MAX_DIMENSIONS = 65_536
MAX_PROMPTS = 100
MAX_PROMPT_CHARACTERS = 2_000
Role = Literal["query", "passage"]
# Names under which models keep the words before what is searched for, and before what is found.
_ROLES: dict[Role, tuple[str, ...]] = {"query": ("query", "search_query"), "passage": ("passage", "document", "search_document")}
_FIELDS = {"dimensions", "is_normalized", "prompts", "default_prompt"}


@dataclass(frozen=True, slots=True)
class VectorSettings:
    """Embeddings of a version.

    Args:
        dimensions: values of one embedding.
        is_normalized: whether the model itself gives vectors of length 1.
        prompts: (name, words that go before a text), such as ("query", "query: ").
        default_prompt: name of the prompt of a call that names none; empty for no words.

    Raises:
        InvalidInput: `invalid_model_spec`.
    """

    dimensions: int
    is_normalized: bool = True
    prompts: tuple[tuple[str, str], ...] = ()
    default_prompt: str = ""

    def __post_init__(self) -> None:
        _check(1 <= self.dimensions <= MAX_DIMENSIONS, "dimensions", f"not between 1 and {MAX_DIMENSIONS:,}")
        names = [name for name, _ in self.prompts]
        is_short = all(0 < len(name) <= 100 and len(words) <= MAX_PROMPT_CHARACTERS for name, words in self.prompts)
        _check(len(names) <= MAX_PROMPTS and len(set(names)) == len(names) and is_short, "prompts", "not a short list of named words")
        _check(not self.default_prompt or self.default_prompt in names, "default_prompt", "not the name of a prompt")

    def prompt(self, name: str | None) -> str:
        """The words of a prompt; of the default one for None. Raises InvalidInput (`invalid_parameter`)."""
        found = dict(self.prompts)
        if name is None:
            return found.get(self.default_prompt, "")
        if name not in found:
            choices = ", ".join(map(shorten, found)) or "absent: this model has no prompts"
            raise InvalidInput("invalid_parameter", name="prompt_name", expected=f"one of {choices}"[:300], found=shorten(name))
        return found[name]

    def role(self, role: Role) -> str | None:
        """The name of the prompt for a text of this role in a search; None where the model has none."""
        names = [name for name, _ in self.prompts]
        return next((name for name in _ROLES[role] if name in names), None)

    def role_words(self, role: Role) -> str:
        """The words that go before a text of this role; none where the model has no such prompt."""
        return dict(self.prompts).get(self.role(role) or "", "")

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {
            "dimensions": self.dimensions, "is_normalized": self.is_normalized, "prompts": dict(self.prompts),
            "default_prompt": self.default_prompt,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: JsonValue) -> VectorSettings:
        """The settings that `to_json` wrote. Raises InvalidInput (`invalid_model_spec`)."""
        _check(isinstance(value, dict) and set(value) <= _FIELDS, "vectors", "not an object of the known fields")
        assert isinstance(value, dict)
        size, is_normalized, default = value.get("dimensions"), value.get("is_normalized", True), value.get("default_prompt", "")
        prompts = value.get("prompts", {})
        _check(isinstance(size, int) and not isinstance(size, bool), "dimensions", "not an integer")
        _check(isinstance(is_normalized, bool), "is_normalized", "neither true nor false")
        _check(isinstance(default, str), "default_prompt", "not a string")
        _check(
            isinstance(prompts, dict) and all(isinstance(words, str) for words in prompts.values()), "prompts", "not an object of strings"
        )
        assert isinstance(size, int)
        assert isinstance(prompts, dict)
        return cls(size, bool(is_normalized), tuple((name, str(words)) for name, words in prompts.items()), str(default))


def _check(is_right: bool, field: str, problem: str) -> None:
    if not is_right:
        raise InvalidInput("invalid_model_spec", field=field, problem=problem)
