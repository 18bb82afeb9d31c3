"""The form of talks that an imported folder tells of, by its template: recognised, never run. Of a template that is not known, none.

Source: the `chat_template` of Qwen2 and SmolLM2 (ChatML), Llama 3, Gemma, Phi-3 and Zephyr as their folders have it.
"""

from __future__ import annotations

import re
from pathlib import Path

from tokenizers import Tokenizer

from hanlin.models import strict_json
from hanlin.networks.config import MAX_CONFIG_BYTES
from hanlin.tasks.chat_form import CHATML, ROLES, ChatForm, ToolForm

TEMPLATE = "chat_template.jinja"
_CONFIG = "tokenizer_config.json"
_LLAMA = ChatForm(marks={role: (f"<|start_header_id|>{role}<|end_header_id|>\n\n", "<|eot_id|>") for role in ROLES})
_GEMMA = ChatForm(marks={
    "user": ("<start_of_turn>user\n", "<end_of_turn>\n"), "assistant": ("<start_of_turn>model\n", "<end_of_turn>\n"),
})  # fmt: skip
_PHI = ChatForm(marks={role: (f"<|{role}|>\n", "<|end|>\n") for role in ROLES})
_KNOWN = (CHATML, _LLAMA, _GEMMA, _PHI)
_SPECIAL = re.compile(r"<[^<>\s]+>")
_SYSTEM = re.compile(r"<\|im_start\|>system(?:\\n|\n)([^'\"{}<]{1,1000})<\|im_end\|>")  # what is said where a talk has no system


def form_of(folder: Path, tokenizer: Tokenizer) -> ChatForm | None:
    """The form that the folder's template writes, if it is known and its marks are tokens. Raises InvalidInput (`not_strict_json`)."""
    template = _template(folder)
    for form in _KNOWN if template else ():
        names = {name for pair in form.marks.values() for mark in pair for name in _SPECIAL.findall(mark)}
        shared = {name for name in names if not any(role in name for role in ROLES)}  # <|user|> is put together in templates
        if all(name in template for name in shared) and all(tokenizer.token_to_id(name) is not None for name in names):
            found = _SYSTEM.search(template)
            if form is not CHATML:
                return form
            tools: ToolForm = "hermes" if all(name in template for name in ("<tools>", "<tool_call>", "<tool_response>")) else ""
            return ChatForm(form.begin, form.marks, found[1].replace("\\n", "\n") if found else "", tools)
    return None


def _template(folder: Path) -> str:
    """The text of the template; of several the one that is called `default`."""
    if (folder / TEMPLATE).is_file():
        return (folder / TEMPLATE).read_bytes()[:MAX_CONFIG_BYTES].decode("utf-8", "replace")
    if not (folder / _CONFIG).is_file():
        return ""
    told = strict_json.read_object(folder / _CONFIG, max_bytes=MAX_CONFIG_BYTES).get("chat_template")
    if isinstance(told, list):
        named = [each for each in told if isinstance(each, dict)]
        told = next((each.get("template") for each in named if each.get("name") == "default"), None)
    return told if isinstance(told, str) else ""
