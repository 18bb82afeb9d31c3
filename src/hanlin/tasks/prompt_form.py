"""The form in which a model that goes on with texts is asked for another task: words with fields, worked examples. Data, not a program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.generation import Constraint
from hanlin.types import JsonObject, JsonValue

PROMPT_FILE = "prompt.json"
INTENTS = "intents"  # of the version, not of a call
# What may stand in braces, by task; a call's own words must: without them each answer would be the same.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "translation": ("text",), "summarization": ("text",), "semantic-parsing": ("text", INTENTS),
    "question-answering": ("question", "passages"),
}  # fmt: skip
_OWN: Mapping[str, frozenset[str]] = {
    task: frozenset(names) - {INTENTS} for task, names in FIELDS.items()
}  # fmt: skip
MAX_CHARACTERS = 20_000  # of one text of the form
MAX_EXAMPLES = 64
ANSWER = "answer"
_FIELD = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class PromptExample:
    """A call and the right answer to it, as the model writes it."""

    fields: Mapping[str, str]
    answer: str


@dataclass(frozen=True, slots=True)
class PromptForm:
    """How a call becomes a prompt.

    Attributes:
        ask: what the user says, with fields in braces.
        system: what the system says, where a field of the version (`intents`) may stand, too; empty: as the model has it.
        examples: turns that stand before the question.
        none: what the model writes when no passage answers; empty: it always names a passage, unless a call allows none.
        grammar: the form of what is written, of tasks whose answer is a text.
    """

    ask: str
    system: str = ""
    examples: tuple[PromptExample, ...] = ()
    none: str = ""
    grammar: Constraint | None = None

    def to_json(self) -> JsonObject:
        """The stored form."""
        stored: JsonObject = {"ask": self.ask}
        stored |= {"system": self.system} if self.system else {}
        stored |= {"none": self.none} if self.none else {}
        stored |= {"examples": [{**one.fields, ANSWER: one.answer} for one in self.examples]} if self.examples else {}
        return stored | ({"grammar": {"kind": self.grammar.kind, "text": self.grammar.text}} if self.grammar else {})

    @classmethod
    def from_json(cls, value: JsonValue, *, task: str) -> PromptForm:
        """What `to_json` wrote, or somebody by hand. Raises InvalidInput (`prompt_not_understood`), naming the place."""
        check_prompt(task in FIELDS, "$", f"one of the tasks {', '.join(FIELDS)}")
        is_text = task in ("translation", "summarization")
        known = {"ask", "system", "examples"} | ({"grammar"} if is_text else set()) | ({"none"} if task == "question-answering" else set())
        check_prompt(isinstance(value, dict) and value.keys() <= known and "ask" in value, "$", f"ask, and of {', '.join(sorted(known))}")
        given = cast("JsonObject", value)
        ask, system, none = (_text(given.get(name, ""), name) for name in ("ask", "system", "none"))
        check_prompt(not none.startswith("["), "none", "words that no citation begins with: [")
        found = set(_FIELD.findall(ask))
        check_prompt(found <= set(FIELDS[task]), "ask", f"fields {_named(FIELDS[task])}")
        check_prompt(found >= _OWN[task], "ask", f"the fields {_named(sorted(_OWN[task]))}")
        check_prompt(not set(_FIELD.findall(system)) & _OWN[task], "system", "no words of the call: those stand in `ask`")
        examples = given.get("examples", [])
        check_prompt(isinstance(examples, list) and len(examples) <= MAX_EXAMPLES, "examples", f"a list of at most {MAX_EXAMPLES}")
        read = tuple(_example(one, f"examples.{place}", _OWN[task]) for place, one in enumerate(cast("list[JsonValue]", examples)))
        return cls(ask, system, read, none, _grammar(given.get("grammar")))


def filled(text: str, fields: Mapping[str, str]) -> str:
    """With the fields in the place of their names. What a field says is not looked at again."""
    return _FIELD.sub(lambda found: fields.get(found[1], found[0]), text)


def check_prompt(is_right: bool, place: str, right: str) -> None:
    """Raises InvalidInput (`prompt_not_understood`) unless it is right."""
    if not is_right:
        raise InvalidInput("prompt_not_understood", place=place, right=right)


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _text(value: JsonValue, place: str) -> str:
    check_prompt(isinstance(value, str) and len(value) <= MAX_CHARACTERS, place, f"a text of at most {MAX_CHARACTERS:,} characters")
    check_prompt(not any("\ud800" <= sign <= "\udfff" for sign in str(value)), place, "a text in Unicode")
    return str(value)


def _example(value: JsonValue, place: str, names: frozenset[str]) -> PromptExample:
    right = names | {ANSWER}
    check_prompt(isinstance(value, dict) and value.keys() == right, place, f"an object of {', '.join(sorted(right))}")
    said = {name: _text(one, f"{place}.{name}") for name, one in cast("JsonObject", value).items()}
    return PromptExample({name: said[name] for name in sorted(names)}, said[ANSWER])


def _grammar(value: JsonValue) -> Constraint | None:
    if value is None:
        return None
    right = '{"kind": "regex" or "lark", "text": …}'
    check_prompt(isinstance(value, dict) and value.keys() == {"kind", "text"}, "grammar", right)
    found = cast("JsonObject", value)
    check_prompt(found["kind"] in ("regex", "lark") and bool(_text(found["text"], "grammar.text")), "grammar", right)
    return Constraint("regex" if found["kind"] == "regex" else "lark", str(found["text"]))
