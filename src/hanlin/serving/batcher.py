"""The queue in front of one engine and the choice of what runs together. Plain integers in, plain integers out.

Opportunistic: whatever waits when the engine falls idle is batched, nobody waits for company. A batch is built around its *head*,
the oldest item of the key that was served least, interactive before batch lane; it is filled with items of about the
head's length, so that padding stays small, in turns between keys. Deadlines are looked at before anything is chosen.

Knows no clock, no thread, no socket: time is an argument (monotonic seconds), calls are integers. One thread owns it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hanlin.errors import Overloaded
from hanlin.serving.admission import STRAINED_S, Admission
from hanlin.serving.deadlines import Deadlines
from hanlin.serving.filling import Batch, Filling
from hanlin.serving.gaps import GAP_STEP_S, MIN_GAP_TOKENS, courses
from hanlin.serving.key_queue import NUM_BUCKETS, Item, KeyQueue, bucket_of
from hanlin.serving.speed import Speed
from hanlin.serving.wire import Lane

MIN_SHARED_TOKENS = 64  # below that a second stream is not worth its start
RESERVED_SHARE = 8  # of the queue, one part for keys of which nothing waits: few but large calls of one key would keep all others out
BATCH_SHARE = 4  # one part of the queue is all that the batch lane may fill: enough that the engine never runs dry
SHARED_S = 1.0  # without an interactive call, until the batch lane may take whole steps
DEEP_BATCHES = 2  # budgets of one that wait
MAX_LANE_WAIT_S = 10.0  # a batch-lane item older than this goes before interactive ones: low priority is not starvation

_HEAD_ORDER: tuple[Lane, ...] = ("batch", "interactive", "batch")
_INTERACTIVE: tuple[Lane, ...] = ("interactive",)


@dataclass(slots=True)
class _Call:
    items: list[Item]
    key: str
    lane: Lane
    is_suspect: bool
    num_waiting: int
    kind: int


class Batcher:
    """Bounded, fair, length-bucketed queue.

    Args:
        max_batch_tokens: budget of one batch, padding included; a longer single item still runs, alone.
        max_batch_rows: rows of one batch, None for no limit.
        max_queue_tokens: tokens that may wait. An empty queue takes any one call, so that every legal call can be served; the last eighth
            is for keys of which nothing waits.
        max_wait_s: how long an interactive call may be expected to wait, see `admission`.
    """

    def __init__(
        self, *, max_batch_tokens: int, max_batch_rows: int | None = None, max_queue_tokens: int, max_wait_s: float = float("inf")
    ) -> None:  # fmt: skip
        self._max_batch_tokens = max_batch_tokens
        self._max_batch_rows = max_batch_rows or max_batch_tokens
        self._max_queue_tokens = max_queue_tokens
        self._calls: dict[int, _Call] = {}
        self._lanes: dict[Lane, dict[str, KeyQueue]] = {"interactive": {}, "batch": {}}
        self._served: dict[str, float] = {}  # tokens served by key; a key that comes back starts at the least of those present
        self._deadlines = Deadlines()
        self._queued_tokens = 0
        self._interactive_tokens = 0  # of those
        self._interactive_s = float("-inf")  # when the last interactive call came
        self._is_shared = False  # whether that was a moment ago
        self._admission = Admission(max_wait_s)
        self._speed = Speed()

    @property
    def queued_tokens(self) -> int:
        """Tokens waiting."""
        return self._queued_tokens

    @property
    def is_deep(self) -> bool:
        """So much waits that the next batch is full whatever else may come. What has no hurry does not count beside what has."""
        tokens = self._interactive_tokens if self._is_shared else self._queued_tokens
        return tokens >= DEEP_BATCHES * self._max_batch_tokens

    @property
    def queued_calls(self) -> int:
        """Calls with at least one item waiting."""
        return len(self._calls)

    def admit(self, *, key: str, lane: Lane, now_s: float) -> None:
        """Ask before a call's texts are even looked at, so that refusing is cheap.

        Raises:
            Overloaded: `endpoint_overloaded`.
        """
        if lane == "batch" or not self._speed.knows(self._max_batch_tokens):
            return
        wait_s = self._seconds_for(self._interactive_tokens)
        if not self._admission.takes(key, wait_s=wait_s, now_s=now_s):
            raise Overloaded("endpoint_overloaded", retry_after_s=STRAINED_S)

    def add(
        self, call: int, lengths: Sequence[int], *, now_s: float, deadline_s: float, key: str = "", lane: Lane = "interactive",
        is_suspect: bool = False, kind: int = 0,
    ) -> None:  # fmt: skip
        """Queue all items of a call, or none.

        Args:
            kind: only items of one kind share a batch.

        Raises:
            Overloaded: `queue_full`, with the estimated time until there is room.
        """
        tokens = sum(lengths)
        if self._queued_tokens and self._queued_tokens + tokens > self._room(key, lane):
            raise Overloaded("queue_full", retry_after_s=self.wait_estimate_s(), limit=self._max_queue_tokens)
        items = [Item(call, index, length, now_s) for index, length in enumerate(lengths)]
        self._calls[call] = _Call(items, key, lane, is_suspect, len(items), kind)
        self._queued_tokens += tokens
        if lane == "interactive":
            self._interactive_tokens += tokens
            self._interactive_s = now_s
            self._admission.enter(key)
        self._deadlines.note(deadline_s, call, self._calls)
        queue = self._queue(lane, key)
        for item in items:
            queue.add(item, bucket_of(item.length, call, is_suspect=is_suspect, kind=kind))

    def drop(self, call: int) -> bool:
        """Forget what still waits of a call. True if anything did."""
        entry = self._calls.get(call)
        if entry is None:
            return False
        queue = self._lanes[entry.lane][entry.key]
        for item in entry.items:
            if not item.is_gone:
                self._remove(item)
                bucket = bucket_of(item.length, call, is_suspect=entry.is_suspect, kind=entry.kind)
                queue.oldest_in(bucket)  # no batch may ever look there again
        return True

    def expire(self, now_s: float) -> list[int]:
        """Drop and return the calls whose deadline has passed while they waited."""
        return [call for call in self._deadlines.passed(now_s, self._calls) if self.drop(call)]

    def next_deadline_s(self) -> float | None:
        """When `expire` next has something to do."""
        return self._deadlines.next_s(self._calls)

    def next_batch(self, now_s: float, *, num_idle: int = 1, is_idle: bool = True) -> Batch | None:
        """Take the next batch out of the queue; None when nothing may go. Call `expire` first.

        Args:
            num_idle: streams of the engine that have nothing to do and share what waits.
            is_idle: no stream is at work. A suspect waits for that: it runs alone.
        """
        head = self._head(now_s)
        if head is None:
            return None
        call = self._calls[head.call]
        is_suspect, lane = call.is_suspect, call.lane
        if is_suspect and not is_idle:
            return None
        budget = min(self._max_batch_tokens, max(MIN_SHARED_TOKENS, -(-self._queued_tokens // num_idle)))
        bucket = bucket_of(head.length, head.call, is_suspect=is_suspect, kind=call.kind)
        filling = Filling(head, self._max_batch_rows, is_padding_bounded=not is_suspect)
        self._is_shared = now_s - self._interactive_s < SHARED_S
        self._take(head)
        if not self._calls:  # alone
            return Batch(tuple(filling.items), filling.width, is_suspect)
        for company, tokens in courses(lane, budget, gap=self._gap):
            for item in self._company(bucket, company):
                if not filling.takes(item, tokens):
                    break
                self._take(item)
        return Batch(tuple(filling.items), filling.width, is_suspect)

    def next_item(self, now_s: float, *, room: int | None, is_idle: bool, has_batch_room: bool) -> Item | None:
        """Take what a batch would be built around, alone, for an engine that takes rows on one by one; None when it may not go.

        Args:
            room: tokens for which the engine has room; None: any number. What is larger than all of it goes when nothing else runs.
            is_idle: nothing runs. A suspect waits for that.
            has_batch_room: whether the batch lane may have one more; else interactive calls go past it, however long it waits.
        """
        head = self._head(now_s, lanes=_HEAD_ORDER if has_batch_room else _INTERACTIVE)
        if head is None:
            return None
        call = self._calls[head.call]
        if not is_idle and (call.is_suspect or (room is not None and head.length > room)):
            return None
        self._take(head)
        return head

    def observe(self, tokens: int, seconds: float) -> None:
        """Learn the engine's speed from a finished step (padding included); `seconds`: its share, when others ran beside it."""
        self._speed.observe(tokens, seconds)

    def step_estimate_s(self, tokens: int) -> float:
        """How long a step over so many tokens, padding included, takes; 0 while the speed is unknown."""
        return self._speed.seconds(tokens)

    def wait_estimate_s(self) -> float:
        """Time to work off half of what waits: when a retry is likely to find room. 1 s while the speed is unknown."""
        seconds = self._seconds_for(self._queued_tokens // 2)
        return round(min(60.0, max(0.05, seconds)), 2) if seconds else 1.0

    def _room(self, key: str, lane: Lane) -> int:
        """Tokens that may wait once a call of `key` has joined."""
        if lane == "batch":
            return self._max_queue_tokens // BATCH_SHARE
        return self._max_queue_tokens - (0 if not self._admission.has(key) else self._max_queue_tokens // RESERVED_SHARE)

    def _seconds_for(self, tokens: int) -> float:
        return self._speed.seconds(tokens, steps=-(-tokens // self._max_batch_tokens))

    def check_integrity(self) -> None:
        """Raises AssertionError when the counts do not add up. For idle moments and tests."""
        waiting = [item for call in self._calls.values() for item in call.items if not item.is_gone]
        assert sum(item.length for item in waiting) == self._queued_tokens, "queued tokens"
        assert self._calls or not self._interactive_tokens, "interactive tokens"
        assert all(any(not item.is_gone for item in call.items) for call in self._calls.values()), "empty call kept"
        assert self._calls or not any(q.oldest() for lane in self._lanes.values() for q in lane.values()), "orphan items"

    def _queue(self, lane: Lane, key: str) -> KeyQueue:
        queues = self._lanes[lane]
        if key not in queues:
            present = [self._served[other] for keys in self._lanes.values() for other in keys if other in self._served]
            self._served[key] = max(self._served.get(key, 0.0), min(present, default=0.0))
            queues[key] = KeyQueue()
        return queues[key]

    def _head(self, now_s: float, *, lanes: tuple[Lane, ...] = _HEAD_ORDER) -> Item | None:
        for lane in lanes:  # the first visit is for batch items that have waited too long
            heads = self._oldest_by_key(lane)
            if lane == "batch" and self._lanes["interactive"]:
                heads = [item for item in heads if now_s - item.arrived_s > MAX_LANE_WAIT_S]
            if heads:
                return min(heads, key=lambda item: (self._served[self._calls[item.call].key], item.arrived_s))
        return None

    def _oldest_by_key(self, lane: Lane) -> list[Item]:
        queues = self._lanes[lane]
        found: list[Item] = []
        for key in list(queues):
            item = queues[key].oldest()
            if item is None:
                del queues[key]
                self._forget(key)
            else:
                found.append(item)
        return found

    def _forget(self, key: str) -> None:
        if all(key not in queues for queues in self._lanes.values()) and len(self._served) > 4096:
            del self._served[key]

    @property
    def _gap(self) -> int | None:
        """See `courses`."""
        if not self._lanes["batch"]:
            return 0
        return max(MIN_GAP_TOKENS, self._speed.tokens_in(GAP_STEP_S)) if self._is_shared else None

    def _company(self, bucket: int, lanes: tuple[Lane, ...]) -> Iterator[Item]:
        """Waiting items by closeness to the head: its bucket, then shorter ones of its kind; interactive first; in turns between keys."""
        buckets = [bucket] if bucket < 0 else range(bucket, bucket // NUM_BUCKETS * NUM_BUCKETS - 1, -1)
        for near in buckets:
            for lane in lanes:
                yield from self._turns(self._lanes[lane], near)

    def _turns(self, queues: dict[str, KeyQueue], bucket: int) -> Iterator[Item]:
        keys = sorted((key for key in queues if bucket in queues[key].buckets), key=lambda key: self._served[key])
        while keys:
            keys = [key for key in keys if queues[key].oldest_in(bucket)]
            for key in keys:
                if item := queues[key].oldest_in(bucket):
                    yield item

    def _take(self, item: Item) -> None:
        self._served[self._calls[item.call].key] += item.length
        self._remove(item)

    def _remove(self, item: Item) -> None:
        item.is_gone = True
        self._queued_tokens -= item.length
        entry = self._calls[item.call]
        entry.num_waiting -= 1
        is_interactive = entry.lane == "interactive"
        if is_interactive:
            self._interactive_tokens -= item.length
        if not entry.num_waiting:
            del self._calls[item.call]
            if is_interactive:
                self._admission.leave(entry.key)
