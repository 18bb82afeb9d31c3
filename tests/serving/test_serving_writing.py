"""A network that writes behind its queue: rows of one kind share batches, leave them between tokens, and come together in arrays."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
import torch
from tests.serving.echo_task import Echo
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.engines import load_variant
from hanlin.engines.base import Session
from hanlin.engines.fake import FakeBehaviour, FakeSession
from hanlin.engines.gathering import gather
from hanlin.errors import DeadlineExceeded
from hanlin.generation import Generated, GenerationSettings
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build_generator, save_network
from hanlin.serving.batcher import Batcher
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.engine_queue import EngineQueue
from hanlin.serving.loaded import Loaded
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions
from hanlin.serving.replica import Replica
from hanlin.serving.router import Request
from hanlin.serving.wire import Answer, Call, Refusal
from hanlin.tasks import Encoded, Limits, ModelSpec
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.sequences import from_arrays, to_arrays

NUM_WORDS = 60
SPEC = ModelSpec("echo", (), 40, 0, generation=GenerationSettings(max_new_tokens=30))


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1} | {f"w{n}": n for n in range(2, NUM_WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


class Typist:
    """Writes every row backwards, a token each time it is let go; notes what shared a batch, by number of tokens and beams."""

    num_streams = 1
    step_tokens: int | None = None
    has_tokens = False
    run = FakeSession(FakeBehaviour()).run

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.batches: list[list[tuple[int, int]]] = []

    def generate(
        self, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], *, is_wanted: Callable[[int], bool]
    ) -> list[Generated]:
        self.batches.append([(len(row), each.num_beams) for row, each in zip(rows, settings, strict=True)])
        found = [Generated(tuple(row[::-1]), "stop", -0.5) for row in rows]
        for step in range(max(map(len, rows))):
            assert self.go.acquire(timeout=20)
            for place in range(len(rows)):
                if found[place].finish == "stop" and not is_wanted(place):
                    found[place] = Generated(found[place].ids[:step], "cancelled")
        return found

    def close(self) -> None:
        """Nothing to free."""


class Caller:
    """Sends calls to a replica over `session`, keeps the replies by number."""

    def __init__(self, session: Session) -> None:
        loaded = Loaded(Echo(), SPEC, TextEncoder(tokenizer(), SPEC), session, None, Limits())  # type: ignore[arg-type]  # enough of a task
        self.replica = Replica(loaded, EngineQueue(session, Batcher(max_batch_tokens=600, max_queue_tokens=10_000), pad_id=SPEC.pad_id))
        self.replies: dict[int, Answer | Refusal] = {}

    def call(self, number: int, inputs: object, *, timeout_s: float = 30.0, **parameters: int) -> int:
        content = msgspec.Raw(msgspec.msgpack.encode([inputs, parameters]))
        call = Call(number, content, timeout_s=timeout_s)
        return self.replica.submit(call, lambda reply: self.replies.__setitem__(number, reply))

    def body(self, number: int) -> object:
        reply = self.replies[number]
        assert isinstance(reply, Answer), reply
        return json.loads(reply.body)


async def until(condition: Callable[[], object]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


def let_go(session: Typist, steps: int = 500) -> None:
    session.go.release(steps)


async def test_rows_of_one_kind_share_a_batch_and_its_tokens_are_those_that_may_come() -> None:
    session = Typist()
    caller = Caller(session)
    caller.call(0, "w2")
    await until(lambda: session.batches)
    caller.call(1, "w3 w4", max_new_tokens=50)
    caller.call(2, "w5 w6", max_new_tokens=50, num_beams=3)
    caller.call(3, "w7 w8", max_new_tokens=50)
    caller.call(4, ["w9", "w2 w3"], max_new_tokens=49, num_beams=3)
    caller.call(5, "w3", max_new_tokens=500)
    let_go(session)
    await until(lambda: len(caller.replies) == 6)
    assert session.batches[0] == [(1, 1)]
    assert sorted(map(sorted, session.batches[1:])) == [[(1, 1)], [(1, 3), (2, 3), (2, 3)], [(2, 1), (2, 1)]]
    assert [caller.body(number) for number in (1, 2)] == [{"ids": [4, 3], "finish": "stop"}, {"ids": [6, 5], "finish": "stop"}]
    assert caller.body(4) == [{"ids": [9], "finish": "stop"}, {"ids": [3, 2], "finish": "stop"}]
    reply = caller.replies[4]
    assert isinstance(reply, Answer)
    assert (reply.tokens, reply.written) == (3, 3)
    assert caller.replica.values()["written_tokens_total"] == 1 + 2 + 2 + 2 + 3 + 1
    caller.replica.close()


async def test_a_row_whose_caller_has_gone_or_whose_time_is_over_leaves_between_tokens() -> None:
    session = Typist()
    caller = Caller(session)
    caller.call(0, "w2 w3 w4")
    await until(lambda: session.batches)
    caller.call(1, "w2 w3 w4")
    gone = caller.call(2, "w5 w6 w7")
    caller.call(3, "w8 w9 w2", timeout_s=0.3)
    let_go(session, 3)
    await until(lambda: len(session.batches) == 2)
    caller.replica.cancel(gone)
    await asyncio.sleep(0.4)
    let_go(session)
    await until(lambda: 1 in caller.replies and 3 in caller.replies)
    assert caller.body(1) == {"ids": [4, 3, 2], "finish": "stop"}
    assert 2 not in caller.replies
    refusal = caller.replies[3]
    assert isinstance(refusal, Refusal)
    assert refusal.error["code"] == "deadline_exceeded"
    assert {name: caller.replica.values()[name] for name in ("expired_total", "cancelled_total")} == {
        "expired_total": 1,
        "cancelled_total": 1,
    }
    caller.replica.close()


async def test_a_session_that_does_not_write_costs_no_step() -> None:
    caller = Caller(FakeSession(FakeBehaviour()))
    caller.call(0, "w2 w3")
    await until(lambda: caller.replies)
    refusal = caller.replies[0]
    assert isinstance(refusal, Refusal)
    assert refusal.error["code"] == "generation_not_served"
    assert caller.replica.values()["steps_total"] == 0
    caller.replica.close()


def test_rows_of_different_batches_come_together() -> None:
    wide = to_arrays([Generated((5, 6, 7), "length", -1.5), Generated((), "stop", -0.1)])
    narrow = to_arrays([Generated((8,), "cancelled")])
    found = gather(Echo(), Encoded([[1], [2], [3]]), [(narrow, 0), (wide, 0), (wide, 1)])  # type: ignore[arg-type]  # enough of a task
    assert from_arrays(found) == [Generated((8,), "cancelled"), Generated((5, 6, 7), "length", -1.5), Generated((), "stop", -0.1)]
    assert from_arrays(to_arrays([Generated((), "stop")])) == [Generated((), "stop")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny encoder–decoder of ours with random weights, as an artifact of task `echo`."""
    torch.manual_seed(3)
    made = tmp_path / "models" / "m:1"
    made.mkdir(parents=True)
    network = build_generator(
        NetworkConfig(
            "hanlin-seq2seq", NUM_WORDS, embedding_size=16, hidden_size=16, num_decoder_layers=1, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=64, bos_token_id=2, eos_token_id=3,
        )
    )  # fmt: skip
    for weight in network.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.4)
    save_network(network, made)
    tokenizer().save(str(made / "tokenizer.json"))
    SPEC.save(made)
    return made


@pytest.mark.e2e
async def test_a_worker_writes_what_the_network_writes(folder: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    session = load_variant(folder, "torch-fp32", threads=1)
    asked = [(f"w{number} w{number + 1} w9", {"max_new_tokens": 4 + number, "num_beams": 1 + number % 2}) for number in range(2, 12)]
    expected = []
    for text, parameters in asked:
        ids = [int(word[1:]) for word in text.split()]
        (written,) = session.generate([ids], [GenerationSettings(**parameters)])  # type: ignore[attr-defined]  # a WritingSession
        expected.append({"ids": list(written.ids), "finish": written.finish})
    options = WorkerOptions(run_dir=tmp_path / "run", log=tmp_path / "log", environ=environ)
    pool = LocalPool(options, folders={"m:1": folder})
    try:
        await pool.ensure(DeploymentSpec("d1", "default", "e", "m", "m:1", "torch-fp32"))
        calls = [pool.submit("default", "e", Request(text, dict(parameters), 60.0)) for text, parameters in asked]
        found = [json.loads(result.answer.body) for result in await asyncio.gather(*calls)]
    finally:
        await pool.drain()
    assert found == expected
    assert len({len(each["ids"]) for each in expected}) > 3, "targets of different lengths"


@pytest.mark.e2e
async def test_writing_that_goes_on_is_no_hang_and_ends_with_its_deadline(tmp_path: Path, environ: dict[str, str]) -> None:
    made = tmp_path / "models" / "m:1"
    made.mkdir(parents=True)
    tokenizer().save(str(made / "tokenizer.json"))
    SPEC.save(made)
    (made / "fake.json").write_text(json.dumps({"writes": True, "step_ms": 100}))
    options = WorkerOptions(run_dir=tmp_path / "run", log=tmp_path / "log", environ=environ, hang_s=0.5)
    pool = LocalPool(options, folders={"m:1": made})
    try:
        await pool.ensure(DeploymentSpec("d1", "default", "e", "m", "m:1", "fake-fp32"))
        (pid,) = pool.pids("default", "e")
        long = " ".join(["w5"] * 20)  # two seconds
        calls = [pool.submit("default", "e", Request(long, {}, timeout_s)) for timeout_s in (60.0, 1.0)]
        answered, refused = await asyncio.gather(*calls, return_exceptions=True)
        assert not isinstance(answered, BaseException), answered
        assert json.loads(answered.answer.body) == {"ids": [5] * 20, "finish": "stop"}
        assert isinstance(refused, DeadlineExceeded)
        assert pool.pids("default", "e") == (pid,)
    finally:
        await pool.drain()
