"""Answers and meanings that a model is asked for by prompts: calls cannot say how tokens are drawn, so none are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.tasks.fake_networks import MEANINGS, bert_tokenizer, specs_of

from hanlin.generation import GenerationSettings
from hanlin.tasks import TASKS, Limits
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.prompt_form import PromptForm

DRAWN = GenerationSettings(temperature=0.7, top_k=20, top_p=0.8, stop_ids=(3,))  # as Qwen2.5 says of itself
SAYS = "a red fox"


@pytest.mark.parametrize(
    ("name", "ask", "inputs"),
    [
        ("question-answering", "{question} {passages}", {"question": "which", "context": SAYS}),
        ("question-answering", "{question} {passages}", {"question": "which", "documents": [SAYS]}),
        ("semantic-parsing", "{text}", SAYS),
    ],
)
def test_what_is_read_out_of_a_text_is_written_greedily_whatever_its_model_says_of_draws(name: str, ask: str, inputs: object) -> None:
    """Bug: a certificate held draws against draws, and the greedy figure of a task against drawn answers."""
    base = specs_of(TASKS.get("text-generation"))[0]
    spec = replace(base, task=name, chat=None, prompt=PromptForm(ask), generation=DRAWN, meanings=MEANINGS)
    task = TASKS.get(name)
    request = task.check(inputs, {}, limits=Limits())  # type: ignore[arg-type]
    encoded = task.encode(request, TextEncoder(bert_tokenizer(), spec), spec)
    assert encoded.generation is not None
    assert {(each.temperature, each.num_beams, each.stop_ids) for each in encoded.generation} == {(0.0, 1, (3,))}
