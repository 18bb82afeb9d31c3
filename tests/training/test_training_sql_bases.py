"""An encoder with a byte-level tokenizer learns to write queries; others are refused, and what to do instead is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tiny_bert import save_bert
from tests.training.test_training_text_to_sql import DATA, rows

from hanlin.datasets import Split
from hanlin.errors import InvalidInput
from hanlin.models.importing import import_folder
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.config import NetworkConfig
from hanlin.tasks import ModelSpec
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.sql.mentions import Question
from hanlin.tasks.text_to_sql import source_row
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig, preset
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train

MASKED = {
    "precision": "fp32", "vocab_size": 330, "hidden_size": 32, "layers": 1, "heads": 2, "max_length": 48, "train_length": 24,
    "batch_size": 16, "rate": 0.01, "epochs": 2, "threads": 1, "min_count": 1, "dropout": 0.0, "tokenizer": "byte-bpe",
}  # fmt: skip
TINY = {
    "epochs": 25, "decoder_layers": 1, "batch_size": 16, "rate": 0.002, "head_rate": 3.0, "max_length": 64, "precision": "fp32",
    "threads": 1, "average": 0.0, "dropout": 0.0, "label_smoothing": 0.0, "evaluations": 1, "train_length": 64, "metric": "loss",
}  # fmt: skip


def learn(folder: Path, base: Path, data: TrainData = DATA, **options: object) -> TrainReport:
    config = TrainConfig.from_json({**TINY, **options}, model="base", task="text-to-sql")  # type: ignore[dict-item]
    return train(config, data, out=folder / "out", progress=Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"), base=base)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    texts = [Split(rows(count, seed).texts, [""] * count) for count, seed in ((160, 3), (16, 4))]
    config = TrainConfig.from_json(MASKED, model="transformer", task="fill-mask")  # type: ignore[arg-type]
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    train(config, TrainData(*texts, ()), out=folder / "out", progress=Silent(), checkpoints=checkpoints)
    return folder / "out"


def test_a_base_pretrained_here_learns_queries(base: Path, tmp_path: Path) -> None:
    learn(tmp_path, base)
    found = evaluate(tmp_path / "out", DATA.validation)
    assert found.metrics.get("execution_accuracy") > 0.9
    assert found.answers == evaluate(tmp_path / "out", DATA.validation).answers
    spec, encoder = ModelSpec.load(tmp_path / "out"), TextEncoder.load(tmp_path / "out")
    assert spec.queries is not None
    assert (spec.max_length, spec.text) == (48, preset("transformer", "text-to-sql").text)  # the base's length, and capitals as they are
    network, words = NetworkConfig.load(tmp_path / "out"), spec.queries.lexicon.ids()
    assert (network.encoder, network.eos_token_id, network.vocab_size) == ("bert", spec.queries.end, spec.queries.first + len(words))
    shown = Question.of(spec.queries.schema, "list the history books", spec.queries.values())
    row = source_row(shown, encoder, words)
    assert (row[0], row[-1]) == (network.bos_token_id, network.eos_token_id)
    assert words["@0"] in row
    assert row.count(row[0]) == row.count(row[-1]) == 1  # parts of a question have no frame of their own


def test_a_question_full_of_values_is_no_longer_than_a_text(base: Path, tmp_path: Path) -> None:
    learn(tmp_path, base, epochs=1)
    spec, encoder = ModelSpec.load(tmp_path / "out"), TextEncoder.load(tmp_path / "out")
    assert spec.queries is not None
    question = Question.of(spec.queries.schema, " ".join(["history", "poetry", "travel", "7"] * 12), spec.queries.values())
    assert len(question.source(encoder.ids, spec.queries.lexicon.ids())) > encoder.max_length
    assert len(source_row(question, encoder, spec.queries.lexicon.ids())) == encoder.max_length
    full = Split([" ".join(["history"] * 40)], DATA.validation.labels[:1])
    assert "SELECT" in str(evaluate(tmp_path / "out", full).answers[0])


def test_an_imported_byte_level_encoder_learns_queries(tmp_path: Path) -> None:
    import torch
    import transformers

    source = tmp_path / "source"
    source.mkdir()
    tokenizer = train_tokenizer(DATA.train.texts, "byte-bpe", 320, is_masked=True)
    save_tokenizer(tokenizer, source)
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 66}
    config = transformers.RobertaConfig(vocab_size=tokenizer.get_vocab_size() + 6, pad_token_id=0, type_vocab_size=1, **sizes)
    transformers.RobertaForMaskedLM(config).save_pretrained(source)
    import_folder(source, tmp_path / "base", task="fill-mask")
    learn(tmp_path, tmp_path / "base", epochs=3)
    assert all("SELECT" in str(answer) for answer in evaluate(tmp_path / "out", DATA.validation).answers)


def test_a_tokenizer_that_cannot_spell_every_value_is_refused(tmp_path: Path) -> None:
    source = save_bert(tmp_path / "source", ["[MASK]", "list", "the", "books"], "BertForMaskedLM", is_wordpiece=True, is_normalized=True)
    import_folder(source, tmp_path / "base", task="fill-mask")
    with pytest.raises(InvalidInput) as caught:
        learn(tmp_path, tmp_path / "base")
    assert caught.value.code == "base_not_byte_level"
    assert "--set tokenizer=byte-bpe" in caught.value.next_step


def test_what_writes_queries_already_is_no_base(base: Path, tmp_path: Path) -> None:
    learn(tmp_path, base, epochs=1)
    with pytest.raises(InvalidInput) as caught:
        learn(tmp_path / "again", tmp_path / "out")
    assert caught.value.code == "network_for_another_task"
    assert "roberta" in caught.value.text("en")
