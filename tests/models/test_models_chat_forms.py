"""Forms of talks are read off templates as their folders have them, and write what transformers writes with them; others are kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers.utils.chat_template_utils import render_jinja_template

from hanlin.models.chat_forms import form_of
from hanlin.tasks.base import Limits
from hanlin.tasks.chat import Message, render, stops_of
from hanlin.tasks.chat_form import ChatForm, ChatTemplate
from hanlin.tasks.continuations import read_inputs

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful AI "
    "assistant named SmolLM<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
    "'\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
PHI = (
    "{% for message in messages %}{{'<|' + message['role'] + '|>' + '\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
LLAMA = (
    "{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    "{{ message['content'] + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}"
    "{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"
)
HERMES = (  # as Qwen2.5's is laid out
    "{%- if tools %}{{- '<|im_start|>system\\n' }}{{- messages[0]['content'] if messages[0]['role'] == 'system' else 'You are Qwen.' }}"
    "{{- '\\n\\n# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\nYou "
    "are provided with function signatures "
    "within <tools></tools> XML tags:\\n<tools>' }}{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}"
    "{{- '\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> "
    'XML tags:\\n<tool_call>\\n{\\"name\\": <function-name>, \\"arguments\\": <args-json-object>}\\n</tool_call><|im_end|>\\n\' }}'
    "{%- elif messages[0]['role'] != 'system' %}{{- '<|im_start|>system\\nYou are Qwen.<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}{%- if message.role == 'user' or (message.role == 'system' and not tools) or "
    "(message.role == 'assistant' and not message.tool_calls) %}{{- '<|im_start|>' + message.role + "
    "'\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- elif message.role == 'assistant' %}{{- '<|im_start|>assistant' }}{%- if message.content %}{{- "
    "'\\n' + message.content }}{%- endif %}"
    '{%- for call in message.tool_calls %}{{- \'\\n<tool_call>\\n{"name": "\' + call.function.name + \'", "arguments": \' }}'
    "{{- call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}"
    "{%- elif message.role == 'tool' %}{%- if loop.first or messages[loop.index0 - 1].role != 'tool' "
    "%}{{- '<|im_start|>user' }}{%- endif %}"
    "{{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}"
    "{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
TOOLS = [{"type": "function", "function": {"name": "look", "description": "看", "parameters": {"type": "object", "properties": {}}}}]
MARKS = {
    CHATML: ["<|im_start|>", "<|im_end|>"], PHI: ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
    LLAMA: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], GEMMA: ["<start_of_turn>", "<end_of_turn>"],
}  # fmt: skip
TEMPLATES = Path(__file__).parents[1] / "tasks" / "templates"
TALK = [Message("user", "Hi"), Message("assistant", "Hello."), Message("user", "你好")]


def tokenizer_with(marks: list[str]) -> Tokenizer:
    made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(marks)
    return made


@pytest.mark.parametrize("template", MARKS, ids=["chatml", "phi", "llama", "gemma"])
def test_a_known_template_is_told_by_its_marks(tmp_path: Path, template: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    form, problem = form_of(tmp_path, tokenizer_with(MARKS[template]))
    assert isinstance(form, ChatForm)
    assert not problem
    said = [message.to_json() for message in TALK]
    (theirs,), _ = render_jinja_template([said], chat_template=template, add_generation_prompt=True)
    assert "".join(text for text, _ in render(form, TALK, is_asking=True).parts) == theirs
    own = form_of(tmp_path, tokenizer_with(MARKS[template][:-1])).form
    assert isinstance(own, ChatTemplate), "its marks are no tokens"
    for asks in (True, False):
        ways = ["".join(text for text, _ in render(each, TALK, is_asking=asks).parts) for each in (form, own)]
        assert ways[0] == ways[1], "both ways give the same text"


@pytest.mark.parametrize("has_system", [True, False])
@pytest.mark.parametrize("words", ["Let me see.", ""])
def test_talks_with_tools_are_what_the_template_writes(tmp_path: Path, has_system: bool, words: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": HERMES}))
    form = form_of(tmp_path, tokenizer_with(MARKS[CHATML])).form
    assert isinstance(form, ChatForm)
    assert (form.tools, form.system) == ("hermes", "You are Qwen.")
    calls = [{"type": "function", "function": {"name": "look", "arguments": {"at": place}}} for place in ("四", 5)]
    talk = [
        *([{"role": "system", "content": "Be short."}] if has_system else []), {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": words, "tool_calls": calls}, {"role": "tool", "content": "here"},
        {"role": "tool", "content": "there"}, {"role": "user", "content": "And?"},
    ]  # fmt: skip
    (messages,) = read_inputs({"messages": talk, "tools": TOOLS}, Limits())[1]
    assert messages is not None
    (theirs,), _ = render_jinja_template([talk], tools=TOOLS, chat_template=HERMES, add_generation_prompt=True)
    assert "".join(text for text, _ in render(form, messages, is_asking=True).parts) == theirs


def test_the_template_of_a_file_of_its_own_goes_first_and_a_strange_one_is_none(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": PHI}, {"name": "default", "template": CHATML}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    tokenizer = tokenizer_with([mark for marks in MARKS.values() for mark in marks])
    found = form_of(tmp_path, tokenizer).form
    assert isinstance(found, ChatForm)
    assert found.system == "You are a helpful AI assistant named SmolLM"
    strange = {
        "{{ messages | length }}": "does not write", "{{ messages | pprint }}": "pprint", "{{ 'a' * 10**9 }}": "more steps", "{% if %}": "",
        "{{ raise_exception('never') }}": "never",
    }  # fmt: skip
    for template, problem in strange.items():
        (tmp_path / "chat_template.jinja").write_text(template)
        left_out = form_of(tmp_path, tokenizer)
        assert left_out.form is None
        assert left_out.problem
        assert problem in left_out.problem
    (tmp_path / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.content }}{% endfor %}{{ '\\ud800' if not add_generation_prompt }}"
    )
    half = form_of(tmp_path, tokenizer).form
    assert isinstance(half, ChatTemplate)
    assert half.end == "", "no mark that a tokenizer cannot read"
    assert form_of(tmp_path / "nowhere", tokenizer) == (None, "")


def test_a_template_that_writes_more_than_a_known_form_is_kept(tmp_path: Path) -> None:
    tokenizer = tokenizer_with(["<s>", "</s>", *(mark for marks in MARKS.values() for mark in marks)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    told = {"bos_token": {"content": "<s>"}, "eos_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))

    def kept(name: str) -> ChatForm | ChatTemplate | None:
        shutil.copyfile(TEMPLATES / f"{name}.jinja", tmp_path / "chat_template.jinja")
        return form_of(tmp_path, tokenizer).form

    assert isinstance(kept("smollm2"), ChatForm)
    assert isinstance(kept("llama3"), ChatForm), "what the tokenizer begins with is no difference"
    assert isinstance(kept("gemma"), ChatForm)
    wanted = {  # asks, end, tools, system
        "qwen3": ("<|im_start|>assistant\n", "<|im_end|>", "hermes", True), "llama31": (None, "<|eot_id|>", "llama", True),
        "mistral": ("", "</s>", "", False), "zephyr": ("<|assistant|>\n", "</s>", "", True),
        "phi3": (None, "<|end|>", "", True),
    }  # fmt: skip
    for name, (ask, end, tools, hears) in wanted.items():
        form = kept(name)
        assert isinstance(form, ChatTemplate), name
        assert ask is None or form.ask == ask, name
        assert (form.end, form.tools, form.hears_system, form.bos, form.eos, form.begin) == (end, tools, hears, "<s>", "</s>", "<s>"), name
        assert stops_of(tokenizer, form) == (tokenizer.token_to_id(end),), name
        assert render(form, TALK, is_asking=True).parts[0][0][:3] != "<s>", name
    (tmp_path / "chat_template.jinja").unlink()
    named = [{"name": "default", "template": CHATML}, {"name": "tool_use", "template": (TEMPLATES / "qwen3.jinja").read_text()}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told | {"chat_template": named}))
    form = form_of(tmp_path, tokenizer).form
    assert isinstance(form, ChatTemplate)
    assert form.tools == "hermes"
    (messages,) = read_inputs({"messages": [{"role": "user", "content": "Hi"}], "tools": TOOLS}, Limits())[1]
    assert messages is not None
    assert "<tools>" in "".join(text for text, _ in render(form, messages, is_asking=True).parts)
    assert "SmolLM" in "".join(text for text, _ in render(form, TALK, is_asking=True).parts)
