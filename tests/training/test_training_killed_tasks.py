"""Every task's training goes on after `kill -9` as if nothing had been: the same curve, the same bits."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.tiny_bert import save_bert
from tests.training.useful import useful

from hanlin.datasets import Split
from hanlin.messages.said import Plain, Said
from hanlin.tasks import TASKS
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.vectors import VectorSettings
from hanlin.training import train as train_module
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train

InChild = Callable[[Callable[[], object]], int]
NAMES, VERBS, THINGS = ("Ada", "Bob", "Cleo"), ("wrote", "read", "sold"), ("letters", "books")
# Dropout and a running mean, so that a state that is lost would show.
SMALL: dict[str, object] = {
    "epochs": 2, "batch_size": 8, "rate": 0.01, "hidden_size": 16, "embedding_size": 16, "heads": 2, "layers": 1, "decoder_layers": 1,
    "ngram_buckets": 64, "vocab_size": 300, "max_length": 64, "train_length": 64, "min_count": 1, "precision": "fp32", "threads": 1,
    "dropout": 0.2, "average": 0.9, "wide": False,
}  # fmt: skip
WRITTEN_BY_TRANSFORMERS = {"reranking", "translation", "summarization", "text-to-sql", "text-generation"}
Row = dict[str, object]


def made(number: int, chance: random.Random) -> dict[str, Row]:
    """A row of each task."""
    name, verb, thing = chance.choice(NAMES), chance.choice(VERBS), chance.choice(THINGS)
    text, start = f"{name} {verb} {thing} {number}", len(name) + 1
    roles = [{"start": 0, "end": 1, "role": "ARG0"}, {"start": 2, "end": 3, "role": "ARG1"}]
    talk = [{"role": "user", "content": text}, {"role": "assistant", "content": thing}]
    return {
        "text-classification": {"text": text, "label": [name, thing]},
        "sentiment": {"text": text, "aspect": thing, "polarity": "positive" if verb == "read" else "negative"},
        "token-classification": {"text": text, "entities": [{"start": 0, "end": len(name), "label": "PER"}]},
        "semantic-role-labelling": {"tokens": [name, verb, thing, str(number)], "frames": [{"predicate": 1, "arguments": roles}]},
        "semantic-parsing": {"text": text, "intent": verb, "slots": {"who": name}, "spans": [["who", 0, len(name)]]},
        "question-answering": {"context": text, "question": "who", "answers": [name] if number % 4 else []},
        "reranking": {"query": f"{name} {number}", "text": text, "negatives": [f"{thing} {number}", f"{verb} {number}"]},
        "translation": {"source": text, "target": text[start:]},
        "summarization": {"text": text, "summary": thing},
        "text-generation": {"messages": talk},
        "text-to-sql": {
            "text": f"{thing} over {number}", "sql": f"SELECT title FROM books WHERE pages > {number}",
            "schema": "CREATE TABLE books (title TEXT, pages INTEGER);",
        },
    }  # fmt: skip


MADE = tuple(made(0, random.Random(0)))


def data_of(task: str) -> TrainData:
    chance, form = random.Random(4), TASKS.get(task).examples
    read = [form.read(made(number, chance)[task]) for number in range(60)]
    splits = [Split([one.text for one in part], [one.annotation for one in part]) for part in (read[:44], read[44:])]
    return TrainData(*splits, tuple(sorted({name for one in read for name in one.labels})))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder of random weights, for the task that is learned from a base alone."""
    words = [*NAMES, *VERBS, *THINGS, "who"]
    folder = save_bert(tmp_path_factory.mktemp("base"), words, width=16, layers=1, positions=40)
    ModelSpec("embedding", (), 32, 0, vectors=VectorSettings(16)).save(folder)
    return folder


class Listener(Silent):
    """Hears whether a run goes on from a checkpoint, and from which step."""

    def __init__(self) -> None:
        self.steps: list[object] = []

    def message(self, code: str, /, **params: Plain | Said) -> None:
        if code == "training_resumed":
            self.steps.append(params["step"])


def run(folder: Path, task: str, base: Path, progress: Silent | None = None) -> TrainReport:
    model = "base" if task == "question-answering" else "transformer" if task in WRITTEN_BY_TRANSFORMERS else "lstm"
    config = TrainConfig.from_json(useful(SMALL, model, task), model=model, task=task)  # type: ignore[arg-type]
    return train(
        config, data_of(task), out=folder / "out", progress=progress or Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"),
        base=base if model == "base" else None,
    )  # fmt: skip


@pytest.mark.parametrize("task", [*MADE])
def test_a_killed_training_ends_in_the_bits_of_an_unbroken_one(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, *, task: str, kill_at: type, in_child: InChild
) -> None:
    monkeypatch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)  # one behind every step
    whole = run(tmp_path / "whole", task, base)
    killed_at, heard = whole.steps // 2 + 1, Listener()
    assert in_child(lambda: run(tmp_path / "killed", task, base, kill_at(killed_at))) == signal.SIGKILL
    resumed = run(tmp_path / "killed", task, base, heard)
    assert heard.steps == [killed_at - 1]
    assert resumed.history == whole.history
    one, other = ((tmp_path / name / "out" / "model.safetensors").read_bytes() for name in ("whole", "killed"))
    assert one == other


def test_no_task_is_missing() -> None:
    """The others stand in files of their own, where more can be lost: texts on disk, wrong texts that are looked up."""
    elsewhere = {"fill-mask": "pretraining", "embedding": "embedding"}
    assert {*MADE, *elsewhere} == {*TASKS.names()}
    for name in elsewhere.values():
        assert "SIGKILL" in (Path(__file__).parent / f"test_training_{name}.py").read_text(encoding="utf-8")
