"""Endpoints that write without a worker: what was asked, backwards and token by token, through the doors' own readers and streams."""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from hanlin.console.views_play import Tell, WritingCall
from hanlin.console.writing import write
from hanlin.gateway.dataplane import Dataplane, Outcome
from hanlin.gateway.streaming import Streams
from hanlin.serving.wire import Part
from hanlin.settings import Settings
from hanlin.types import JsonObject, JsonValue, Principal

NEVER = 10_000  # tokens of an answer that nobody waits for


class Anyone:
    def authenticate(self, header: str | None) -> Principal:
        raise AssertionError("pages know who asks")


class Scribe(Dataplane):
    """`endless` writes what was said over and over, others write it once, backwards; each token has a chance of a half.

    Attributes:
        asked: endpoint, inputs and parameters of each call.
        given_up: endpoints of calls that were cancelled.
    """

    def __init__(self) -> None:
        super().__init__(Anyone(), settings=Settings(home=Path(tempfile.gettempdir()) / "no-home"))
        self.asked: list[tuple[str, JsonValue, JsonObject]] = []
        self.given_up: list[str] = []
        self.pause_s = 0.005
        self.streams = Streams(self.settings)

    def find(self, principal: Principal, endpoint: str):
        return SimpleNamespace(info=SimpleNamespace(task="text-classification" if endpoint == "sentiment" else "text-generation"))

    async def predict(
        self, principal: Principal, endpoint: str, inputs: JsonValue, parameters: JsonObject, *, timeout_s: float, language: str,
        request_id: str, on_part: Callable[[Part], None],
    ) -> Outcome:  # type: ignore[override]  # fmt: skip
        principal.require("predict")
        self.asked.append((endpoint, inputs, parameters))
        said = inputs["messages"][-1]["content"] if isinstance(inputs, dict) else inputs[0]
        is_endless = endpoint == "endless"
        tokens = list(said * NEVER)[:NEVER] if is_endless else [*said[::-1]]
        try:
            for place, token in enumerate(tokens):
                await asyncio.sleep(self.pause_s)
                on_part(Part(0, 0, self._piece(token, parameters, len(tokens) if place == len(tokens) - 1 else 0), 1))
        except asyncio.CancelledError:
            self.given_up.append(endpoint)
            raise
        return Outcome(b"[]", "m:1", "fake-fp32", 1, 7, 0, 0, 0, written=len(tokens))

    def part(self, token: str) -> Part:
        """One token without its chance."""
        return Part(0, 0, self._piece(token, {}, 0), 1)

    def _piece(self, token: str, parameters: JsonObject, num_tokens: int) -> bytes:
        told: JsonObject = {"text": token}
        if parameters.get("details"):
            half = {"id": 1, "text": token, "logprob": math.log(0.5), "special": False}
            told |= {"tokens": [half]}
            if parameters.get("top_n_tokens"):
                told |= {"top_tokens": [[half, half | {"text": "<b>", "logprob": math.log(0.25)}]]}
        if num_tokens:
            told |= {"finish_reason": "stop", "num_tokens": num_tokens}
        return json.dumps(told).encode()

    async def write(self, principal: Principal, call: WritingCall, *, language: str, tell: Tell) -> None:
        await write(self, self.streams, principal, call, language=language, tell=tell)
