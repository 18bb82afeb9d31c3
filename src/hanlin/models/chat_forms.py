"""The form of talks that an imported folder tells of, by its template: recognised where it is of a form that is known and writes the
same, else kept and run for each talk in a sandbox (`tasks/templates`).

Source: the `chat_template` of Qwen2 and SmolLM2 (ChatML), Llama 3, Gemma, Phi-3 and Zephyr as their folders have it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer

from hanlin.models import chat_probe, strict_json
from hanlin.networks.config import MAX_CONFIG_BYTES
from hanlin.tasks.chat_form import CHATML, ROLES, ChatForm, Form, ToolForm
from hanlin.tasks.templates.budget import TemplateProblemError
from hanlin.tasks.tokenizer import frame_of
from hanlin.types import JsonObject, JsonValue, shorten

TEMPLATE = "chat_template.jinja"
_CONFIG = "tokenizer_config.json"
_LLAMA = ChatForm(marks={role: (f"<|start_header_id|>{role}<|end_header_id|>\n\n", "<|eot_id|>") for role in ROLES})
_GEMMA = ChatForm(marks={
    "user": ("<start_of_turn>user\n", "<end_of_turn>\n"), "assistant": ("<start_of_turn>model\n", "<end_of_turn>\n"),
})  # fmt: skip
_PHI = ChatForm(marks={role: (f"<|{role}|>\n", "<|end|>\n") for role in ROLES})
_KNOWN = (CHATML, _LLAMA, _GEMMA, _PHI)
_COSTLY = "it takes more steps or text than it may"
_SPECIAL = re.compile(r"<[^<>\s]+>")
_SYSTEM = re.compile(r"<\|im_start\|>system(?:\\n|\n)([^'\"{}<]{1,1000})<\|im_end\|>")  # what is said where a talk has no system


class FoundForm(NamedTuple):
    """What a folder tells of.

    Attributes:
        problem: why its template was left out; empty: it has none, or was not.
    """

    form: Form | None
    problem: str = ""


def form_of(folder: Path, tokenizer: Tokenizer) -> FoundForm:
    """The form that the folder's template writes, or the template itself. Raises InvalidInput (`not_strict_json`)."""
    named = _templates(folder)
    if not (source := named.get("default", "")):
        return FoundForm(None)
    known = _known_form(source, tokenizer)
    try:
        own = chat_probe.probed(source, tokenizer, tool_source=named.get("tool_use", ""), **_marks_of(folder, tokenizer))
    except TemplateProblemError as error:
        return FoundForm(known, "" if known else shorten(error.problem, 200) if error.problem else _COSTLY)
    return FoundForm(known if known and chat_probe.is_same(known, own) else own)


def _known_form(template: str, tokenizer: Tokenizer) -> ChatForm | None:
    """By its marks, all of which must be tokens."""
    for form in _KNOWN:
        names = {name for pair in form.marks.values() for mark in pair for name in _SPECIAL.findall(mark)}
        shared = {name for name in names if not any(role in name for role in ROLES)}  # <|user|> is put together in templates
        if all(name in template for name in shared) and all(tokenizer.token_to_id(name) is not None for name in names):
            found = _SYSTEM.search(template)
            if form is not CHATML:
                return form
            tools: ToolForm = "hermes" if all(name in template for name in ("<tools>", "<tool_call>", "<tool_response>")) else ""
            return ChatForm(form.begin, form.marks, found[1].replace("\\n", "\n") if found else "", tools)
    return None


def _templates(folder: Path) -> dict[str, str]:
    """Texts of the templates by name; a file of its own goes first."""
    told = _object(folder / _CONFIG).get("chat_template")
    if isinstance(told, list):
        pairs = [(each.get("name"), each.get("template")) for each in told if isinstance(each, dict)]
    else:
        pairs = [("default", told)]
    found = {name: text for name, text in pairs if isinstance(name, str) and isinstance(text, str)}
    if (folder / TEMPLATE).is_file():
        found["default"] = (folder / TEMPLATE).read_bytes()[:MAX_CONFIG_BYTES].decode("utf-8", "replace")
    return found


def _marks_of(folder: Path, tokenizer: Tokenizer) -> dict[str, str]:
    """Texts of the tokens that begin and end a text, and of those that the tokenizer puts before every one."""
    told, config = _object(folder / _CONFIG), _object(folder / "config.json")
    head, _ = frame_of(tokenizer, tokenizer.num_special_tokens_to_add(False))
    begin = "".join(tokenizer.id_to_token(token) or "" for token in head)
    return {"begin": begin, **{name: _mark(told, config, name, tokenizer) for name in ("bos", "eos")}}


def _mark(told: JsonObject, config: JsonObject, name: str, tokenizer: Tokenizer) -> str:
    value: JsonValue = told.get(f"{name}_token")
    value = value.get("content") if isinstance(value, dict) else value
    if isinstance(value, str):
        return value
    number = config.get(f"{name}_token_id")
    number = number[0] if isinstance(number, list) and number else number
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**31:
        return ""
    return tokenizer.id_to_token(number) or ""


def _object(path: Path) -> JsonObject:
    return strict_json.read_object(path, max_bytes=MAX_CONFIG_BYTES) if path.is_file() else {}
