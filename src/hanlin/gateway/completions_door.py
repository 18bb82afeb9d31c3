"""OpenAI's completions. Source: its reference of `/v1/completions`. The model is the endpoint.

What is not sent is as the version writes by itself, but for the length: 16 tokens, as there.
"""

from __future__ import annotations

from hanlin.errors import InvalidInput
from hanlin.gateway import generation_operations as operations
from hanlin.gateway import strict_json
from hanlin.gateway.chat_door import stream_of
from hanlin.gateway.completions_wire import Completion, CompletionStream
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.fields import endpoint_of, flag, integer, text, untaken
from hanlin.gateway.generation_fields import MAX_LIKELIEST, MAX_SEQUENCES, SAMPLING, TASK, form, ignored, length, sampling, stops
from hanlin.types import JsonObject, JsonValue

USUAL_TOKENS = 16
_IGNORED = ("user",)
_FIELDS = (
    "model", "prompt", "max_tokens", "n", "best_of", "stop", "echo", "logprobs", "stream", "stream_options", "response_format", "suffix",
    *SAMPLING, *_IGNORED,
)  # fmt: skip


def read_completion(body: bytes, _: str) -> Ask:
    """See `door.Read`. Raises InvalidInput (`invalid_parameter`, `field_not_taken`) for what these completions do not do."""
    value = strict_json.parse_object(body, allowed=_FIELDS, required=("model", "prompt"))
    model = endpoint_of(value)
    untaken(value, ("suffix",))
    if value.get("user") is not None:
        text(value, "user")
    is_streamed, has_usage = stream_of(value)
    prompt = value["prompt"]
    prompts: list[JsonValue] = prompt if isinstance(prompt, list) else [prompt]
    count = _count(value)
    chances = _chances(value)
    is_echoed = flag(value, "echo", default=False)
    if is_echoed and chances:
        raise InvalidInput("invalid_parameter", name="echo", expected="false beside logprobs", found="true")
    parameters = (
        {"max_new_tokens": USUAL_TOKENS} | sampling(value) | length(value, "max_tokens") | stops(value, "stop")
        | form(value.get("response_format"), "response_format") | chances | ({"num_return_sequences": count} if count > 1 else {})
        | ({"return_full_text": True} if is_echoed else {})
    )  # fmt: skip
    echo = tuple(each for each in prompts if isinstance(each, str)) if is_echoed else ()
    call = Completion(
        model, count, echo, has_chances=bool(chances), has_usage=has_usage, ignored=tuple(ignored(value, _IGNORED))
    )  # fmt: skip
    return Ask(model, prompts, parameters, TASK, call.write, stream=CompletionStream(call) if is_streamed else None)


def _count(value: JsonObject) -> int:
    """Answers to each prompt; the best of more are not looked for."""
    count = integer(value, "n", low=1, high=MAX_SEQUENCES) or 1
    best = integer(value, "best_of", low=1, high=MAX_SEQUENCES)
    if best is not None and best != count:
        raise InvalidInput("invalid_parameter", name="best_of", expected=f"what n is ({count})", found=str(best))
    return count


def _chances(value: JsonObject) -> JsonObject:
    """Parameters that ask for the tokens' chances: here a number asks, also 0."""
    found: JsonValue = integer(value, "logprobs", low=0, high=MAX_LIKELIEST)
    return {} if found is None else {"details": True, **({"top_n_tokens": found} if found else {})}


DOORS = (Door("/v1/completions", read=read_completion, post=operations.COMPLETIONS),)
