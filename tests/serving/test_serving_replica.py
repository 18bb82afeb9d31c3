"""A model behind its queue, without a process: what goes together, what goes alone, whose turn it is."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping

import msgspec
import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.serving.batcher import Batcher
from hanlin.serving.engine_queue import EngineQueue
from hanlin.serving.loaded import Loaded
from hanlin.serving.replica import Replica
from hanlin.serving.turns import Turns
from hanlin.serving.wire import Answer, Call, Refusal
from hanlin.tasks import TASKS, Limits, ModelSpec, VectorSettings
from hanlin.tasks.encoding import TextEncoder


class Session:
    """Steps wait until `open`; a row's logits are the sum of its ids. Notes how many rows each step has and how many ran at once."""

    step_tokens: int | None = None
    has_tokens = False

    def __init__(self, num_streams: int, labels: int) -> None:
        self.num_streams = num_streams
        self.open = threading.Event()
        self.rows: list[int] = []
        self.threads: list[str] = []
        self.num_running = self.most_running = 0
        self._labels = labels
        self._lock = threading.Lock()

    def run(
        self, input_ids: np.ndarray, attention_mask: np.ndarray, token_type_ids: np.ndarray | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, np.ndarray]:  # fmt: skip
        with self._lock:
            self.rows.append(len(input_ids))
            self.threads.append(threading.current_thread().name)
            self.num_running += 1
            self.most_running = max(self.most_running, self.num_running)
        assert self.open.wait(20)
        with self._lock:
            self.num_running -= 1
        sums = (input_ids * attention_mask).sum(axis=1, keepdims=True) / 100
        return {"logits": np.repeat(sums, self._labels, axis=1).astype(np.float32)}

    def close(self) -> None:
        """Nothing to free."""


def replica_of(
    task: str, session: Session, labels: tuple[str, ...], turns: Turns | None = None, *, clock: Callable[[], float] = time.monotonic
) -> Replica:  # fmt: skip
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1} | {f"w{n}": n for n in range(2, 60)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    spec = ModelSpec(task, labels, 64, 0, vectors=None if labels else VectorSettings(1, is_normalized=False))
    loaded = Loaded(TASKS.get(task), spec, TextEncoder(tokenizer, spec), session, None, Limits())
    batcher = Batcher(max_batch_tokens=512, max_queue_tokens=10_000)
    return Replica(loaded, EngineQueue(session, batcher, pad_id=0, turns=turns, clock=clock))


class Caller:
    """Sends calls, keeps the replies by number."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.replies: dict[int, Answer | Refusal] = {}

    def call(
        self, number: int, inputs: object, parameters: dict[str, object] | None = None, *, is_suspect: bool = False, timeout_s: float = 30.0
    ) -> None:  # fmt: skip
        content = msgspec.Raw(msgspec.msgpack.encode([inputs, parameters or {}]))
        call = Call(number, content, timeout_s=timeout_s, is_suspect=is_suspect)
        self.replica.submit(call, lambda reply: self.replies.__setitem__(number, reply))

    async def answers(self, count: int) -> list[object]:
        await until(lambda: len(self.replies) == count)
        replies = [self.replies[number] for number in sorted(self.replies)]
        assert all(isinstance(reply, Answer) for reply in replies), replies
        return [json.loads(reply.body) for reply in replies]


async def until(condition: object) -> None:
    for _ in range(2000):
        if condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


class Vectors(Session):
    """Tokens' vectors are their ids, a text's is their sum. Notes what each step was asked for."""

    has_tokens = True

    def __init__(self) -> None:
        super().__init__(1, 1)
        self.with_tokens: list[bool] = []

    def run(
        self, input_ids: np.ndarray, attention_mask: np.ndarray, token_type_ids: np.ndarray | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, np.ndarray]:  # fmt: skip
        super().run(input_ids, attention_mask)
        self.with_tokens.append(with_tokens)
        found = {"embeddings": (input_ids * attention_mask).sum(axis=1, keepdims=True).astype(np.float32)}
        return found | {"token_embeddings": input_ids[:, :, None].astype(np.float32)} if with_tokens else found


TOKENS = {"output_value": "token_embeddings"}


async def test_a_step_gives_vectors_of_tokens_to_the_calls_that_want_them() -> None:
    session = Vectors()
    session.open.set()
    caller = Caller(replica_of("embedding", session, ()))
    caller.call(0, "w5 w6")
    caller.call(1, ["w7", "w8 w9 w2"], TOKENS)
    caller.call(2, ["w5"])
    caller.call(3, "w3 w4", TOKENS)
    assert await caller.answers(4) == [[11.0], [[[7.0]], [[8.0], [9.0], [2.0]]], [[5.0]], [[3.0], [4.0]]]
    assert any(session.with_tokens)
    session.with_tokens.clear()
    caller.call(4, "w5 w6")
    assert (await caller.answers(5))[4] == [11.0]
    assert session.with_tokens == [False]
    caller.replica.close()


async def test_vectors_of_tokens_that_there_are_not_cost_no_step() -> None:
    session = Vectors()
    session.has_tokens = False
    caller = Caller(replica_of("embedding", session, ()))
    caller.call(0, "w5 w6", TOKENS)
    assert caller.replies[0].error["code"] == "token_embeddings_not_served"
    assert not session.rows
    caller.replica.close()


@pytest.mark.parametrize(
    ("task", "labels", "inputs"), [("text-classification", ("a", "b"), "{}"), ("reranking", ("LABEL_0",), {"query": "w2", "texts": ["{}"]})]
)
async def test_calls_that_share_a_step_are_answered_as_each_alone(task: str, labels: tuple[str, ...], inputs: object) -> None:
    """Single texts, and single documents, which must not be ranked among those of others."""
    session = Session(1, len(labels))
    session.open.set()
    replica = replica_of(task, session, labels)
    texts = [json.loads(json.dumps(inputs).replace("{}", f"w{n}")) for n in (40, 7, 33, 12)]
    together, alone = Caller(replica), Caller(replica)
    for number, text in enumerate(texts):
        together.call(number, text)
    found = await together.answers(4)
    assert session.rows == [4]
    for number, text in enumerate(texts):
        alone.call(number, text)
        await alone.answers(number + 1)
    assert session.rows == [4, 1, 1, 1, 1]
    assert found == await alone.answers(4)
    replica.close()


async def test_streams_run_at_once_as_far_as_there_are_turns() -> None:
    for turns, most in ((Turns(1), 1), (Turns(2), 2), (None, 2)):
        session = Session(2, 2)
        caller = Caller(replica_of("text-classification", session, ("a", "b"), turns))
        for number in range(4):
            caller.call(number, " ".join(["w3"] * 60))  # one fills a stream's share
        await until(lambda session=session, most=most: session.num_running == most)
        session.open.set()
        await caller.answers(4)
        assert session.most_running == most
        caller.replica.close()


@pytest.mark.parametrize(("num_calls", "is_shared", "num_taken"), [(40, False, 16), (40, True, 8), (24, False, 8)])
async def test_a_step_is_ahead_when_much_waits_and_nobody_else_has_turns(num_calls: int, is_shared: bool, num_taken: int) -> None:
    """Eight such texts fill a step; two more steps must wait beyond the one that runs."""
    turns, session = Turns(1), Session(1, 2)
    caller = Caller(replica_of("text-classification", session, ("a", "b"), turns))
    if is_shared:
        neighbour = replica_of("text-classification", Session(1, 2), ("a", "b"), turns)
    for number in range(num_calls):
        caller.call(number, " ".join(["w3"] * 60))
    await until(lambda: session.num_running == 1)
    assert caller.replica.values()["queued_calls"] == num_calls - num_taken
    session.open.set()
    await caller.answers(num_calls)
    assert (session.most_running, set(session.rows)) == (1, {8})
    assert turns.take(lambda: None), "every turn was given back"
    assert not turns.take(lambda: None), "and none twice"
    caller.replica.close()
    if is_shared:
        neighbour.close()


async def test_a_suspect_waits_for_the_streams_and_lets_another_model_have_its_turn() -> None:
    turns, mine, other = Turns(2), Session(2, 2), Session(1, 2)
    caller, neighbour = (Caller(replica_of("text-classification", session, ("a", "b"), turns)) for session in (mine, other))
    caller.call(0, "w3")
    await until(lambda: mine.num_running == 1)
    caller.call(1, "w4", is_suspect=True)
    caller.call(2, "w5", is_suspect=True)
    neighbour.call(0, "w3")
    await until(lambda: other.num_running == 1)
    assert mine.rows == [1]
    mine.open.set()
    other.open.set()
    await caller.answers(3)
    await neighbour.answers(1)
    assert (mine.rows, mine.most_running) == ([1, 1, 1], 1)
    caller.replica.close()
    neighbour.replica.close()


async def test_short_step_that_is_all_there_is_needs_no_thread_but_among_other_models() -> None:
    turns = Turns(2)  # as every worker has them
    session, other = Session(1, 2), Session(1, 2)
    session.open.set()
    caller = Caller(replica_of("text-classification", session, ("a", "b"), turns))
    neighbour: Replica | None = None
    for number, where in enumerate(("engine", "MainThread", "engine", "MainThread"), 1):  # at first nothing is known of its time
        if number == 3:
            neighbour = replica_of("text-classification", other, ("a", "b"), turns)
        elif neighbour is not None:
            neighbour.close()
        caller.call(number, "w2 w3")
        await caller.answers(number)
        assert session.threads[-1].startswith(where), number
        if number == 1:
            for _ in range(200):  # so many that it does not matter how long the first one took
                caller.replica.queue.batcher.observe(2, 0.001)
    caller.replica.close()


async def test_a_step_that_failed_tells_nothing_of_the_speed() -> None:
    session = Session(1, 2)
    session.open.set()
    session.run = lambda **_: 1 / 0  # type: ignore[assignment]
    replica = replica_of("text-classification", session, ("a", "b"))
    replica.queue.batcher.observe(2, 20.0)
    caller = Caller(replica)
    caller.call(1, "w2 w3")
    await until(lambda: caller.replies)
    assert replica.queue.batcher.step_estimate_s(2) == pytest.approx(20.0)
    replica.close()


async def test_a_step_that_takes_long_runs_on_the_engines_threads() -> None:
    session = Session(1, 2)
    session.open.set()
    replica = replica_of("text-classification", session, ("a", "b"))
    caller = Caller(replica)
    replica.queue.batcher.observe(2, 0.02)
    caller.call(1, "w2 w3")
    await caller.answers(1)
    assert session.threads[-1].startswith("engine"), "it holds up reading and refusing"
    replica.close()


async def test_what_is_padding_is_told() -> None:
    session = Session(1, 2)
    session.open.set()
    caller = Caller(replica_of("text-classification", session, ("a", "b")))
    caller.call(1, "w2 w3 w4 w5 w6")
    caller.call(2, "w2 w3 w4 w5")
    await caller.answers(2)
    values = caller.replica.values()
    assert (session.rows, values["tokens_total"], values["padded_tokens_total"]) == ([2], 9, 10)
    assert values["padding_share"] == pytest.approx(0.1)
    caller.replica.close()


async def test_what_is_ready_after_its_deadline_is_no_answer_and_is_counted_once() -> None:
    now_s, session = [100.0], Session(1, 2)
    replica = replica_of("text-classification", session, ("a", "b"), clock=lambda: now_s[0])
    caller = Caller(replica)
    caller.call(1, "w2 w3", timeout_s=5.0)
    caller.call(2, ["w2 w3", "w4"], timeout_s=5.0)
    caller.call(3, "w5 w6", timeout_s=50.0)
    await until(lambda: session.num_running == 1)
    now_s[0] += 10.0
    session.open.set()
    await until(lambda: len(caller.replies) == 3)
    assert session.rows == [4], "one step for all"
    assert [caller.replies[number].error["code"] for number in (1, 2)] == ["deadline_exceeded"] * 2
    assert isinstance(caller.replies[3], Answer)
    counted = {"calls_total": 3, "refused_total": 2, "expired_total": 2, "answered_total": 1, "failed_total": 0, "cancelled_total": 0}
    assert counted.items() <= replica.values().items()
    assert replica.num_inflight == replica.values()["queued_tokens"] == 0
    replica.close()
