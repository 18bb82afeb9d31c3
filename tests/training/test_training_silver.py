"""A spaCy pipeline's entities are taught to a tagger of ours, which finds them in texts that neither has seen, without spaCy."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

from tests.training.useful import useful

from hanlin.datasets import ReadOptions, SourceFile, ingest, read_split
from hanlin.engines import load_variant
from hanlin.engines.asking import Questioner
from hanlin.tasks import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train

TASK = TASKS.get("token-classification")
SCRIPT = Path(__file__).parents[2] / "scripts" / "silver_entities.py"
PATTERNS = [("LOC", "London"), ("LOC", "New York"), ("PER", "Ada Lovelace"), ("PER", "Bob")]
FILLER = ["then", "we", "met", "in", "near", "and", "left", "😀"]
SMALL = {
    "precision": "fp32", "embedding_size": 16, "hidden_size": 16, "ngrams": False, "min_count": 1, "batch_size": 16, "epochs": 10,
    "rate": 0.02, "dropout": 0.1, "average": 0.0, "threads": 1, "tokenizer": "word",
}  # fmt: skip


def label(folder: Path, texts: list[str]) -> Path:
    """The rows that the script makes of texts with a pipeline of rules."""
    import spacy

    made = spacy.blank("en")
    made.add_pipe("entity_ruler").add_patterns([{"label": name, "pattern": words} for name, words in PATTERNS])
    made.to_disk(folder / "pipeline")
    (folder / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("silver_entities", SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main([str(folder / "pipeline"), str(folder / "texts.txt"), str(folder / "silver.jsonl")]) == 0
    return folder / "silver.jsonl"


def test_what_a_pipeline_finds_its_tagger_finds(tmp_path: Path) -> None:
    chance = random.Random(3)
    texts = [" ".join(chance.sample([*FILLER, *(words for _, words in PATTERNS)], 7)) for _ in range(240)]
    rows = tmp_path / "rows"
    ingest([SourceFile("silver.jsonl", label(tmp_path, texts))], task=TASK, options=ReadOptions(split="70/15/15"), out=rows)
    learned, validation, test = (read_split(rows, name) for name in ("train", "validation", "test"))
    config = TrainConfig.from_json(useful(SMALL, "lstm", TASK.name), model="lstm", task=TASK.name)  # type: ignore[arg-type]
    train(
        config, TrainData(learned, validation, ("LOC", "PER")), out=tmp_path / "out", progress=Silent(),
        checkpoints=FolderCheckpoints(tmp_path / "checkpoints"),
    )  # fmt: skip
    assert evaluate(tmp_path / "out", test).metrics.get("f1") > 0.95
    session = load_variant(tmp_path / "out", "torch-fp32", threads=1)
    asked = Questioner(session, TASK, ModelSpec.load(tmp_path / "out"), TextEncoder.load(tmp_path / "out"))
    (found,) = asked.ask([("😀 Bob left New York", {"aggregation_strategy": "simple"})]).answers
    assert isinstance(found, list)
    assert [(item["word"], item["entity_group"]) for item in found] == [("Bob", "PER"), ("New York", "LOC")]  # type: ignore[index,call-overload]
