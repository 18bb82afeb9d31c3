"""An engine's stream of rows, without a server: SmolLM2-135M-Instruct against transformers' own `generate`, and its speed.

usage: python bench/streaming_engine.py ARTIFACT [--variant torch-fp32] [--threads 1] [--tokens 48] [--only NAME …]

ARTIFACT is what `bench/smollm_artifact.py` makes. One JSON object: `same` (20 prompts, streamed side by side,
are to be transformers' greedy tokens), `greedy` (200 texts, each place held against transformers' scores, but for ties), `decode` (tokens
a second of processor time at so many streams), `first` (seconds to the first token of 512, idle and beside 8 streams, and these streams'
gaps meanwhile), `prefix` (a prompt of 2,000 tokens, and once more with another end), `forms` (as `decode`, JSON beside free text),
`guesses` (OpenVINO: tokens a second of processor time, guessed out of the prompt and not, of one stream that quotes, summarises, or
neither). Ends with 1 when a token differs that is no tie.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import mock

import torch
from tokenizers import Tokenizer

from hanlin.engines.base import StreamingSession, load_variant
from hanlin.engines.lookup import Lookup
from hanlin.generation import Constraint, GenerationSettings
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.types import JsonObject
from texts import short_texts

TEXTS = (
    "The capital of France is", "Once upon a time there was", "def add(a, b):", "The three largest oceans are", "Water boils at",
    "In the beginning", "My favourite colour is", "To make tea, first", "The president said that", "Photosynthesis is the process",
    "1, 2, 3, 4,", "Dear colleague,", "The opposite of hot is", "She opened the door and", "A haiku about rain:", "The best way to learn",
    "Monday, Tuesday,", "It was a dark and stormy night", "The moon is", "Question: What is the largest planet? Answer:",
)  # fmt: skip
SCHEMA = {
    "type": "object", "required": ["name", "age", "tags", "note"], "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "maxLength": 30}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 3, "maxItems": 6},
        "note": {"type": "string", "minLength": 150, "maxLength": 400},
    },
}  # fmt: skip
STORY = (
    "The city council met on Tuesday to discuss the new bridge over the Mill River. Mayor Anna Clark said that the bridge will cost 12 "
    "million dollars and will open in May 2027. The old bridge, built in 1931, carries 8,000 cars a day and was closed to trucks "
    "last winter after engineers found cracks in two of its piers. Council member John Reed asked that cyclists get a lane of their own."
)
WISHES = {
    "summary": f"Summarize the following text in two sentences:\n{STORY}",
    "quotes": f"List all names of people in this text, and quote the sentence of each:\n{STORY}",
    "copy": f"Correct the spelling of this text and write it out in full:\n{STORY}", "free": "Write a poem about the sea.",
}  # fmt: skip
TIE = 1e-3  # two scores so near may change places in another order of sums
JSON = {"constraint": Constraint("json_schema", json.dumps(SCHEMA))}


class Ear:
    """Runs turns, and remembers when each row was told what."""

    def __init__(self, session: StreamingSession) -> None:
        self._session = session
        self.ids: dict[int, list[int]] = {}
        self.times_s: dict[int, list[float]] = {}
        self.cached: dict[int, int] = {}

    def admit(self, number: int, row: Sequence[int], asked: GenerationSettings) -> None:
        self._session.admit(number, row, asked)
        self.ids[number], self.times_s[number] = [], [time.perf_counter()]

    def turn(self) -> bool:
        for delta in self._session.turn():
            assert delta.error is None, delta.error
            self.ids[delta.number] += delta.ids
            self.times_s[delta.number] += [time.perf_counter()] * bool(delta.ids)
            if delta.finish:
                self.cached[delta.number] = delta.num_cached
        return len(self.cached) < len(self.ids)

    def run(self) -> None:
        while self.turn():
            pass

    def first_s(self, number: int) -> float:
        return self.times_s[number][1] - self.times_s[number][0]

    def gaps_s(self, number: int) -> list[float]:
        times = self.times_s[number][1:]
        return [after - before for before, after in itertools.pairwise(times)]


def same(session: StreamingSession, rows: list[list[int]], folder: Path, tokens: int) -> JsonObject:
    from transformers import AutoModelForCausalLM

    ear, asked = Ear(session), GenerationSettings(max_new_tokens=tokens, stop_ids=())
    for number, row in enumerate(rows):
        ear.admit(number, row, asked)
        ear.turn()
    ear.run()
    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    model.generation_config.eos_token_id = None
    different: list[int] = []
    for number, row in enumerate(rows):
        ids = torch.tensor([row])
        with torch.inference_mode():
            whole = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, pad_token_id=0)
        if whole[0, len(row) :].tolist() != ear.ids[number]:
            different.append(number)
    return {"rows": len(rows), "tokens": tokens, "different": [*different]}


def greedy(session: StreamingSession, rows: list[list[int]], folder: Path, tokens: int) -> JsonObject:
    """Rows that are streamed 16 at a time: where another token than ours has the highest score of transformers' network over the same ids,
    by how much. Without a difference its `generate` would write the very same."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    gaps: list[float] = []
    num_differing = 0
    for start in range(0, len(rows), 16):
        ear, part = Ear(session), rows[start : start + 16]
        for number, row in enumerate(part):
            ear.admit(number, row, GenerationSettings(max_new_tokens=tokens, stop_ids=()))
        ear.run()
        for number, row in enumerate(part):
            ids = torch.tensor([[*row, *ear.ids[number]]])
            with torch.inference_mode():
                scores = model(ids).logits[0, len(row) - 1 : -1].float()
            behind = scores.max(-1).values - scores.gather(1, ids[0, len(row) :, None])[:, 0]
            num_differing += bool((behind > 0).any())
            gaps += behind[behind > 0].tolist()
    return {"rows": len(rows), "tokens": tokens, "differing": num_differing, "largest_gap": round(max(gaps, default=0.0), 6)}


def decode(session: StreamingSession, rows: list[list[int]], tokens: int, more: Mapping[str, Any] = MappingProxyType({})) -> JsonObject:
    found: JsonObject = {}
    for count in (1, 8, 16):
        ear = Ear(session)
        for number in range(count):
            ear.admit(number, rows[number], replace(GenerationSettings(max_new_tokens=tokens, stop_ids=()), **more))
        while not all(len(times) > 1 for times in ear.times_s.values()):
            ear.turn()
        begun_s, before = time.process_time(), sum(map(len, ear.ids.values()))
        ear.run()
        found[str(count)] = round((sum(map(len, ear.ids.values())) - before) / (time.process_time() - begun_s), 1)
    return found


def first(session: StreamingSession, rows: list[list[int]], long_row: list[int]) -> JsonObject:
    alone, asked = Ear(session), GenerationSettings(max_new_tokens=2, stop_ids=())
    alone.admit(0, long_row, asked)
    alone.run()
    busy = Ear(session)
    for number in range(8):
        busy.admit(number, rows[number], GenerationSettings(max_new_tokens=100, stop_ids=()))
    while min(map(len, busy.ids.values())) < 40:
        busy.turn()
    calm = sorted(gap for number in range(8) for gap in busy.gaps_s(number)[-35:])
    told = len(busy.times_s[0])
    busy.admit(8, [long_row[0] + 1, *long_row[1:]], asked)
    while not busy.ids[8]:
        busy.turn()
    gaps = sorted(gap for number in range(8) for gap in busy.gaps_s(number)[told - 2 :])
    busy.run()
    return {
        "idle_s": round(alone.first_s(0), 3), "busy_s": round(busy.first_s(8), 3), "gap_calm_ms": round(statistics.median(calm) * 1e3, 1),
        "gap_calm_p99_ms": round(calm[int(len(calm) * 0.99)] * 1e3, 1), "gap_p50_ms": round(gaps[len(gaps) // 2] * 1e3, 1),
        "gap_p99_ms": round(gaps[int(len(gaps) * 0.99)] * 1e3, 1),
    }  # fmt: skip


def prefix(session: StreamingSession, long_row: list[int]) -> JsonObject:
    ear, asked = Ear(session), GenerationSettings(max_new_tokens=2, stop_ids=())
    for number, end in enumerate(([11, 12, 13], [21, 22, 23, 24])):
        ear.admit(number, [*long_row, *end], asked)
        ear.run()
    return {"first_s": round(ear.first_s(0), 3), "again_s": round(ear.first_s(1), 3), "cached": ear.cached[1]}


def guesses(session: StreamingSession, tokenizer: Tokenizer) -> JsonObject:
    found: JsonObject = {}
    for name, wish in WISHES.items():
        row = tokenizer.encode(f"<|im_start|>user\n{wish}<|im_end|>\n<|im_start|>assistant\n").ids
        rates, written = [], []
        for patch in (contextlib.nullcontext(), mock.patch.object(Lookup, "draft", lambda *_: [])):
            with patch:
                ear = Ear(session)
                ear.admit(0, row, GenerationSettings(max_new_tokens=96))
                while not ear.ids[0]:
                    ear.turn()
                begun_s = time.process_time()
                ear.run()
                rates.append((len(ear.ids[0]) - 1) / (time.process_time() - begun_s))
                written.append(ear.ids[0])
        found[name] = {
            "guessed": round(rates[0], 1), "plain": round(rates[1], 1), "same": written[0] == written[1], "tokens": len(written[0])
        }  # fmt: skip
    return found


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--variant", default="torch-fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--only", nargs="*", default=["same", "decode", "first", "prefix", "forms"])
    chosen = parser.parse_args()
    session = load_variant(chosen.artifact, chosen.variant, threads=chosen.threads)
    assert isinstance(session, StreamingSession)
    tokenizer = load_tokenizer(chosen.artifact / "tokenizer.json")
    rows = [tokenizer.encode(text).ids for text in TEXTS]
    words = [token for row in rows for token in row] * 40
    decode(session, rows, 4)  # warm
    steps = {
        "same": lambda: same(session, rows, chosen.artifact, chosen.tokens),
        "greedy": lambda: greedy(session, [tokenizer.encode(text).ids for text in short_texts(1000)[:200]], chosen.artifact, chosen.tokens),
        "decode": lambda: decode(session, rows, chosen.tokens),
        "first": lambda: first(session, rows, words[:512]),
        "prefix": lambda: prefix(session, words[7:2007]),
        "forms": lambda: {
            "free": decode(session, rows, chosen.tokens), "json": decode(session, rows, chosen.tokens, JSON),
        },
        "guesses": lambda: guesses(session, tokenizer),
    }  # fmt: skip
    told: JsonObject = {"room_tokens": session.room_tokens} | {name: steps[name]() for name in chosen.only}
    print(json.dumps(told))
    is_other = "same" in told and bool(told["same"]["different"])  # type: ignore[call-overload,index]
    sys.exit(is_other or ("greedy" in told and told["greedy"]["largest_gap"] > TIE))  # type: ignore[call-overload,index,operator]


if __name__ == "__main__":
    main()
