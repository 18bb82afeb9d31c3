"""Export forms: other operators, the same numbers, whatever the padding; nothing changes where a form would answer otherwise."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from hanlin.compression import export_forms
from hanlin.compression.base import Material, convert
from hanlin.compression.export import exported
from hanlin.engines import load_variant
from hanlin.engines.onnxruntime_engine import OnnxSession
from hanlin.networks.config import NetworkConfig
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import build, save_network
from hanlin.networks.wide import WideRoad

LENGTHS = np.array([1, 4, 11, 7])
MASK = (np.arange(11)[None, :] < LENGTHS[:, None]).astype(np.int64)
IDS = np.random.default_rng(0).integers(1, 50, MASK.shape) * MASK


def save_recurrent(folder: Path, kind: str, *, layers: int, **more: Any) -> Path:
    torch.manual_seed(1)
    config = NetworkConfig(
        model_type=f"hanlin-{kind}", vocab_size=50, labels=("a", "b"), embedding_size=12, hidden_size=10, num_hidden_layers=layers, **more
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    save_network(build(config).eval(), folder)
    return folder


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(str(path)).graph.node)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("variant", ["onnxruntime-fp32", "openvino-fp32"])
def test_stacked_recurrences_answer_like_the_trained_network(tmp_path: Path, kind: str, variant: str) -> None:
    folder = save_recurrent(tmp_path / kind, kind, layers=2)
    expected = load_variant(folder, "torch-fp32", threads=1).run(IDS, MASK)["logits"]
    convert(folder, variant, calibration=[])
    np.testing.assert_allclose(load_variant(folder, variant, threads=1).run(IDS, MASK)["logits"], expected, atol=1e-5)


def test_each_engine_gets_the_operators_it_runs_fast(tmp_path: Path) -> None:
    material = Material(save_recurrent(tmp_path / "lstm", "lstm", layers=1), [], tmp_path)
    one = operators(exported(material, "onnxruntime"))
    assert (one["LSTM"], one["GatherElements"]) == (1, 0)
    two = operators(exported(material, "openvino"))
    assert (two["LSTM"], two["ReverseSequence"], two["GatherElements"]) == (2, 2, 0)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_what_runs_one_row_knows_no_padding_and_needs_one_thread(tmp_path: Path, kind: str) -> None:
    folder = save_recurrent(tmp_path / kind, kind, layers=2, ngram_sizes=(2, 3), ngram_buckets=64, wide_sizes=(1, 2), wide_buckets=64)
    material = Material(folder, [], tmp_path)
    exported_one, exported_many = (operators(exported(material, flavour)) for flavour in ("onnxruntime-one-row", "onnxruntime"))
    assert exported_one["Where"] == 0 < exported_many["Where"]
    assert exported_one.total() - exported_one["Constant"] < 0.7 * (exported_many.total() - exported_many["Constant"])
    convert(folder, "onnxruntime-int8", calibration=[[1, 2, 3]])
    trained, int8 = (load_variant(folder, variant, threads=2) for variant in ("torch-fp32", "onnxruntime-int8"))
    assert isinstance(int8, OnnxSession)
    assert int8.num_threads == 1
    for row, length in zip(IDS, LENGTHS, strict=True):
        ids = row[None, :length]
        expected = trained.run(ids, np.ones_like(ids))["logits"]
        np.testing.assert_allclose(int8.run(ids, np.ones_like(ids))["logits"], expected, atol=0.05)


@pytest.fixture
def bert() -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(2)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return PretrainedClassifier(BertForSequenceClassification(BertConfig(vocab_size=50, attn_implementation="eager", **sizes))).eval()


def test_the_last_layer_computes_the_first_token_only(bert: nn.Module) -> None:
    ids, mask = torch.from_numpy(IDS), torch.from_numpy(MASK)
    expected = bert(ids, mask)
    changed = export_forms.for_export(bert, "openvino", ids, mask)
    assert isinstance(changed.model.bert.encoder.layer[-1], export_forms.FirstTokenLayer)
    torch.testing.assert_close(changed(ids, mask), expected)


def test_a_form_that_answers_otherwise_is_not_used(bert: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, mask = torch.from_numpy(IDS), torch.from_numpy(MASK)
    monkeypatch.setattr(export_forms.FirstTokenLayer, "forward", lambda self, hidden, *_, **__: hidden[:, 1:2])
    changed = export_forms.for_export(bert, "openvino", ids, mask)
    assert not isinstance(changed.model.bert.encoder.layer[-1], export_forms.FirstTokenLayer)


@pytest.mark.parametrize("sizes", [(1,), (1, 2, 3)])
@pytest.mark.parametrize(
    ("variant", "tolerance"), [("onnxruntime-fp32", 1e-4), ("onnxruntime-int8", 0.2), ("openvino-fp32", 1e-4), ("openvino-int8", 0.2)]
)
def test_a_road_beside_a_pretrained_classifier_goes_into_every_variant(
    bert: nn.Module, tmp_path: Path, variant: str, tolerance: float, sizes: tuple[int, ...]
) -> None:
    road = WideRoad(vocab_size=50, num_labels=2, sizes=sizes, buckets=2**18)
    for parameter in road.parameters():
        nn.init.normal_(parameter)
    bert.widen(road, deep=0.5)
    save_network(bert, tmp_path)
    expected = load_variant(tmp_path, "torch-fp32", threads=1).run(IDS, MASK)["logits"]
    assert np.abs(expected).max() > 1  # without the road they are far smaller
    convert(tmp_path, variant, calibration=[row[:length].tolist() for row, length in zip(IDS, LENGTHS, strict=True)] * 4)
    session = load_variant(tmp_path, variant, threads=1)
    found = np.concatenate(
        [session.run(ids[None, :length], mask[None, :length])["logits"] for ids, mask, length in zip(IDS, MASK, LENGTHS, strict=True)]
    )
    np.testing.assert_allclose(found, expected, atol=tolerance)
