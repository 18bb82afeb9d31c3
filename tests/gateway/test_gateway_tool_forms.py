"""Every form of calls: read alike whole and in pieces, and what a grammar makes certain is read as the call."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest

from hanlin.engines.call_forms import call_grammar
from hanlin.errors import InvalidInput
from hanlin.gateway.tool_calls import Told, ToolText, split, told_of
from hanlin.generation import MAX_CONSTRAINT
from hanlin.tasks.tool_choice import Forced
from hanlin.tool_forms import FORMS, can_force, forced

ARGUMENTS = '{"at": "[x] <y>"}'
ONE = f'{{"name": "look", "arguments": {ARGUMENTS}}}'
TAGGED = '<tool_call>\n<function=look>\n<parameter=at>\n"[x] <y>"\n</parameter>\n</function>\n</tool_call>'
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}]
WRITTEN = [
    ("qwen-coder", "words\n", TAGGED.replace('"', ""), 1), ("qwen-coder", "", "\n".join([TAGGED.replace('"', "")] * 2), 2),
    ("qwen-coder", "", TAGGED.removesuffix("</function>\n</tool_call>"), 0), ("qwen-coder", "", "<tool_call>\n" + ONE, 0),
    ("qwen-coder", "", "<tool_call><function=look>" + "<parameter=at>" * 50_000, 0), ("hermes", "", TAGGED, 0),
    ("hermes", "words ", f"<tool_call>{ONE}</tool_call>", 1),
    ("llama", "", ONE.replace("arguments", "parameters"), 1), ("llama", "", " ; ".join([ONE.replace("arguments", "parameters")] * 2), 2),
    ("llama", "words ", "<|python_tag|>" + ONE.replace("arguments", "parameters"), 1),
    ("llama", "", ONE.replace("arguments", "parameters") + "; ", 1),
    ("llama", "", '{"name": "no call"}', 0), ("llama", "words {", ONE, 0),
    ("mistral", "words", f"[TOOL_CALLS] [{ONE}, {ONE}]", 2), ("mistral", "", "[TOOL_CALLS] []", 0),
    ("mistral", "", '[TOOL_CALLS] [{"name": "look", "parameters": {"at": 1}}]', 0),
    ("mistral", "", "[TOOL_CALLS]" + "[" * 100_000, 0), ("llama", "", '{"a":' * 100_000, 0),
    ("mistral-named", "words ", f"[TOOL_CALLS]look[ARGS]{ARGUMENTS}[TOOL_CALLS]look{ARGUMENTS}", 2),
    ("mistral-named", "", f"[TOOL_CALLS]look[CALL_ID]abc[ARGS]{ARGUMENTS}", 1),
    ("mistral-named", "", '[TOOL_CALLS]look[ARGS]{"a": "\\ud800"}', 0), ("mistral-named", "", "[TOOL_CALLS]look", 0),
]  # fmt: skip


@pytest.mark.parametrize(("form", "words", "calls", "count"), WRITTEN, ids=range(len(WRITTEN)))
def test_calls_of_a_form_are_read_and_nothing_is_lost(form: str, words: str, calls: str, count: int) -> None:
    text = words + calls
    told_of = Told(form)
    whole = split(text, told_of, TOOLS)
    assert [call["function"] for call in whole.calls] == [{"name": "look", "arguments": ARGUMENTS}] * count
    assert whole.text == (words.rstrip() if count else text)
    source = random.Random(3)
    for _ in range(20):
        places = [0, *sorted(source.randrange(len(text) + 1) for _ in range(source.randrange(9))), len(text)]
        written = ToolText(TOOLS)
        told = "".join(written.push(text[start:end], told_of) for start, end in pairwise(places))
        rest = written.end()
        assert (told + rest.text, [call["function"] for call in rest.calls]) == (whole.text, [call["function"] for call in whole.calls])


def test_a_name_that_a_form_cannot_hold_is_refused_and_marks_in_a_name_are_text() -> None:
    named = Forced(({"name": "get [ARGS] x", "parameters": {}},), 1)
    with pytest.raises(InvalidInput, match="names without spaces"):
        named.constraint("mistral-named", {})
    with pytest.raises(InvalidInput, match=r"qwen-coder.* cannot be made certain"):
        named.constraint("qwen-coder", {})
    told = named.constraint("mistral", {"[TOOL_CALLS]": 7, "[ARGS]": 8})
    grammar = call_grammar(told.text, {})
    assert "<[7]>" in grammar and "<[8]>" not in grammar
    large = Forced(({"name": "a", "parameters": {"const": "x" * (MAX_CONSTRAINT - 300)}},), 1)
    assert len(large.constraint("mistral", {}).text) < MAX_CONSTRAINT
    with pytest.raises(InvalidInput, match="at most"):
        large.constraint("mistral", {"[TOOL_CALLS]" * 30: 7})


@pytest.mark.parametrize(("told", "form"), [({}, "hermes"), ({"tool_form": "llama"}, "llama"), ({"tool_form": "of tomorrow"}, "hermes")])
def test_a_form_that_is_not_known_is_no_error(told: dict, form: str) -> None:
    assert told_of(told) == Told(form)


@pytest.mark.parametrize(("form", "calls"), [(form, calls) for form, _, calls, count in WRITTEN if count == 2])
def test_where_one_call_counts_further_ones_are_left_out(form: str, calls: str) -> None:
    told = told_of({"tool_form": form, "most_calls": 1})
    (call,) = split(calls, told, TOOLS).calls
    assert call["function"]["name"] == "look"


def test_arguments_between_tags_are_json_unless_their_schema_says_words() -> None:
    given = {"at": "5", "count": "5", "deep": '{"a": [1]}', "yes": "True", "no": "None", "odd": "NaN", "lines": "\na\n</parameter> b\n"}
    tags = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in given.items())
    (call,) = split(f"<tool_call>\n<function=look>\n{tags}</function>\n</tool_call>", Told("qwen-coder"), TOOLS).calls
    read = {"at": "5", "count": 5, "deep": {"a": [1]}, "yes": True, "no": None, "odd": "NaN", "lines": given["lines"]}
    assert json.loads(call["function"]["arguments"]) == read


@pytest.mark.parametrize(
    ("schema", "written", "read"),
    [
        ({"type": ["string", "null"]}, "10115", "10115"), ({"type": ["string", "null"]}, "null", None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "true", "true"), ({"anyOf": [{"type": "string"}, {}]}, "5", 5),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, "5", 5), ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, "x", "x"),
        ({"enum": ["1", "2"]}, "1", "1"), ({"enum": [1, "1"]}, "1", 1), ({"const": "7"}, "7", "7"), ({"const": None}, "None", None),
        ({"type": ["array", "string"]}, "[1]", [1]), ({"type": ["array", "string"]}, "{}", "{}"), ({"$ref": "#/$defs/x"}, "5", 5),
    ],
)  # fmt: skip
def test_arguments_between_tags_are_words_where_their_schema_takes_nothing_else_of_them(schema: dict, written: str, read: object) -> None:
    """Bug: of a text or nothing, as Python's clients write what may be left out, numbers were made of words."""
    tool = {"type": "function", "function": {"name": "look", "parameters": {"properties": {"at": schema}}}}
    text = f"<tool_call>\n<function=look>\n<parameter=at>\n{written}\n</parameter>\n</function>\n</tool_call>"
    (call,) = split(text, Told("qwen-coder"), [tool]).calls
    assert json.loads(call["function"]["arguments"]) == {"at": read}


@pytest.mark.parametrize("name", ["a\x7fb", "a\x80b", 'a"\\\x7f'])
def test_a_name_with_a_control_character_compiles(name: str) -> None:
    from llguidance import LLMatcher

    for form in ("hermes", "mistral-named"):
        told = Forced(({"name": name, "parameters": {"type": "object"}},), 1).constraint(form, {})
        assert not LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(call_grammar(told.text, {})))


@pytest.mark.parametrize("has_marks", [True, False])
@pytest.mark.parametrize("form", [name for name, form in FORMS.items() if can_force(form)])
def test_what_a_grammar_makes_certain_is_a_call_of_the_form(form: str, has_marks: bool) -> None:
    from llguidance import LLMatcher, LLTokenizer
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    names = FORMS[form].names if has_marks else ()
    made.add_special_tokens(["<end>", *names])
    tool = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"const": "x"}}, "required": ["at"],
                                           "additionalProperties": False}}  # fmt: skip
    marks = {name: made.token_to_id(name) for name in names}
    grammar = call_grammar(json.dumps(forced(FORMS[form], [tool], most=1, tokens=marks)), {"whitespace_flexible": False})
    matcher = LLMatcher(LLTokenizer(made.to_str(), eos_token=made.token_to_id("<end>")), LLMatcher.grammar_from_lark(grammar))
    written: list[int] = []
    while not matcher.is_stopped() and len(written) < 200:
        forced_ids = matcher.compute_ff_tokens() or [matcher.compute_logit_bias().index(200)]
        written += forced_ids
        assert matcher.consume_tokens(forced_ids), matcher.get_error()
    text = made.decode([token for token in written if token != made.token_to_id("<end>")], skip_special_tokens=False)
    (call,) = split(text, Told(form), []).calls
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("look", {"at": "x"}), text
