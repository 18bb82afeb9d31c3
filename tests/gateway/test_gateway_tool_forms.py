"""Every form of calls: read alike whole and in pieces, and what a grammar makes certain is read as the call."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest

from hanlin.engines.call_forms import call_grammar
from hanlin.errors import InvalidInput
from hanlin.gateway.tool_calls import ToolText, form_of, split
from hanlin.generation import MAX_CONSTRAINT, Constraint
from hanlin.tasks.tool_choice import in_form
from hanlin.tool_forms import FORMS, forced

ARGUMENTS = '{"at": "[x] <y>"}'
ONE = f'{{"name": "look", "arguments": {ARGUMENTS}}}'
WRITTEN = [
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
    whole = split(text, form)
    assert [call["function"] for call in whole.calls] == [{"name": "look", "arguments": ARGUMENTS}] * count
    assert whole.text == (words.rstrip() if count else text)
    source = random.Random(3)
    for _ in range(20):
        places = [0, *sorted(source.randrange(len(text) + 1) for _ in range(source.randrange(9))), len(text)]
        written = ToolText()
        told = "".join(written.push(text[start:end], form) for start, end in pairwise(places))
        rest = written.end()
        assert (told + rest.text, [call["function"] for call in rest.calls]) == (whole.text, [call["function"] for call in whole.calls])


def test_a_name_that_a_form_cannot_hold_is_refused_and_marks_in_a_name_are_text() -> None:
    named = json.dumps(forced(FORMS["hermes"], [{"name": "get [ARGS] x", "parameters": {}}], most=1, tokens={}))
    with pytest.raises(InvalidInput, match="names without spaces"):
        in_form(Constraint("tool_calls", named), "mistral-named", {})
    told = in_form(Constraint("tool_calls", named), "mistral", {"[TOOL_CALLS]": 7, "[ARGS]": 8})
    grammar = call_grammar(told.text, {})
    assert "<[7]>" in grammar and "<[8]>" not in grammar
    large = forced(FORMS["hermes"], [{"name": "a", "parameters": {"const": "x" * (MAX_CONSTRAINT - 260)}}], most=1, tokens={})
    assert len(json.dumps(large)) < MAX_CONSTRAINT
    with pytest.raises(InvalidInput, match="at most"):
        in_form(Constraint("tool_calls", json.dumps(large)), "mistral", {"[TOOL_CALLS]" * 30: 7})


@pytest.mark.parametrize(("told", "form"), [({}, "hermes"), ({"tool_form": "llama"}, "llama"), ({"tool_form": "of tomorrow"}, "hermes")])
def test_a_form_that_is_not_known_is_no_error(told: dict, form: str) -> None:
    assert form_of(told) == form


@pytest.mark.parametrize("has_marks", [True, False])
@pytest.mark.parametrize("form", FORMS)
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
    (call,) = split(text, form).calls
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("look", {"at": "x"}), text
