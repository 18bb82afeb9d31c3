"""The form of a model's calls of tools, seen from what its own template writes; its marks, where they are special tokens, stay text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from hanlin.generation import GenerationSettings
from hanlin.models.chat_forms import form_of
from hanlin.tasks.chat_form import ChatTemplate
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tool_marks import kept_marks, marks_of, spell_with

# Each tells of tools and writes a call as the family's published template does; the rest of it is cut short.
TALK = (  # users and assistants take turns, where calls and answers of tools do not count
    "{% set ns = namespace(turn=0) %}{% for m in messages if m.role == 'user' or m.role == 'assistant' and not m.tool_calls %}"
    "{% if (m.role == 'user') != (ns.turn % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set ns.turn = ns.turn + 1 %}{% endfor %}"
    "{% if tools %}[AVAILABLE_TOOLS] {{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}{% for m in messages %}"
    "{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]{% elif m.role == 'tool' %}[TOOL_RESULTS] {{ m.content }}[/TOOL_RESULTS]"
    "{% elif m.tool_calls %}<a>CALLS</s>{% else %}<a>{{ m.content }}</s>{% endif %}{% endfor %}"
)
LIST = "[TOOL_CALLS] [{% for c in m.tool_calls %}{{ c.function | tojson }}{% if not loop.last %}, {% endif %}{% endfor %}]"
NAMED = "{% for c in m.tool_calls %}[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}{% endfor %}"
OBJECT = '{% set f = m.tool_calls[0].function %}{"name": "{{ f.name }}", "parameters": {{ f.arguments | tojson }}}'
CODER = (
    "{% for c in m.tool_calls %}<tool_call>\n<function={{ c.function.name }}>\n{% for k, v in c.function.arguments.items() %}"
    "<parameter={{ k }}>\n{{ v }}\n</parameter>\n{% endfor %}</function>\n</tool_call>{% endfor %}"
)


def letters() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_special_tokens(["<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[ARGS]"])
    return made


@pytest.mark.parametrize(
    ("calls", "form"),
    [
        (LIST, "mistral"),
        (NAMED, "mistral-named"),
        (CODER, "qwen-coder"),
        (OBJECT, "llama"),
        (f"<function_call>{OBJECT}</function_call>", "own"),
    ],
    ids=["list", "named", "coder", "object", "wrapped"],
)
def test_the_form_is_that_by_which_the_templates_own_call_is_read(tmp_path: Path, calls: str, form: str) -> None:
    template = "<s>" + TALK.replace("CALLS", calls) + "{% if add_generation_prompt %}<a>{% endif %}"
    told = {"bos_token": "<s>", "eos_token": "</s>", "chat_template": template}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    found = form_of(tmp_path, letters()).form
    assert isinstance(found, ChatTemplate)
    assert found.tools == form


def test_marks_that_are_special_tokens_stay_in_the_text_and_no_others() -> None:
    tokenizer = letters()
    spec = ModelSpec("text-generation", (), 64, 0, generation=GenerationSettings(max_new_tokens=8))
    encoder = TextEncoder(tokenizer, spec)
    written = "看 [TOOL_CALLS]look[ARGS]{}"
    ids = tokenizer.encode(written + "</s>", add_special_tokens=False).ids
    assert set(marks_of(tokenizer, "mistral-named")) == {"[TOOL_CALLS]", "[ARGS]"}
    end = tokenizer.token_to_id("</s>")
    for form, text in (("mistral-named", written), ("own", written), ("hermes", "看 look{}"), ("", "看 look{}")):
        assert spell_with(encoder, kept_marks(tokenizer, form, {end}))(ids) == text, form
    assert encoder.spell(ids) == "看 look{}"
    assert kept_marks(object(), "", {end}) == {}, "nobody looks through a vocabulary where there are no calls"  # type: ignore[arg-type]
