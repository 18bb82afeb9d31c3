"""Networks that write learn pairs, are saved, and answer the same; a run that was cut off goes on as if it had not been."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from hanlin.datasets import Split
from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.errors import Cancelled, InvalidInput
from hanlin.models.importing import import_folder
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.tasks import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import canonical
from hanlin.tasks.sentences import chunks
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings
from hanlin.tasks.written_texts import target_of
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig, preset
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.option_rules import Case, applies
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train

WORDS = {"red": "红", "green": "绿", "fox": "狐", "house": "屋", "big": "大", "runs": "跑"}
TINY = {
    "epochs": 40, "hidden_size": 32, "layers": 1, "decoder_layers": 1, "heads": 2, "vocab_size": 280, "batch_size": 16, "rate": 0.004,
    "max_length": 64, "max_target_length": 16, "precision": "fp32", "threads": 1, "average": 0.0, "dropout": 0.0, "embedding_dropout": 0.0,
    "label_smoothing": 0.0, "evaluations": 1, "train_length": 64,
}  # fmt: skip
ON_BASE = {
    name: value for name, value in TINY.items() if applies(name, Case("base", "translation")) and name != "decoder_layers"
}  # which imported networks bring


def pairs(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    said = [[chance.choice(list(WORDS)) for _ in range(chance.randint(1, 3))] for _ in range(count)]
    return Split([" ".join(row) for row in said], [canonical({"target": "".join(WORDS[word] for word in row)}) for row in said])


DATA = TrainData(pairs(96, 1), pairs(24, 2), ())


class Stopped(Silent):
    """Cancels once, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def check_cancelled(self) -> None:
        self.left -= 1
        if not self.left:
            raise Cancelled("job_cancelled")


def run(folder: Path, task: str, progress: Silent | None = None, **options: object) -> TrainReport:
    config = TrainConfig.from_json({**TINY, **options}, model="transformer", task=task)  # type: ignore[dict-item]
    return train(config, DATA, out=folder / "out", progress=progress or Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"))


@pytest.mark.parametrize("task", ["translation", "summarization"])
def test_a_network_that_writes_learns_and_answers_the_same(tmp_path: Path, task: str) -> None:
    run(tmp_path, task)
    key = {"translation": "translation_text", "summarization": "summary_text"}[task]
    found = evaluate(tmp_path / "out", DATA.train)
    right = [answer[key] == target_of(gold) for answer, gold in zip(found.answers, DATA.train.labels, strict=True)]  # type: ignore[index,call-overload]
    assert sum(right) / len(right) > 0.9
    assert found.answers == evaluate(tmp_path / "out", DATA.train).answers
    check_document(tmp_path / "out", task, key)


def check_document(folder: Path, task: str, key: str) -> None:
    """A text beyond the network's length is refused, cut, or written in pieces of whole sentences, each as it is written alone."""
    session, _ = trained_session(folder, threads=1)
    encoder = TextEncoder.load(folder)
    asker = Questioner(session, TASKS.get(task), ModelSpec.load(folder), encoder)
    text = "\n".join(f"{one} {other}" for one in WORDS for other in WORDS)
    pieces = chunks(text, lambda parts: [encoder.size(part) for part in parts], 64)
    assert len(pieces) > 1
    with pytest.raises(InvalidInput) as refused:
        asker.ask([(text, {})])
    assert refused.value.code == "text_too_long"
    calls = [(text, {"long_text": "window"}), (text, {"long_text": "truncate"}), *((piece, {}) for piece in pieces)]
    whole, cut, *alone = ["".join(answer[key].split()) for answer in asker.ask(calls).answers]  # type: ignore[index,call-overload,arg-type]
    assert whole == "".join(alone)
    assert len(cut) < len(whole)


def test_a_run_that_was_cut_off_is_the_run_that_was_not(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", "translation", epochs=3)
    with pytest.raises(Cancelled):
        run(tmp_path / "cut", "translation", Stopped(8), epochs=3)
    resumed = run(tmp_path / "cut", "translation", epochs=3)
    assert [point.validation for point in resumed.history] == [point.validation for point in whole.history]
    weights = [(tmp_path / name / "out" / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_a_base_keeps_its_text_settings_and_languages(tmp_path: Path) -> None:
    run(tmp_path / "base", "translation", epochs=1)
    base = tmp_path / "base" / "out"
    replace(ModelSpec.load(base), text=TextSettings(("html", "lower")), languages=("en", "zh")).save(base)
    config = TrainConfig.from_json({**ON_BASE, "epochs": 1}, model="base", task="translation")  # type: ignore[dict-item]
    checkpoints = FolderCheckpoints(tmp_path / "checkpoints")
    train(config, DATA, out=tmp_path / "out", progress=Silent(), checkpoints=checkpoints, base=base)
    found = ModelSpec.load(tmp_path / "out")
    assert (found.text.cleaning, found.languages) == (("html", "lower"), ("en", "zh"))


def test_only_networks_that_write_are_trained_to_write(tmp_path: Path) -> None:
    config = TrainConfig.from_json({}, model="lstm", task="translation")
    with pytest.raises(InvalidInput) as refused:
        train(config, DATA, out=tmp_path / "out", progress=Silent(), checkpoints=FolderCheckpoints(tmp_path / "checkpoints"))
    assert refused.value.code == "network_for_another_task"


def test_the_preset_watches_the_loss() -> None:
    found = preset("transformer", "translation")
    assert (found.metric, found.tokenizer, found.decoder_layers) == ("loss", "byte-bpe", 3)


FEW = Split(DATA.train.texts[:24], DATA.train.labels[:24])
LEARNS = {"bart": {"rate": 0.01, "epochs": 25}, "marian": {"rate": 0.004, "epochs": 40}, "t5": {"rate": 0.01, "epochs": 45}}


@pytest.mark.parametrize("kind", LEARNS)
def test_an_imported_network_that_writes_learns_pairs_by_heart(tmp_path: Path, kind: str) -> None:
    base, rows = imported(tmp_path, kind), TrainData(FEW, FEW, ())
    config = TrainConfig.from_json({**ON_BASE, "batch_size": 8, **LEARNS[kind]}, model="base", task="translation")  # type: ignore[dict-item]
    checkpoints = FolderCheckpoints(tmp_path / "checkpoints")
    report = train(config, rows, out=tmp_path / "out", progress=Silent(), checkpoints=checkpoints, base=base)
    assert report.history[-1].validation["loss"] < 0.1
    found = evaluate(tmp_path / "out", FEW)
    right = [answer["translation_text"] == target_of(gold) for answer, gold in zip(found.answers, FEW.labels, strict=True)]  # type: ignore[index,call-overload]
    assert sum(right) / len(right) > 0.9
    assert found.answers == evaluate(tmp_path / "out", FEW).answers


def imported(folder: Path, kind: str) -> Path:
    """A tiny network of transformers with random weights, as an import lays it out.

    Marian takes token vectors times the root of their width, as its published models do: without it they drown in positions of size 1.
    """
    import torch
    import transformers as hf

    tokenizer = train_tokenizer([*DATA.train.texts, *map(target_of, DATA.train.labels)], "byte-bpe", 280)
    source = folder / "source"
    source.mkdir()
    save_tokenizer(tokenizer, source)
    ids = {"vocab_size": tokenizer.get_vocab_size(), "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    stack = {"d_model": 32, "max_position_embeddings": 64, "dropout": 0.0, "init_std": 0.2}
    for side in ("encoder", "decoder"):
        stack |= {f"{side}_layers": 1, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 64}
    sizes = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2, "dropout_rate": 0.0}
    configs = {
        "bart": lambda: hf.BartConfig(**ids, **stack, decoder_start_token_id=3),
        "marian": lambda: hf.MarianConfig(**ids, **stack, decoder_start_token_id=0, scale_embedding=True),
        "t5": lambda: hf.T5Config(**ids, **sizes, decoder_start_token_id=0, tie_word_embeddings=False),
    }  # fmt: skip
    torch.manual_seed(3)
    hf.AutoModelForSeq2SeqLM.from_config(configs[kind]()).save_pretrained(source)
    import_folder(source, folder / "base", task="translation")
    return folder / "base"
