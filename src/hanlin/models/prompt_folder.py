"""A folder with one file, `prompt.json`, over a model of texts and talks: that model, asked for another task.

Weights and tokenizer are the base's, byte for byte, so the same blobs; `hanlin.json` alone is new.

    {"ask": "Translate into French:\\n{text}", "system": "…", "examples": [{"text": "…", "answer": "…"}],
     "none": "…" (questions), "grammar": {…} (texts), "schema": {"intents": …} (meanings)}
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.models import strict_json
from hanlin.models.folder_check import check_model_folder
from hanlin.models.heads import Heading
from hanlin.models.trial import try_out
from hanlin.networks.config import read_config
from hanlin.networks.head import WRITER, Head
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.given_meanings import GivenMeanings
from hanlin.tasks.meanings import MeaningSchema
from hanlin.tasks.prompt_form import ANSWER, FIELDS, PROMPT_FILE, PromptForm, check_prompt
from hanlin.tasks.prompted_meanings import catalogue, meaning_text
from hanlin.tasks.prompting import Prompter
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject, JsonValue, shorten

MAX_BYTES = 4 * 2**20
_COPIED = ("config.json", "model.safetensors", "tokenizer.json")


def is_prompt(folder: Path) -> bool:
    """Whether a folder holds a form of prompts."""
    return (folder / PROMPT_FILE).is_file()


def import_prompt(source: Path, base: Path, out: Path, *, task: str) -> tuple[ModelSpec, int]:
    """Check the form in `source` and write an artifact folder to `out`: spec, number of parameters.

    Args:
        base: artifact folder of a model that goes on with texts.

    Raises:
        InvalidInput: `prompt_not_understood`, `meanings_not_understood`; `prompt_base_of_another_kind`, `unexpected_file`.
    """
    check_model_folder(source, needed=frozenset({PROMPT_FILE}))
    known = ModelSpec.load(base)
    if known.generation is None or known.reference or Head.of(read_config(base)) != WRITER or known.task != "text-generation":
        raise InvalidInput("prompt_base_of_another_kind", task=known.task)
    spec = replace(_spec(strict_json.read_object(source / PROMPT_FILE, max_bytes=MAX_BYTES), known, task), task=task)
    _check_room(spec, base)
    out.mkdir(parents=True)
    for name in _COPIED:
        shutil.copyfile(base / name, out / name)
    spec.save(out)
    return spec, try_out(out, spec, Heading(WRITER, ()))


def _spec(given: JsonObject, known: ModelSpec, task: str) -> ModelSpec:
    check_prompt(task in FIELDS, "$", f"one of the tasks {', '.join(FIELDS)}, not {shorten(task)}")
    if task != "semantic-parsing":
        return replace(known, prompt=PromptForm.from_json(given, task=task))
    rest = {name: value for name, value in given.items() if name != "schema"}
    check_prompt("schema" in given, "$", "schema: the intents and their slots")
    meant = GivenMeanings.from_json(given["schema"])
    lexicon = {slot: {said: (value,) for said, value in words.items()} for slot, words in meant.words.items()}
    schema = MeaningSchema({name: dict(sorted(slots.items())) for name, slots in sorted(meant.intents.items())}, lexicon)
    if isinstance(rest.get("examples"), list):
        rest["examples"] = [_written(one, place, schema) for place, one in enumerate(cast("list[JsonValue]", rest["examples"]))]
    return replace(known, prompt=PromptForm.from_json(rest, task=task), meanings=schema)


def _written(example: JsonValue, place: int, schema: MeaningSchema) -> JsonValue:
    """An example whose answer is a meaning, with it as the model is to write it."""
    if not isinstance(example, dict) or ANSWER not in example:
        return example
    meaning = example[ANSWER]
    check_prompt(schema.is_valid(meaning), f"examples.{place}.{ANSWER}", "a meaning of the schema: intent, and slots")
    found = cast("JsonObject", meaning)
    return {**example, ANSWER: meaning_text(str(found["intent"]), cast("JsonObject", found["slots"]), schema)}


def _check_room(spec: ModelSpec, base: Path) -> None:
    """A form that fills the row by itself leaves no room for what is asked."""
    encoder = TextEncoder.load(base)
    assert spec.prompt is not None and spec.generation is not None, "made above"
    prompter = Prompter.of(encoder, spec, spec.generation)
    fields = {"intents": catalogue(spec.meanings)} if spec.meanings else {}
    size = len(prompter.row({"text": "", "question": "", "passages": "", **fields}, 0))
    check_prompt(size <= prompter.room * 3 // 4, "$", f"at most {prompter.room * 3 // 4} tokens, not {size} or more")
