"""How many tokens texts and talks have as a model reads them, however many that are. No engine runs for it."""

from __future__ import annotations

from hanlin.errors import InvalidInput
from hanlin.tasks.base import Limits
from hanlin.tasks.chat import render
from hanlin.tasks.chat_tokens import num_encoded
from hanlin.tasks.continuations import Talk, check_asking, read_inputs
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.parameters import check_names
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizing import Answered
from hanlin.types import JsonObject, JsonValue


def count(inputs: JsonValue, parameters: JsonObject, encoder: TextEncoder, spec: ModelSpec, limits: Limits) -> Answered:
    """`[number, …]` of the tokens of each item, with what stands before and behind what is said.

    Raises:
        InvalidInput: as `read_inputs` and `check_asking`; `no_chat_form`, `unknown_parameter`.
    """
    check_names(parameters, ())
    texts, talks, _ = read_inputs(inputs, limits)
    check_asking(talks)
    sizes = [
        _spoken(talk, encoder, spec, index) if talk else encoder.size(text) - len(encoder.tail)
        for index, (text, talk) in enumerate(zip(texts, talks, strict=True))
    ]
    return Answered([*sizes], len(sizes), sum(sizes))


def _spoken(talk: Talk, encoder: TextEncoder, spec: ModelSpec, index: int) -> int:
    if spec.chat is None:
        raise InvalidInput("no_chat_form", index=index)
    said = render(spec.chat, talk, is_asking=True, index=index)
    return len(encoder.head) + num_encoded(encoder.tokenizer, said.parts, is_free=said.is_free)
