"""Settings in vLLM's words, and what vLLM tells of a row in ours. Knows no engine that runs.

Source: vLLM 0.32, `sampling_params.py`, `outputs.py`, `logprobs.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hanlin.engines.base import step_failed
from hanlin.engines.constraints import Wording
from hanlin.errors import InvalidInput
from hanlin.generation import Delta, FinishReason, GenerationSettings, Seen

_FINISHES: Mapping[str, FinishReason] = {"stop": "stop", "length": "length"}
_NEARLY_NEVER = -100.0  # where a form may leave nothing but what is banned: the form wins
_FORMS = {"json_schema": "json", "regex": "regex", "lark": "grammar"}


def check_served(settings: GenerationSettings, variant: str) -> None:
    """Raises InvalidInput (`setting_not_served`) for what vLLM does not do, or does otherwise."""
    asked = {
        "num_beams": settings.num_beams > 1, "no_repeat_ngram": settings.no_repeat_ngram > 0, "prefix": bool(settings.prefix),
        "grammar": settings.grammar is not None, "adapter": settings.adapter is not None,
    }  # fmt: skip
    if name := next((name for name, is_asked in asked.items() if is_asked), None):
        raise InvalidInput("setting_not_served", variant=variant, name=name)


def parameters(
    settings: GenerationSettings, *, stops: frozenset[int], num_tokens: int, room: int, is_fresh: bool, wording: Wording | None
) -> Any:
    """vLLM's `SamplingParams`.

    Args:
        stops: what ends the row.
        num_tokens: of the vocabulary; what is said of ids beyond it changes nothing, and vLLM would refuse it.
        room: tokens that may be written.
        is_fresh: nothing that is known of earlier rows is used.
        wording: of its constraint.
    """
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    banned = -math.inf if wording is None else _NEARLY_NEVER
    bias = dict(settings.logit_bias) | dict.fromkeys(settings.banned_ids, banned)
    bias = {token: value for token, value in bias.items() if token < num_tokens}
    most = 1 if settings.reads else min(settings.max_new_tokens, room)
    told: dict[str, Any] = {
        "max_tokens": most, "min_tokens": min(settings.min_new_tokens, most) if wording is None else 0,
        "temperature": settings.temperature, "top_k": settings.top_k, "top_p": settings.top_p,
        "seed": settings.seed if settings.temperature else None, "repetition_penalty": settings.repetition_penalty,
        "presence_penalty": settings.presence_penalty, "frequency_penalty": settings.frequency_penalty,
        "logit_bias": bias or None, "logprobs": settings.likeliest if settings.tells else 0,
        "prompt_logprobs": settings.likeliest if settings.reads else None, "skip_reading_prefix_cache": is_fresh or settings.reads,
        "ignore_eos": True, "stop_token_ids": sorted(token for token in stops if token < num_tokens),
        "detokenize": False, "output_kind": RequestOutputKind.FINAL_ONLY if settings.reads else RequestOutputKind.DELTA,
    }  # fmt: skip
    if wording is not None:
        told["structured_outputs"] = StructuredOutputsParams(**{_FORMS[wording.kind]: wording.text})
    return SamplingParams(**told)


def delta_of(output: Any, number: int, settings: GenerationSettings, stops: frozenset[int], variant: str) -> Delta:
    """What one `RequestOutput` says of a row that is written; `score` is of the tokens' chances before any rule."""
    written = output.outputs[0]
    reason = written.finish_reason
    finish = _FINISHES.get(reason)
    if reason is not None and finish is None:
        return Delta(number, finish="cancelled", error=step_failed(variant, RuntimeError(f"vLLM ended a row: {reason}")))
    ids, chances = list(written.token_ids), list(written.logprobs or ())
    score = sum(chance[token].logprob for token, chance in zip(ids, chances, strict=True))
    if finish == "stop" and ids and ids[-1] in stops:
        ids, chances = ids[:-1], chances[:-1]
    told = zip(ids, chances, strict=True) if settings.tells else ()
    seen = tuple(_seen(token, chance, settings.likeliest) for token, chance in told)
    return Delta(number, tuple(ids), finish, seen, score, (output.num_cached_tokens or 0) if finish else 0)


def reading_of(output: Any, number: int, row: Sequence[int], likeliest: int) -> Delta:
    """How a row's own tokens were seen coming, from its second on."""
    places = (output.prompt_logprobs or [])[1:]
    seen = tuple(_seen(token, chance, likeliest) for token, chance in zip(row[1:], places, strict=True))
    return Delta(number, finish="stop", seen=seen, score=sum(each.log for each in seen))


def _seen(token: int, chances: Mapping[int, Any], likeliest: int) -> Seen:
    """vLLM tells of the token and of the likeliest, in one map."""
    own = chances[token]
    best = sorted(((each, told) for each, told in chances.items() if told.rank <= likeliest), key=lambda pair: (pair[1].rank, pair[0]))
    is_level = likeliest > 0 and own.logprob >= max(told.logprob for told in chances.values())  # of equals one alone has the first rank
    return Seen(own.logprob, own.rank == 1 or is_level, tuple((each, told.logprob) for each, told in best[:likeliest]))
