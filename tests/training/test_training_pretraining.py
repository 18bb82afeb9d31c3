"""Pretraining: what is hidden, which sentences stand beside each other, runs that are killed, and bases that fine-tune."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hanlin.datasets import Split
from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.errors import InvalidInput
from hanlin.networks.config import read_config
from hanlin.networks.head import Head
from hanlin.tasks import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.training import train as train_module
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.masking import Frame, Masking, write_pairs
from hanlin.training.option_rules import Case, applies
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train

InChild = Callable[[Callable[[], object]], int]
# Nine tokens each: with the one that ends a text they fill a row.
LINES = ["the cat sat on a mat and it slept", "my dog ran over hills to find this house", "春眠不觉晓处处闻啼", "床前明月光疑是地上"]
SMALL = {
    "precision": "fp32", "vocab_size": 200, "hidden_size": 32, "layers": 1, "heads": 2, "max_length": 48,
    "train_length": 12, "batch_size": 16, "rate": 0.01, "epochs": 4, "threads": 1, "min_count": 1, "dropout": 0.0,
}  # fmt: skip


def texts_of(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    return Split([chance.choice(LINES) for _ in range(count)], [""] * count)


DATA = TrainData(texts_of(240, 1), texts_of(20, 2), ())


def tales_of(part: Split) -> Split:
    return Split(["\n".join(part.texts[at : at + 4]) for at in range(0, len(part), 4)], [""] * (len(part) // 4))


TALES = TrainData(tales_of(texts_of(160, 3)), tales_of(texts_of(24, 4)), ())


def run(
    folder: Path, *, model: str = "transformer", base: Path | None = None, progress: Silent | None = None, data: TrainData = DATA,
    **options: object,
) -> TrainReport:  # fmt: skip
    small = {name: value for name, value in SMALL.items() if applies(name, Case(model, "fill-mask"))}
    config = TrainConfig.from_json({**small, **options}, model=model, task="fill-mask")  # type: ignore[dict-item]
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    return train(config, data, out=folder / "out", progress=progress or Silent(), checkpoints=checkpoints, base=base)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learned")
    run(folder, epochs=14, patience=0)
    return folder / "out"


def test_it_learns_what_is_hidden_and_says_it_again_after_loading(learned: Path) -> None:
    assert sorted(path.name for path in learned.iterdir()) == ["config.json", "hanlin.json", "model.safetensors", "tokenizer.json"]
    assert Head.load(learned).output == "mask_logits"
    found = evaluate(learned, DATA.validation).metrics
    assert found.get("accuracy") > 0.8
    assert found.get("perplexity") < 3
    spec, task = ModelSpec.load(learned), TASKS.get("fill-mask")
    session, _ = trained_session(learned, threads=1)
    asked = Questioner(session, task, spec, TextEncoder.load(learned)).ask(
        [("The cat [MASK] on a mat and it slept", {}), ("床前明[MASK]光疑是地上", {})]
    )
    assert [answer[0]["sequence"] for answer in asked.answers] == ["The cat sat on a mat and it slept", "床前明月光疑是地上"]  # type: ignore[index,call-overload]


def test_chinese_is_read_by_character_and_the_mask_is_a_token(learned: Path) -> None:
    tokenizer = load_tokenizer(learned / "tokenizer.json")
    assert [tokenizer.token_to_id(name) for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] == [0, 1, 2, 3, 4]
    assert tokenizer.encode("the cat [MASK]", "春 眠").tokens == ["[CLS]", "the", "cat", "[MASK]", "[SEP]", "春", "眠", "[SEP]"]


def test_pairs_of_sentences_are_learned_beside(tmp_path: Path) -> None:
    report = run(tmp_path, data=TALES, objective="mlm+nsp", epochs=3, train_length=24)
    last = report.history[-1].validation
    assert {"next_sentence", "masked_loss", "perplexity", "accuracy"} < set(last)
    assert last["loss"] > last["masked_loss"]
    assert report.best == min(point.validation["loss"] for point in report.history if point.validation)
    assert evaluate(tmp_path / "out", DATA.validation).metrics.rows > 100  # the artifact fills masks


@pytest.mark.parametrize("objective", ["mlm", "mlm+nsp"])
def test_a_run_that_is_killed_goes_on_as_if_nothing_had_been(
    tmp_path: Path,
    kill_at: Callable[[int], Silent],
    in_child: Callable[[Callable[[], object]], int],
    monkeypatch: pytest.MonkeyPatch,
    objective: str,
) -> None:
    monkeypatch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)
    options = {"objective": objective, "epochs": 2, "average": 0.9, "data": TALES, "tokenizer": "word"}
    whole = run(tmp_path / "whole", **options)
    status = in_child(lambda: run(tmp_path / "killed", progress=kill_at(whole.steps // 2), **options))
    assert os.WTERMSIG(status) == signal.SIGKILL
    again = run(tmp_path / "killed", **options)
    assert again.history == whole.history
    weights = [(tmp_path / name / "out" / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]


def test_it_ends_early_where_nothing_gets_better(tmp_path: Path) -> None:
    report = run(tmp_path, rate=1e-8, epochs=50, patience=2, metric="accuracy")
    assert len([point for point in report.history if point.validation]) < 20


def test_any_task_is_fine_tuned_from_it(learned: Path, tmp_path: Path) -> None:
    rows = Split([LINES[number % 4] for number in range(40)], [("en", "en", "zh", "zh")[number % 4] for number in range(40)])
    options = {"epochs": 6, "rate": 3e-3, "precision": "fp32", "threads": 1, "batch_size": 8}
    config = TrainConfig.from_json(options, model="base")  # type: ignore[arg-type]
    out = tmp_path / "out"
    data, checkpoints = TrainData(rows, rows, ("en", "zh")), FolderCheckpoints(tmp_path / "c")
    train(config, data, out=out, progress=Silent(), checkpoints=checkpoints, base=learned)
    assert evaluate(out, rows).metrics.get("accuracy") == 1.0
    assert ModelSpec.load(out).mask_id is None
    assert Head.load(out).output == "logits"


HALVES = [(line[: len(line) // 2], line[len(line) // 2 :]) for line in LINES]
LEARNED: dict[str, tuple[list[dict[str, object]], str]] = {  # rows of each task, and the figure that must become 1
    "token-classification": (
        [{"text": LINES[0], "entities": [{"start": 4, "end": 7, "label": "ANIMAL"}]},
         {"text": LINES[1], "entities": [{"start": 3, "end": 6, "label": "ANIMAL"}]}],
        "f1",
    ),
    "semantic-role-labelling": (
        [{"tokens": ["the", "cat", "sat"], "frames": [{"predicate": 2, "arguments": [{"start": 0, "end": 2, "role": "ARG0"}]}]}],
        "f1",
    ),
    "semantic-parsing": (
        [{"text": LINES[0], "intent": "sit", "slots": {"who": "cat"}, "spans": [["who", 4, 7]]},
         {"text": LINES[1], "intent": "run", "slots": {"who": "dog"}, "spans": [["who", 3, 6]]}],
        "exact_match",
    ),
    "question-answering": (
        [{"context": LINES[0], "question": "it slept on", "answers": ["mat"]},
         {"context": LINES[1], "question": "my dog", "answers": ["ran"]}],
        "exact",
    ),
    "embedding": ([{"anchor": one, "positive": other} for one, other in HALVES], "ndcg"),
    "reranking": (
        [{"query": one, "text": other, "negatives": [text for _, text in HALVES if text != other]} for one, other in HALVES],
        "ndcg",
    ),
}  # fmt: skip


@pytest.mark.parametrize("task", LEARNED)
def test_every_task_is_fine_tuned_from_it(task: str, learned: Path, tmp_path: Path) -> None:
    fields, figure = LEARNED[task]
    read = [TASKS.get(task).examples.read(row) for row in fields] * (24 // len(fields))
    rows = Split([one.text for one in read], [one.annotation for one in read])
    options = {
        "epochs": 60 if task == "reranking" else 20,
        "rate": 3e-3,
        "precision": "fp32",
        "threads": 1,
        "batch_size": 8,
        "patience": 0,
        "dropout": 0.0,
    }
    config = TrainConfig.from_json(options, model="base", task=task)  # type: ignore[arg-type]
    data = TrainData(rows, rows, tuple(sorted({name for one in read for name in one.labels})))
    train(config, data, out=tmp_path / "out", progress=Silent(), checkpoints=FolderCheckpoints(tmp_path / "c"), base=learned)
    assert evaluate(tmp_path / "out", rows).metrics.get(figure) == 1.0


def test_it_goes_on_from_its_own_weights(learned: Path, tmp_path: Path) -> None:
    before = evaluate(learned, DATA.validation).metrics.get("perplexity")
    report = run(tmp_path, model="base", base=learned, epochs=1, rate=1e-5)
    assert report.history[-1].validation["masked_loss"] < 1
    assert evaluate(tmp_path / "out", DATA.validation).metrics.get("perplexity") == pytest.approx(before, rel=0.2)
    same = ("model_type", "vocab_size", "hidden_size", "hanlin_head")
    assert [read_config(tmp_path / "out")[name] for name in same] == [read_config(learned)[name] for name in same]


def test_a_base_whose_tokenizer_pads_and_cuts_loses_no_text(learned: Path, tmp_path: Path) -> None:
    """Those of sentence-transformers do."""
    base = Path(shutil.copytree(learned, tmp_path / "base"))
    tokenizer = load_tokenizer(base / "tokenizer.json")
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(5)
    tokenizer.save(str(base / "tokenizer.json"))
    plain, padding = (run(tmp_path / name, model="base", base=of, epochs=1) for name, of in (("plain", learned), ("padding", base)))
    told = [(report.steps, [each.validation for each in report.history]) for report in (plain, padding)]
    assert told[0] == told[1]


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        run(tmp_path, model="lstm")
    assert caught.value.code == "invalid_training_option"


def test_a_tenth_of_what_is_hidden_stays_and_a_tenth_becomes_another() -> None:
    masking = Masking(4, 1000, (0, 1, 2, 3, 4), 0.15)
    ids = torch.full((200, 100), 7)
    ids[:, 0], ids[:, -20:] = 2, 0
    shown, asked = masking.hide(ids, (ids != 0).long(), torch.Generator().manual_seed(1))
    assert not asked[:, 0].any()
    assert not asked[:, -20:].any()
    assert bool((shown[~asked] == ids[~asked]).all())
    assert float(asked[:, 1:-20].float().mean()) == pytest.approx(0.15, abs=0.01)
    kinds = shown[asked]
    assert float((kinds == 4).float().mean()) == pytest.approx(0.8, abs=0.02)
    assert float((kinds == 7).float().mean()) == pytest.approx(0.1, abs=0.02)


def test_something_is_hidden_in_every_batch() -> None:
    masking = Masking(4, 10, (0, 2, 3), 0.01)
    ids = torch.tensor([[2, 7, 3]])
    for seed in range(20):
        shown, asked = masking.hide(ids, torch.ones_like(ids), torch.Generator().manual_seed(seed))
        assert asked.tolist() == [[False, True, False]]
        assert shown[0, [0, 2]].tolist() == [2, 3]


def test_half_of_the_pairs_are_of_two_texts(tmp_path: Path) -> None:
    texts = [f"{letter}1. {letter}2. {letter}3. {letter}4." for letter in "abcdefgh"]
    pairs = write_pairs(texts, lambda chunk: [[ord(text[0]), int(text[1])] for text in chunk], tmp_path, frame=Frame(2, 3), length=11)
    assert len(pairs) == 8
    others = 0
    for _ in range(50):
        drawn = pairs.draw(range(8), None)
        assert drawn.types is not None
        assert drawn.follows is not None
        for row, types, is_other in zip(drawn.rows, drawn.types, drawn.follows, strict=True):
            first, second = row[1 : types.index(1) - 1], row[types.index(1) : -1]
            assert (row[0], row[types.index(1) - 1], row[-1]) == (2, 3, 3)
            assert first[1] == 1  # a passage begins where its text does
            assert len(first) + len(second) <= 8
            assert second
            assert (first[0] == second[0]) != bool(is_other)
            if not is_other:
                assert second[1] == first[-1] + 1
            others += is_other
    assert 160 < others < 240


def test_passages_stay_in_their_text_and_long_sentences_are_cut(tmp_path: Path) -> None:
    pairs = write_pairs(
        ["一。" * 3, "长" * 30], lambda chunk: [[ord(sign) for sign in text] for text in chunk], tmp_path, frame=Frame(2, 3), length=13
    )
    rows = [pairs.draw([number], torch.Generator().manual_seed(number)).rows[0] for number in range(len(pairs))]
    assert len(pairs) == 4
    assert all(len(row) <= 13 for row in rows)
