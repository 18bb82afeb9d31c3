"""Rows that vLLM writes: our settings in its words, its outputs as deltas. Knows no processor.

Source: vLLM 0.32, `v1/engine/llm_engine.py` (`add_request`, `abort_request`, `step`), `sampling_params.py`, `outputs.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from hanlin.engines.base import Floats, Ids, step_failed
from hanlin.engines.constraints import WHITESPACE, Constraints, refused
from hanlin.engines.json_schemas import plainer
from hanlin.errors import HanlinError, InvalidInput
from hanlin.generation import Constraint, Delta, FinishReason, Generated, GenerationSettings, Seen, longer
from hanlin.networks.generation.form import Form

MAX_ROWS = 256
_PATIENCE_S = 0.05  # for a form, while nothing else can be done
_FINISHES: Mapping[str, FinishReason] = {"stop": "stop", "length": "length"}


@dataclass(slots=True)
class _Row:
    """A row that is open.

    Attributes:
        form: that its constraint is one, to be known before vLLM is told of the row.
    """

    ids: tuple[int, ...]
    settings: GenerationSettings
    stops: frozenset[int]
    is_fresh: bool = False
    form: Future[Form] | None = None
    seen: list[Seen] = field(default_factory=list)


class VllmWriter:
    """See `StreamingSession`. vLLM's engine is stepped by `turn`, on the thread that calls it.

    Args:
        engine: vLLM's `LLMEngine`, its core in this process.
        library: the module `vllm`.
        stops: what ends a target unless the settings say otherwise.
        positions: tokens that a row may have.
    """

    num_streams = 1
    step_tokens: int | None = None
    has_tokens = False
    max_rows = MAX_ROWS

    def __init__(
        self, engine: Any, library: ModuleType, variant: str, *, stops: Sequence[int], positions: int, num_tokens: int,
        room_tokens: int | None, constraints: Constraints,
    ) -> None:  # fmt: skip
        self._engine, self._library, self._variant = engine, library, variant
        self._stops, self._positions, self._num_tokens = frozenset(stops), positions, num_tokens
        self._constraints = constraints
        self.room_tokens = room_tokens
        self._open: dict[int, _Row] = {}
        self._waiting: set[int] = set()
        self._ended: list[Delta] = []

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `WritingSession`: it has no arrays to answer with."""
        raise step_failed(self._variant, TypeError("a network that writes"))

    def admit(self, number: int, row: Sequence[int], settings: GenerationSettings) -> None:
        """See `StreamingSession.admit`. A form that takes long is made meanwhile; if it is none its row ends with that error."""
        if settings.reads:
            raise InvalidInput("setting_not_served", variant=self._variant, name="reads")
        self._take(number, row, settings)

    def drop(self, number: int) -> None:
        """See `StreamingSession.drop`."""
        self._ended = [delta for delta in self._ended if delta.number != number]
        if self._open.pop(number, None) is not None and number not in self._waiting:
            self._engine.abort_request([str(number)])
        self._waiting.discard(number)

    def turn(self) -> list[Delta]:
        """See `StreamingSession.turn`."""
        self._tell_of_forms()
        deltas, self._ended = self._ended, []
        if len(self._open) == len(self._waiting):
            return deltas
        try:
            outputs = self._engine.step()
        except Exception as error:  # vLLM's own, torch's, the driver's
            self._forget()
            raise step_failed(self._variant, error) from error
        return deltas + [delta for output in outputs if (delta := self._delta(output)) is not None]

    def generate(
        self, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], *, is_wanted: Callable[[int], bool] = lambda row: True
    ) -> list[Generated]:
        """See `WritingSession.generate`. Nothing that is known of earlier rows is used: such calls judge and measure."""
        found: dict[int, Generated] = {}
        so_far = dict.fromkeys(range(len(rows)), Generated((), "cancelled"))
        try:
            for number, (row, each) in enumerate(zip(rows, settings, strict=True)):
                self._take(number, row, each, is_fresh=True)
            while len(found) < len(rows):
                for number in [number for number in so_far if number not in found and not is_wanted(number)]:
                    self.drop(number)
                    found[number] = so_far[number]
                for delta in self.turn():
                    if delta.error is not None:
                        raise delta.error
                    so_far[delta.number] = longer(so_far[delta.number], delta)
                    if delta.finish is not None:
                        found[delta.number] = so_far[delta.number]
        except BaseException:
            self._forget()
            raise
        return [found[number] for number in range(len(rows))]

    def close(self) -> None:
        """End vLLM's core, which gives the processor's memory back."""
        self._forget()
        engine, self._engine = self._engine, None
        self._constraints.close()
        if engine is not None:
            engine.engine_core.shutdown()

    def _take(self, number: int, row: Sequence[int], settings: GenerationSettings, *, is_fresh: bool = False) -> None:
        self._check(settings)
        stops = self._stops if settings.stop_ids is None else frozenset(settings.stop_ids)
        if not 0 <= min(row) <= max(row) < self._num_tokens:
            self._ended.append(Delta(number, finish="cancelled", error=step_failed(self._variant, IndexError("ids beyond the vocabulary"))))
        elif len(row) >= self._positions:
            self._ended.append(Delta(number, finish="length"))
        else:
            form = self._constraints.form(settings.constraint) if settings.constraint is not None else None
            taken = self._open[number] = _Row(tuple(row), settings, stops, is_fresh, form)
            if form is None:
                self._tell(number, taken)
            else:
                self._waiting.add(number)

    def _check(self, settings: GenerationSettings) -> None:
        """Raises InvalidInput (`setting_not_served`, `constraint_refused`) for what vLLM does not do, or does otherwise."""
        asked = {"num_beams": settings.num_beams > 1, "no_repeat_ngram": settings.no_repeat_ngram > 0, "prefix": bool(settings.prefix)}
        if name := next((name for name, is_asked in asked.items() if is_asked), None):
            raise InvalidInput("setting_not_served", variant=self._variant, name=name)
        if settings.grammar is not None:
            raise refused(f"{self._variant} keeps to JSON schemas, regular expressions and Lark grammars alone")

    def _tell_of_forms(self) -> None:
        """Rows whose forms are made go to vLLM; those that have none end."""
        is_alone = len(self._waiting) == len(self._open) and not self._ended
        for number in sorted(self._waiting):
            row = self._open[number]
            assert row.form is not None
            if is_alone:
                with suppress(Exception):
                    row.form.exception(_PATIENCE_S)
            if not row.form.done():
                continue
            self._waiting.discard(number)
            try:
                row.form.result()
                self._tell(number, row)
            except Exception as error:
                self._fail(number, error)

    def _tell(self, number: int, row: _Row) -> None:
        try:
            self._engine.add_request(str(number), {"prompt_token_ids": list(row.ids)}, self._parameters(row))
        except Exception as error:  # what it checks of a request, it says by exceptions of its own
            self._fail(number, error)

    def _fail(self, number: int, error: Exception) -> None:
        """The row alone has failed."""
        self._open.pop(number, None)
        told = error if isinstance(error, HanlinError) else step_failed(self._variant, error)
        self._ended.append(Delta(number, finish="cancelled", error=told))

    def _parameters(self, row: _Row) -> Any:
        """The settings as vLLM's `SamplingParams`."""
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        settings = row.settings
        bias = dict(settings.logit_bias) | dict.fromkeys(settings.banned_ids, -math.inf)
        told: dict[str, Any] = {
            "max_tokens": 1 if settings.reads else min(settings.max_new_tokens, self._positions - len(row.ids)),
            "min_tokens": settings.min_new_tokens, "temperature": settings.temperature, "top_k": settings.top_k, "top_p": settings.top_p,
            "seed": settings.seed if settings.temperature else None, "repetition_penalty": settings.repetition_penalty,
            "presence_penalty": settings.presence_penalty, "frequency_penalty": settings.frequency_penalty,
            "logit_bias": bias or None, "logprobs": settings.likeliest if settings.tells else 0,
            "prompt_logprobs": settings.likeliest if settings.reads else None, "skip_reading_prefix_cache": row.is_fresh or settings.reads,
            "ignore_eos": True, "stop_token_ids": sorted(row.stops | self._stops if settings.constraint else row.stops),
            "detokenize": False, "output_kind": RequestOutputKind.FINAL_ONLY if settings.reads else RequestOutputKind.DELTA,
        }  # fmt: skip
        if settings.constraint is not None:
            told["structured_outputs"] = StructuredOutputsParams(**_form_words(settings.constraint))
        return self._library.SamplingParams(**told)

    def _delta(self, output: Any) -> Delta | None:
        """What one output of a step says; None for a row that has been dropped meanwhile."""
        number = int(output.request_id)
        if (row := self._open.get(number)) is None:
            return None
        written = output.outputs[0]
        reason = written.finish_reason
        if output.finished or reason is not None:
            del self._open[number]
        if row.settings.reads:
            return _read(number, row, output)
        finish = _FINISHES.get(reason) if reason is not None else None
        if reason is not None and finish is None:
            error = step_failed(self._variant, RuntimeError(f"vLLM ended a row: {reason}"))
            return Delta(number, finish="cancelled", error=error)
        ids, chances = list(written.token_ids), list(written.logprobs or ())
        score = sum(chance[token].logprob for token, chance in zip(ids, chances, strict=True))
        if finish == "stop" and ids and ids[-1] in row.stops | self._stops:
            ids, chances = ids[:-1], chances[: len(ids) - 1]
        seen = tuple(_seen(token, chance, row.settings.likeliest) for token, chance in zip(ids, chances, strict=True))
        score = sum(each.log for each in seen)
        return Delta(
            number, tuple(ids), finish, seen if row.settings.tells else (), score, (output.num_cached_tokens or 0) if finish else 0
        )

    def _forget(self) -> None:
        """Drop all rows."""
        told = [str(number) for number in self._open if number not in self._waiting]
        self._open, self._waiting, self._ended = {}, set(), []
        if told and self._engine is not None:
            with suppress(Exception):
                self._engine.abort_request(told)


def _form_words(constraint: Constraint) -> dict[str, Any]:
    """A form in vLLM's words; all of them end in llguidance, as ours do."""
    if constraint.kind == "regex":
        return {"regex": constraint.text}
    if constraint.kind == "lark":
        return {"grammar": constraint.text}
    text = plainer(constraint.text) if constraint.kind == "json_schema" else '{"type": "object"}'
    return {"grammar": f"start: %json {json.dumps(json.loads(text) | {'x-guidance': WHITESPACE})}"}


def _read(number: int, row: _Row, output: Any) -> Delta:
    """How a row's own tokens were seen coming, from its second on."""
    places = (output.prompt_logprobs or [])[1:]
    seen = tuple(_seen(token, chance, row.settings.likeliest) for token, chance in zip(row.ids[1:], places, strict=True))
    return Delta(number, finish="stop", seen=seen, score=sum(each.log for each in seen))


def _seen(token: int, chances: Mapping[int, Any], likeliest: int) -> Seen:
    """vLLM tells of the token and of the likeliest, in one map."""
    own = chances[token]
    best = sorted(((each, told) for each, told in chances.items() if told.rank <= likeliest), key=lambda pair: (pair[1].rank, pair[0]))
    return Seen(own.logprob, own.rank == 1, tuple((each, told.logprob) for each, told in best[:likeliest]))
