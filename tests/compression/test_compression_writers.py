"""The search on networks that write: answers are compared as the task compares them, times are those of writing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hanlin.compression.judge import Bounds
from hanlin.compression.plan import EncodedSplit
from hanlin.compression.report import CompressionReport
from hanlin.compression.search import search
from hanlin.engines import measured_unasked
from hanlin.generation import GenerationSettings
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build_generator, load_model, save_network
from hanlin.tasks.next_token_likeness import COUNT
from hanlin.tasks.spec import ModelSpec
from hanlin.training.ports import Silent

KINDS = {
    "hanlin-decoder": ("text-generation", GenerationSettings(reads=True, likeliest=COUNT)),
    "hanlin-gru-decoder": ("text-generation", GenerationSettings(reads=True, likeliest=COUNT)),
    "hanlin-seq2seq": ("translation", GenerationSettings(max_new_tokens=6)),
    "hanlin-seq2seq on bert": ("translation", GenerationSettings(max_new_tokens=6)),  # with an encoder of BERT's form
}

TORCH = ["torch-fp32", "torch-bf16", "torch-int8"]
OPENVINO = ["openvino-bf16", "openvino-fp32", "openvino-int4", "openvino-int8"]


def rows(count: int, seed: int) -> EncodedSplit:
    chance = np.random.default_rng(seed)
    return EncodedSplit([chance.integers(4, 40, chance.integers(2, 9)).tolist() for _ in range(count)])


def report_of(folder: Path, kind: str) -> CompressionReport:
    task, writing = KINDS[kind]
    torch.manual_seed(3)
    name, _, form = kind.partition(" on ")
    sizes = {"embedding_size": 32, "hidden_size": 32, "num_decoder_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    sizes |= {"encoder": form, "encoder_positions": 32} if form else {}
    save_network(build_generator(NetworkConfig(name, 40, **sizes, max_position_embeddings=64, bos_token_id=2, eos_token_id=3)), folder)
    spec = ModelSpec(task, (), 32, 0, generation=GenerationSettings(stop_ids=(3,)))
    spec.save(folder)
    return search(
        folder, spec=spec, validation=rows(12, 1), test=rows(6, 2), calibration=rows(4, 3).ids, bounds=Bounds(100), target="latency",
        variants=TORCH + OPENVINO, threads=1, progress=Silent(), rounds=1, more=rows(5, 4), writing=writing,
    )  # fmt: skip


def perplexity(folder: Path) -> float:
    """Of the validation rows, by torch itself."""
    module, logs = load_model(folder).eval(), []
    with torch.inference_mode():
        for row in rows(12, 1).ids:
            ids = torch.tensor([[*row]])
            logs.append(module(ids, torch.ones_like(ids)).log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None]))
    return float(torch.cat(logs).mean().neg().exp())


def foreseen(folder: Path) -> float:
    """Share of the tokens of validation rows that torch itself finds likeliest."""
    module, hits = load_model(folder).eval(), []
    with torch.inference_mode():
        for row in rows(12, 1).ids:
            ids = torch.tensor([[*row]])
            hits += (module(ids, torch.ones_like(ids))[0, :-1].argmax(-1) == ids[0, 1:]).tolist()
    return sum(hits) / len(hits)


@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_of_a_network_that_writes_is_judged_and_measured(kind: str, tmp_path: Path) -> None:
    report = report_of(tmp_path, kind)
    assert [row.variant for row in report.variants] == TORCH + OPENVINO
    for row in report.variants:
        if row.variant.startswith("openvino") and row.status == "failed" and (kind != "hanlin-decoder" or row.variant == "openvino-bf16"):
            assert row.status == "failed"
            assert row.reason.code in ("cannot_export", "probe_failed")
            continue
        assert row.status != "failed" or row.reason.code == "labels_disagree", row
        assert row.latency_p50_ms and row.throughput_rows_s and row.memory_bytes and row.batch_invariant
        assert row.test_metric is not None
    first = report.of("torch-fp32")
    assert (first.status, first.drop_points, first.max_score_difference) == ("ok", 0, 0)
    assert CompressionReport.from_json(report.to_json()) == report
    told = {row.variant: row.perplexity for row in report.variants if row.validation_metric is not None}
    if kind.startswith("hanlin-seq2seq"):
        assert {*told.values()} == {None}, "nothing is read"
        assert (report.metric, first.validation_metric, first.greedy_agreement) == ("agreement", 1.0, None)
        return
    assert told["torch-fp32"] == pytest.approx(perplexity(tmp_path), rel=1e-4)
    assert all(value == pytest.approx(told["torch-fp32"], rel=0.3 if name.endswith("int4") else 0.03) for name, value in told.items())
    assert told["torch-int8"] != told["torch-fp32"]
    assert (report.metric, first.greedy_agreement) == ("accuracy", 1.0)
    assert first.validation_metric == pytest.approx(foreseen(tmp_path), abs=1e-6)
    if kind == "hanlin-decoder":
        int8 = report.of("torch-int8")
        assert 0 < int8.mean_score_difference < int8.max_score_difference < 0.1, "distributions are near, and not the same"


def test_what_readers_are_measured_in_has_no_int8_of_torch() -> None:
    assert "torch-int8" not in measured_unasked()
    assert "onnxruntime-int8" not in measured_unasked(writes=True)
