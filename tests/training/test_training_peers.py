"""Several processes train one network: their step is that of one process, whichever is killed, and none is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file
from tests.training.useful import useful

from hanlin.datasets import Split
from hanlin.errors import Cancelled, EngineFailed, InvalidInput
from hanlin.messages.said import Plain, Said
from hanlin.observe.memory import lift_limit, limit_memory
from hanlin.tasks import TASKS
from hanlin.training import team
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.examples import TrainData
from hanlin.training.lesson import LESSONS, Divided, Setting
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train
from hanlin.types import shorten

InChild = Callable[[Callable[[], object]], int]
WORDS = [f"word{number}" for number in range(9)]
# Without dropout, which draws for itself in each process, the steps are those of one process.
SMALL: dict[str, object] = {
    "epochs": 2, "batch_size": 16, "rate": 0.01, "hidden_size": 16, "embedding_size": 16, "ngram_buckets": 64, "min_count": 1, "heads": 2,
    "layers": 1, "precision": "fp32", "threads": 1, "dropout": 0.0, "embedding_dropout": 0.0, "ngram_dropout": 0.0, "metric": "loss",
    "tokenizer": "word", "evaluations": 2,
}  # fmt: skip
TOLERANCE = 2e-4  # of losses: the order in which float32 numbers are added, over all steps


def classified(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    texts = [" ".join([*chance.choices(WORDS, k=chance.randrange(2, 9)), "salt" if number % 3 else "pepper"]) for number in range(count)]
    return Split(texts, ["good" if number % 3 else "bad" for number in range(count)])


def tagged(count: int, seed: int) -> Split:
    task, found = TASKS.get("token-classification").examples, []
    for text in classified(count, seed).texts:
        start = text.rindex(" ") + 1
        found.append(task.read({"text": text, "entities": [{"start": start, "end": len(text), "label": text[start:].upper()}]}))
    return Split([one.text for one in found], [one.annotation for one in found])


DATA = {
    "text-classification": TrainData(classified(70, 1), classified(30, 2), ("bad", "good")),
    "token-classification": TrainData(tagged(70, 1), tagged(30, 2), ("PEPPER", "SALT")),
}


def run(folder: Path, progress: Silent | None = None, *, task: str = "text-classification", **options: object) -> TrainReport:
    folder.mkdir(exist_ok=True)
    wide = {"wide": False} if task == "text-classification" else {}
    config = TrainConfig.from_json({**useful(SMALL, "lstm", task), **wide, **options}, model="lstm", task=task)  # type: ignore[dict-item]
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    return train(config, DATA[task], out=folder / "out", progress=progress or Silent(), checkpoints=checkpoints)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "out" / "model.safetensors")


def helpers() -> list[psutil.Process]:
    """The processes that help this one to train."""
    return [child for child in psutil.Process().children() if "hanlin.training.peer" in " ".join(child.cmdline())]


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("text-classification", {"processes": 3, "class_weights": "balanced", "accumulation": 2}),
        ("token-classification", {"processes": 2, "average": 0.9}),
    ],
)
def test_their_steps_are_those_of_one_process(task: str, options: dict[str, object], tmp_path: Path) -> None:
    alone = run(tmp_path / "alone", task=task, **{**options, "processes": 1})
    found = run(tmp_path / "several", task=task, **options)
    assert found.steps == alone.steps
    assert [point.step for point in found.history] == [point.step for point in alone.history]
    for one, other in zip(found.history, alone.history, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=TOLERANCE)
        assert one.validation == pytest.approx(other.validation, abs=TOLERANCE)
    for name, tensor in weights(tmp_path / "alone").items():
        torch.testing.assert_close(tensor, weights(tmp_path / "several")[name], atol=2e-3, rtol=0)
    assert not helpers()
    assert [path.name for path in (tmp_path / "several").iterdir() if "peers" in path.name] == []


class KillPeer(Silent):
    """kill -9 to another process of the training, after each of these steps; tells what was said."""

    def __init__(self, *steps: int, for_ever: bool = False) -> None:
        self.steps, self.for_ever = list(steps), for_ever
        self.said: list[str] = []

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        if step in self.steps:
            if not self.for_ever:
                self.steps.remove(step)
            helpers()[-1].kill()

    def message(self, code: str, /, **params: Plain | Said) -> None:
        self.said.append(f"{code} {params.get('problem', '')}".strip())


def test_whichever_is_killed_the_end_is_the_same(tmp_path: Path, *, kill_at: type, in_child: InChild) -> None:
    options = {"processes": 2, "dropout": 0.3, "precision": "bf16"}
    unbroken = run(tmp_path / "unbroken", **options)
    progress = KillPeer(6)
    broken = run(tmp_path / "helper", progress, **options)
    assert progress.said.count("peer_replaced process 2: signal 9") == 1
    assert in_child(lambda: run(tmp_path / "lead", kill_at(6), **options)) == signal.SIGKILL
    again = run(tmp_path / "lead", **options)
    for found, name in ((broken, "helper"), (again, "lead")):
        assert found.history == unbroken.history
        assert all(torch.equal(tensor, weights(tmp_path / name)[key]) for key, tensor in weights(tmp_path / "unbroken").items())


def test_a_process_that_dies_each_time_fails_the_training(tmp_path: Path) -> None:
    progress = KillPeer(1, for_ever=True)
    with pytest.raises(EngineFailed) as caught:
        run(tmp_path / "run", progress, processes=2)
    assert (caught.value.code, caught.value.params["problem"]) == ("peer_lost", "process 2: signal 9")
    assert progress.said.count("peer_replaced process 2: signal 9") == 2
    assert not helpers()


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import os; os.close(0); raise SystemExit(3)"])
def test_a_process_that_dies_before_it_is_ready_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(team, "_COMMAND", [sys.executable, "-c", code])
    monkeypatch.setattr(team, "Group", lambda *_, **__: pytest.fail("there is nobody to meet"))
    with pytest.raises(EngineFailed) as caught:
        run(tmp_path / "run", processes=2)
    assert (caught.value.code, caught.value.params["problem"]) == ("peer_lost", "process 2: status 3")


class Limits(Silent):
    """How much memory of their own the processes of a training may have."""

    def __init__(self) -> None:
        self.found: list[int] = []

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        self.found = [process.rlimit(psutil.RLIMIT_DATA)[0] for process in (psutil.Process(), *helpers())]


def test_all_together_keep_to_the_limit_of_one(tmp_path: Path) -> None:
    progress = Limits()
    limit_memory(2**36)
    try:
        run(tmp_path / "run", progress, processes=2, epochs=1)
    finally:
        lift_limit()
    assert progress.found == [2**35, 2**35]


class CancelAt(Silent):
    """Cancelled after a step."""

    def __init__(self) -> None:
        self.pids: list[int] = []

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        self.pids = [child.pid for child in helpers()]

    def check_cancelled(self) -> None:
        raise Cancelled("job_cancelled")


def test_a_cancelled_training_ends_them_all(tmp_path: Path) -> None:
    progress = CancelAt()
    with pytest.raises(Cancelled):
        run(tmp_path / "run", progress, processes=2)
    assert len(progress.pids) == 1
    assert not any(psutil.pid_exists(pid) for pid in progress.pids)


def test_they_end_when_the_lead_is_killed(tmp_path: Path, *, in_child: InChild) -> None:
    class Die(Silent):
        def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
            (tmp_path / "pids").write_text(json.dumps([child.pid for child in helpers()]))
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(lambda: run(tmp_path / "run", Die(), processes=2)) == signal.SIGKILL
    (pid,) = json.loads((tmp_path / "pids").read_text())
    left = [psutil.Process(pid)] if psutil.pid_exists(pid) else []
    assert not psutil.wait_procs(left, timeout=20)[1]


def test_a_task_whose_loss_is_of_the_whole_batch_is_refused(tmp_path: Path) -> None:
    form = TASKS.get("embedding").examples
    first, second = (column.name for column in form.columns[:2])
    found = [form.read({first: f"q{number}", second: f"t{number}"}) for number in range(20)]
    rows = Split([one.text for one in found], [one.annotation for one in found])
    options = {"processes": 2, "hidden_size": 16, "layers": 1, "heads": 2, "min_count": 1, "threads": 1, "precision": "fp32"}
    config = TrainConfig.from_json(options, model="transformer", task="embedding")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as caught:
        train(config, TrainData(rows, rows, ()), out=tmp_path / "out", progress=Silent(), checkpoints=FolderCheckpoints(tmp_path / "c"))
    assert caught.value.params["name"] == shorten("processes")


def examples(task: str) -> TrainData:
    """A few rows of different lengths."""
    form, found = TASKS.get(task).examples, []
    for number, text in enumerate(classified(24, 3).texts):
        tokens = text.split()
        fields: dict[str, dict[str, object]] = {
            "translation": {"source": text, "target": " ".join(tokens[:: 1 + number % 2])},
            "text-generation": {"text": text},
            "text-to-sql": {
                "text": f"books over {number}",
                "sql": f"SELECT title FROM books WHERE pages > {number}{' LIMIT 3' * (number % 2)}",
            },
            "semantic-role-labelling": {
                "tokens": tokens, "frames": [{"predicate": 1, "arguments": [{"start": 0, "end": 1, "role": "A0"}]}] * (number % 5 > 0),
            },
            "text-classification": {"text": text, "score": number / 10},
        }  # fmt: skip
        more = {"schema": "CREATE TABLE books (title TEXT, pages INTEGER);"} if task == "text-to-sql" else {}
        found.append(form.read({**fields[task], **more}))
    rows = Split([one.text for one in found], [one.annotation for one in found])
    return TrainData(rows, rows, ("A0",) if task == "semantic-role-labelling" else ())


@pytest.mark.parametrize("task", ["translation", "text-generation", "text-to-sql", "semantic-role-labelling", "text-classification"])
def test_a_batch_loses_what_its_parts_lose_by_their_weights(task: str, tmp_path: Path) -> None:
    model = "lstm" if task in {"semantic-role-labelling", "text-classification"} else "transformer"
    own: dict[str, object] = {"decoder_layers": 1, "wide": False, "vocab_size": 300, "max_length": 64}
    options = useful({**{name: value for name, value in SMALL.items() if name != "tokenizer"}, **own}, model, task)
    config = TrainConfig.from_json(options, model=model, task=task)  # type: ignore[arg-type]
    (tmp_path / "out").mkdir()
    course = LESSONS.get(task).prepare(Setting(config, examples(task), tmp_path / "out", Silent()))
    assert isinstance(course, Divided)
    course.module.train()
    batch = list(range(len(course.lengths)))[:20]
    parts = [batch[rank::3] for rank in range(3)]
    with torch.no_grad():
        whole = float(course.loss(course.module, batch)) * course.weight(batch)
        assert sum(float(course.loss(course.module, part)) * course.weight(part) for part in parts) == pytest.approx(whole, rel=1e-5)
    assert len({course.weight(part) for part in parts}) > 1
