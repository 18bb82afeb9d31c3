"""Adapters of one base in one worker: rows of several in one step, each answered for itself; they come, go, and are counted alone."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.engines.asking import Questioner
from hanlin.engines.sharing import Seat
from hanlin.engines.trained import trained_session
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.adapter import AdapterSettings
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import save_network
from hanlin.networks.lora import attach, lay_out_base, weight_names
from hanlin.serving.bases import Bases
from hanlin.serving.batcher import Batcher
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.loaded import Loaded
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions
from hanlin.serving.router import Request
from hanlin.serving.shared import AdapterReplica, SharedQueue
from hanlin.serving.wire import Answer, Call, Refusal
from hanlin.tasks import TASKS, Limits, ModelSpec
from hanlin.tasks.encoding import TextEncoder


class Shared:
    """A base whose answer to a row is the sum of its ids, at the label of its adapter's number. Steps wait until `open`."""

    num_streams = 1
    step_tokens: int | None = None
    has_tokens = False

    def __init__(self) -> None:
        self.open = threading.Event()
        self.steps: list[list[int]] = []
        self.is_closed = False
        self.here: set[int] = set()

    def take(self, folder: Path) -> Seat:
        number = int(folder.name)
        self.here.add(number)
        return Seat(number, 1, "logits", number + 2, has_types=False)

    def leave(self, number: int) -> None:
        self.here.discard(number)

    def run_rows(
        self, numbers: Sequence[int], input_ids: np.ndarray, attention_mask: np.ndarray, token_type_ids: np.ndarray | None = None, *,
        with_tokens: bool = False,
    ) -> Mapping[str, np.ndarray]:  # fmt: skip
        assert self.open.wait(20)
        assert set(numbers) <= self.here
        self.steps.append(list(numbers))
        found = np.zeros((len(numbers), 9), dtype=np.float32)
        found[np.arange(len(numbers)), numbers] = (input_ids * attention_mask).sum(axis=1)
        found[:, 8] = 1e6  # of an adapter with more labels than any
        return {"logits": found}

    def run(self, *arrays: np.ndarray, with_tokens: bool = False) -> Mapping[str, np.ndarray]:
        raise AssertionError("not asked without a number")

    def close(self) -> None:
        self.is_closed = True


class Gathered:
    """Three fronts before one base."""

    def __init__(self) -> None:
        tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1} | {f"w{n}": n for n in range(2, 60)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        self.session, self.bases = Shared(), Bases()
        self.fronts: list[AdapterReplica] = []
        for number in range(3):
            labels = tuple(f"a{number}-{label}" for label in range(number + 2))
            spec = ModelSpec("text-classification", labels, 64, 0)
            base, seat = self.bases.enter("key", lambda: self.session, Path(str(number)))
            loaded = Loaded(TASKS.get(spec.task), spec, TextEncoder(tokenizer, spec), base.session, None, Limits(), "torch-fp32")
            if base.queue is None:
                base.queue = SharedQueue(base.session, Batcher(max_batch_tokens=512, max_queue_tokens=1000), pad_id=0)
            leave = lambda base=base, seat=seat: self.bases.leave("key", base, seat)  # noqa: E731
            self.fronts.append(AdapterReplica(loaded, base.queue, seat, leave=leave))

    def ask(self, number: int, text: str, answers: dict[str, object], name: str) -> int:
        call = Call(1, msgspec.Raw(msgspec.msgpack.encode([text, {}])), timeout_s=20.0, key="k")

        def reply(frame: Answer | Refusal) -> None:
            answers[name] = json.loads(frame.body) if isinstance(frame, Answer) else frame

        return self.fronts[number].submit(call, reply)


async def until(answers: dict[str, object], count: int) -> None:
    async with asyncio.timeout(20):
        while len(answers) < count:
            await asyncio.sleep(0.005)


async def test_rows_of_several_share_a_step_and_return_to_their_owners() -> None:
    gathered, answers = Gathered(), dict[str, object]()
    for round_number in range(4):
        for number in range(3):
            gathered.ask(number, f"w{5 + round_number}", answers, f"{number}/{round_number}")
    gathered.session.open.set()
    await until(answers, 12)
    assert any(len(set(step)) == 3 for step in gathered.session.steps)
    for name, answer in answers.items():
        number = int(name[0])
        assert {entry["label"] for entry in answer} == {f"a{number}-{label}" for label in range(number + 2)}  # type: ignore[attr-defined]
        assert answer[0]["label"] == f"a{number}-{number}"  # type: ignore[index]
    values = [front.values() for front in gathered.fronts]
    assert [value["answered_total"] for value in values] == [4, 4, 4]
    assert [value["rows_total"] for value in values] == [4, 4, 4]
    assert all(front.num_inflight == 0 for front in gathered.fronts)


async def test_who_leaves_takes_only_what_is_his_own_and_the_last_the_base() -> None:
    gathered, answers = Gathered(), dict[str, object]()
    gathered.session.open.set()
    gathered.ask(1, "w5", answers, "before")
    await until(answers, 1)
    assert await gathered.fronts[1].drain(1)
    await asyncio.to_thread(gathered.fronts[1].close)
    assert gathered.session.here == {0, 2}
    gathered.ask(1, "w5", answers, "gone")
    assert isinstance(answers["gone"], Refusal)
    gathered.ask(2, "w5", answers, "after")
    await until(answers, 3)
    assert isinstance(answers["after"], list)
    for number in (0, 2):
        assert not gathered.session.is_closed
        await asyncio.to_thread(gathered.fronts[number].close)
    assert gathered.session.is_closed


async def test_a_call_that_is_given_up_leaves_the_one_queue() -> None:
    gathered, answers = Gathered(), dict[str, object]()
    gathered.ask(0, "w5", answers, "runs")
    await asyncio.sleep(0.05)
    number = gathered.ask(1, "w6", answers, "given up")
    gathered.ask(2, "w7", answers, "waits")
    gathered.fronts[1].cancel(number)
    assert gathered.fronts[1].num_inflight == 0
    assert gathered.fronts[1].values()["cancelled_total"] == 1
    gathered.session.open.set()
    await until(answers, 2)
    assert set(answers) == {"runs", "waits"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three adapters over a BERT of random weights, by version."""
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    root = tmp_path_factory.mktemp("adapters")
    base = root / "base"
    base.mkdir()
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
    AutoModel.from_config(AutoConfig.for_model("bert", vocab_size=60, initializer_range=0.3, **sizes)).save_pretrained(base)
    words = [f"w{number}" for number in range(50)]
    found = {}
    for number in (1, 2, 3):
        folder = found[f"m:{number}"] = root / f"m{number}"
        folder.mkdir()
        save_tokenizer(train_tokenizer([" ".join(words)] * 3, "word", 60, min_count=1), folder)
        ModelSpec("text-classification", tuple(f"l{number}{label}" for label in range(number + 1)), 32, 0).save(folder)
        lay_out_base(base, folder)
        config = AutoConfig.from_pretrained(base, num_labels=number + 1)
        module = PretrainedClassifier(AutoModelForSequenceClassification.from_pretrained(base, config=config))
        attach(module, AdapterSettings(0 if number == 3 else 2 * number), weight_names(base / "model.safetensors"))
        for parameter in module.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.5)
        save_network(module, folder)
    return found


@pytest.fixture
async def pool(tmp_path: Path, folders: dict[str, Path]) -> AsyncIterator[LocalPool]:
    found = LocalPool(WorkerOptions(run_dir=tmp_path / "run", drain_timeout_s=2.0), folders=folders)
    yield found
    await found.drain()


@pytest.mark.e2e
async def test_one_process_holds_the_base_once_and_answers_for_all(pool: LocalPool, folders: dict[str, Path]) -> None:
    usual = DeploymentSpec("d", "default", "e", "m", "m:1", "torch-fp32", isolation="shared", base="b")
    for number in (1, 2, 3):
        await pool.ensure(replace(usual, deployment_id=f"d{number}", endpoint=f"e{number}", version=f"m:{number}"))
    assert len({pool.pids("default", f"e{number}") for number in (1, 2, 3)}) == 1
    texts = ["w3 w4 w5", "w7", "w9 w1 w2 w3 w4 w5 w6 w7 w8"] * 2
    asked = [(number, text) for text in texts for number in (1, 2, 3)]
    found = await asyncio.gather(*(pool.submit("default", f"e{number}", Request(text, {"top_k": 10}, 20.0)) for number, text in asked))
    for number in (1, 2, 3):
        session, _ = trained_session(folders[f"m:{number}"], threads=0)
        folder = folders[f"m:{number}"]
        alone = Questioner(session, TASKS.get("text-classification"), ModelSpec.load(folder), TextEncoder.load(folder))
        for (other, text), result in zip(asked, found, strict=True):
            if other == number:
                expected = {entry["label"]: entry["score"] for entry in alone.ask([(text, {"top_k": 10})]).answers[0]}
                answer = {entry["label"]: entry["score"] for entry in json.loads(result.answer.body)}
                assert answer == pytest.approx(expected, abs=1e-5)
    await pool.ensure(replace(usual, deployment_id="d4", endpoint="e1", version="m:2"))  # the first leaves, the others stay
    result = await pool.submit("default", "e3", Request("w3", {"top_k": 10}, 20.0))
    assert len(json.loads(result.answer.body)) == 4
