"""A session that watches its caller, and a caller of a replica behind a queue that writes continuously: what their tests stand on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence

import msgspec
from tests.serving.echo_task import Echo
from tests.serving.test_serving_writing import SPEC, tokenizer, until

from hanlin.engines.fake import FakeBehaviour, FakeStreamer
from hanlin.generation import Delta, Generated, GenerationSettings
from hanlin.serving.batcher import Batcher
from hanlin.serving.generation_queue import GenerationQueue
from hanlin.serving.loaded import Loaded
from hanlin.serving.replica import Replica
from hanlin.serving.turns import Turns
from hanlin.serving.wire import Answer, Call, Lane, Part, Refusal
from hanlin.tasks import Limits
from hanlin.tasks.encoding import TextEncoder

FAIL, REFUSE = 50, 51


class Watched(FakeStreamer):
    """Holds its caller to the contract of streaming sessions, and turns only while it may."""

    def __init__(self, *, is_free: bool = True, **does: object) -> None:
        super().__init__(FakeBehaviour(**{"fail_token": FAIL, "refuse_token": REFUSE, "max_rows": 4, "writes": True, **does}))  # type: ignore[arg-type]
        self.go = threading.Semaphore(0)
        self.is_free = is_free
        self.threads: set[int] = set()
        self.costs: dict[int, int] = {}
        self.most = 0
        self.admitted: list[tuple[int, ...]] = []
        self.generated: list[list[tuple[int, ...]]] = []
        self.broken: list[str] = []

    def admit(self, number: int, row: Sequence[int], settings: GenerationSettings) -> None:
        self.threads.add(threading.get_ident())
        self.admitted.append(tuple(row))
        self.costs[number] = len(row) + settings.max_new_tokens
        super().admit(number, row, settings)
        self._look()

    def drop(self, number: int) -> None:
        self.threads.add(threading.get_ident())
        super().drop(number)

    def turn(self) -> list[Delta]:
        self.threads.add(threading.get_ident())
        if not self.is_free:
            assert self.go.acquire(timeout=20)
        return super().turn()

    def generate(
        self, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], *, is_wanted: Callable[[int], bool] = lambda row: True
    ) -> list[Generated]:
        self.threads.add(threading.get_ident())
        if self._open:
            self.broken.append("generated beside open rows")
        self.generated.append([tuple(row) for row in rows])
        return super().generate(rows, settings, is_wanted=is_wanted)

    def _look(self) -> None:
        self.most = max(self.most, len(self._open))
        tokens = sum(self.costs[number] for number in self._open)
        if len(self._open) > self.max_rows or (self.room_tokens is not None and len(self._open) > 1 and tokens > self.room_tokens):
            self.broken.append(f"{len(self._open)} rows with {tokens} tokens")


class Caller:
    """Sends calls to a replica and keeps what comes of them; an outlet that can be full."""

    def __init__(self, session: Watched, *, turns: Turns | None = None, queue_tokens: int = 1_000_000) -> None:
        self.session = session
        loaded = Loaded(Echo(), SPEC, TextEncoder(tokenizer(), SPEC), session, None, Limits())  # type: ignore[arg-type]  # enough of a task
        waiting, steps = (Batcher(max_batch_tokens=600, max_queue_tokens=queue_tokens) for _ in range(2))
        self.queue = GenerationQueue(session, waiting, steps, pad_id=0, turns=turns)
        self.replica = Replica(loaded, self.queue)
        self.replies: dict[int, list[Answer | Refusal]] = {}
        self.parts: dict[int, list[Part]] = {}
        self.late_parts = 0
        self.is_full = False
        self.held: list[Callable[[], None]] = []

    def call(
        self, number: int, inputs: object, *, is_streamed: bool = True, timeout_s: float = 30.0, is_suspect: bool = False, key: str = "",
        lane: Lane = "interactive", **parameters: int,
    ) -> int:  # fmt: skip
        content = msgspec.Raw(msgspec.msgpack.encode([inputs, parameters]))
        call = Call(number, content, timeout_s, key, lane, is_suspect=is_suspect, is_streamed=is_streamed)
        return self.replica.submit(call, lambda reply: self.replies.setdefault(number, []).append(reply), self if is_streamed else None)

    def send(self, part: Part) -> None:
        self.late_parts += part.id in self.replies
        self.parts.setdefault(part.id, []).append(part)

    def when_free(self, again: Callable[[], None]) -> None:
        self.held.append(again)

    def body(self, number: int) -> object:
        (reply,) = self.replies[number]
        assert isinstance(reply, Answer), reply
        return json.loads(reply.body)

    def code(self, number: int) -> str:
        (reply,) = self.replies[number]
        assert isinstance(reply, Refusal), reply
        return str(reply.error["code"])

    def told(self, number: int, row: int = 0) -> list[int]:
        return [token for part in self.parts.get(number, []) if part.row == row for token in json.loads(part.body)]

    async def end(self) -> None:
        await until(lambda: not self.replica.num_inflight)
        self.queue.check_integrity()
        self.replica.close()
        assert not self.session.broken
        assert len(self.session.threads) <= 1
        assert not self.late_parts
