"""The search on a tiny trained network: chooses within the budget, survives failing variants, leaves the source untouched."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hanlin.compression import search as search_module
from hanlin.compression.base import convert
from hanlin.compression.bench_client import BenchClient
from hanlin.compression.choice import choose
from hanlin.compression.judge import Bounds, judge, odd_neighbours, tolerance_of, unlike_reason
from hanlin.compression.plan import EncodedSplit
from hanlin.compression.report import CompressionReport, Machine, VariantEvidence
from hanlin.compression.search import search
from hanlin.errors import Cancelled, EngineFailed, InvalidInput
from hanlin.messages.said import Plain, Said
from hanlin.tasks.likeness import LABELS
from hanlin.tasks.spec import ModelSpec


class Quiet:
    def __init__(self, *, cancel_at: int = 10**9) -> None:
        self.steps: list[tuple[int, int]] = []
        self.lines: list[Said] = []
        self.cancel_at = cancel_at

    def report(self, step: int, total: int, metrics: object) -> None:
        self.steps.append((step, total))

    def message(self, code: str, /, **params: Plain | Said) -> None:
        self.lines.append(Said(code, params))

    def check_cancelled(self) -> None:
        if len(self.steps) >= self.cancel_at:
            raise Cancelled("engine_step_failed", variant="x")


def rows(count: int, seed: int) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [generator.integers(3, 40, generator.integers(2, 20)).tolist() for _ in range(count)]


def gold(ids: list[list[int]]) -> np.ndarray:
    return np.array([int(sum(token < 20 for token in row) * 2 > len(row)) for row in ids])


def split(count: int, seed: int) -> EncodedSplit:
    ids = rows(count, seed)
    return EncodedSplit(ids, gold(ids))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GRU that has learned which half of the vocabulary a text uses."""
    import torch

    from hanlin.compression.batches import rectangle
    from hanlin.networks.config import NetworkConfig
    from hanlin.networks.loading import build, save_network

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("gru")
    module = build(NetworkConfig(model_type="hanlin-gru", vocab_size=40, labels=("high", "low"), embedding_size=16, hidden_size=16)).train()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    ids, mask = (torch.from_numpy(array) for array in rectangle(rows(256, 1), 0).values())
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(module(ids, mask), torch.from_numpy(gold(rows(256, 1))))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_network(module.eval(), folder)
    ModelSpec("text-classification", ("high", "low"), 64, 0).save(folder)
    return folder


def run(folder: Path, out: Path, variants: list[str], **options: object) -> CompressionReport:
    values: dict = {"bounds": Bounds(0.5), "target": "latency", "progress": Quiet(), "calibration": rows(24, 2), "threads": 1} | options
    spec = ModelSpec.load(folder)
    return search(folder, spec=spec, validation=split(60, 3), test=split(40, 4), variants=variants, out=out, **values)


def digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_search_measures_every_variant_and_leaves_the_source_untouched(artifact: Path, tmp_path: Path) -> None:
    before, progress = digests(artifact), Quiet()
    report = run(artifact, tmp_path, ["onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "openvino-int8"], progress=progress)
    assert digests(artifact) == before
    assert report.chosen in {row.variant for row in report.variants if row.status == "ok"}
    for row in report.variants:
        assert row.status == "ok", row
        assert row.latency_p50_ms and row.throughput_rows_s and row.memory_bytes and row.size_bytes and row.test_metric
        assert row.latency_p50_ms <= row.latency_p99_ms
        assert row.max_score_difference <= row.tolerance
    assert report.of("torch-fp32").drop_points == 0
    assert report.of("openvino-fp32").tolerance == 1e-4
    assert not report.of("onnxruntime-int8").batch_invariant
    steps = [step for step, _ in progress.steps]
    assert steps == sorted(steps)
    assert steps[-1] <= progress.steps[-1][1]
    assert CompressionReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_a_failing_variant_stands_in_the_report_and_the_others_go_on(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = convert

    def broken(folder: Path, variant: str, **options: object) -> Path:
        out = real(folder, variant, **options)
        if variant == "openvino-fp32":
            (out / "variants/openvino/model.xml").write_text("<net")
        if variant == "onnxruntime-int8":
            raise RuntimeError("no such operator\nat /secret/path")
        return out

    monkeypatch.setattr(search_module, "convert", broken)
    report = run(artifact, tmp_path, ["onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32"])
    status = {row.variant: row.status for row in report.variants}
    assert status == {"torch-fp32": "ok", "onnxruntime-fp32": "ok", "onnxruntime-int8": "failed", "openvino-fp32": "failed"}
    assert "model.xml" in report.of("openvino-fp32").reason.text("en")
    assert "no such operator" in report.of("onnxruntime-int8").reason.text("en")


def test_nonsense_answers_and_dead_processes_fail_one_variant_only(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = BenchClient.score

    def score(self: BenchClient, indices, *, max_tokens: int):
        if self.variant == "openvino-fp32":
            os.kill(self._process.pid, signal.SIGSEGV)
        logits, logs = real(self, indices, max_tokens=max_tokens)
        return logits * np.nan if self.variant == "onnxruntime-fp32" else logits, logs

    monkeypatch.setattr(BenchClient, "score", score)
    report = run(artifact, tmp_path, ["onnxruntime-fp32", "openvino-fp32"])
    assert report.chosen == "torch-fp32"
    assert report.is_reference_kept
    assert "NaN" in report.of("onnxruntime-fp32").reason.text("en")
    assert "died" in report.of("openvino-fp32").reason.text("en")


def test_over_budget_is_never_chosen_however_fast() -> None:
    """C129."""
    slow = VariantEvidence("torch-fp32", "ok", latency_p50_ms=9.0, throughput_rows_s=10.0, memory_bytes=900, drop_points=0.0)
    fast = VariantEvidence("x-int8", "over budget", latency_p50_ms=0.1, throughput_rows_s=9e9, memory_bytes=1, drop_points=0.6)
    for target in ("throughput", "latency", "memory"):
        assert choose([slow, fast, replace(fast, status="failed")], target) == "torch-fp32"
        assert choose([slow, replace(fast, status="ok")], target) == "x-int8"
    assert choose([replace(slow, status="ok", latency_p50_ms=None)], "latency") == "torch-fp32"


def test_of_variants_nearly_as_good_the_one_closest_to_the_model_is_chosen() -> None:
    int8 = VariantEvidence("x-int8", "ok", latency_p50_ms=1.0, throughput_rows_s=818.0, max_score_difference=0.16)
    bf16 = VariantEvidence("x-bf16", "ok", latency_p50_ms=1.5, throughput_rows_s=775.0, max_score_difference=0.03)
    assert choose([int8, bf16], "throughput") == "x-bf16"
    assert choose([int8, bf16], "latency") == "x-int8"


def test_a_variant_that_loses_more_than_the_budget_is_named_so(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = BenchClient.score

    def score(self: BenchClient, indices, *, max_tokens: int):
        logits, logs = real(self, indices, max_tokens=max_tokens)
        if self.variant == "onnxruntime-int8":
            logits[:6] = logits[:6, ::-1]  # six rows answer the other label
        return logits, logs

    monkeypatch.setattr(BenchClient, "score", score)
    report = run(artifact, tmp_path, ["onnxruntime-int8"], target="memory")
    row = report.of("onnxruntime-int8")
    assert row.status == "over budget"
    assert row.drop_points > 0.5
    assert "budget 0.5" in row.reason.text("en")
    assert "预算为 0.5" in VariantEvidence.from_json(row.to_json()).reason.text("zh")
    assert report.chosen == "torch-fp32"
    assert row.test_metric is not None  # reported all the same


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"calibration": []}, "calibration_empty"), ({"calibration": [[]]}, "calibration_empty"), ({"target": "speed"}, "invalid_search"),
        ({"bounds": Bounds(-1)}, "invalid_search"), ({"bounds": Bounds(float("nan"))}, "invalid_search"),
        ({"bounds": Bounds(0.5, max_kl=0.1)}, "bound_needs_reading"),
        ({"bounds": Bounds(0.5, min_greedy_agreement=0.9)}, "bound_needs_reading"),
        ({"validation": EncodedSplit([], np.array([]))}, "judging_rows_missing"), ({"variants": ["openvino-int3"]}, "unknown_variant"),
    ],
)  # fmt: skip
def test_bad_requests_are_refused_before_any_work(artifact: Path, tmp_path: Path, change: dict, code: str) -> None:
    values = {
        "spec": ModelSpec.load(artifact), "validation": split(9, 3), "test": split(9, 4), "calibration": rows(4, 2), "bounds": Bounds(0.5),
        "target": "latency", "variants": ["openvino-int8"], "threads": 1, "progress": Quiet(), "out": tmp_path,
    } | change  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        search(artifact, **values)
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_a_broken_reference_ends_the_search(artifact: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "hanlin.json"):
        (copy / name).write_bytes((artifact / name).read_bytes())
    (copy / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(EngineFailed) as caught:
        run(copy, tmp_path, ["torch-fp32"])
    assert caught.value.code == "reference_failed"


def test_cancelling_stops_and_leaves_no_process(artifact: Path, tmp_path: Path) -> None:
    import psutil

    with pytest.raises(Cancelled):
        run(artifact, tmp_path, ["onnxruntime-fp32"], progress=Quiet(cancel_at=2))
    assert not [p for p in psutil.Process().children() if "bench_child" in " ".join(p.cmdline())]


def test_a_crash_in_the_middle_leaves_no_half_variant(artifact: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from hanlin.compression import onnx_methods\nfrom hanlin.compression.base import convert\n"
        "def die(self, variant, material, target):\n    (target / 'model.onnx').write_bytes(b'half')\n    os.kill(os.getpid(), 9)\n"
        "onnx_methods.OnnxFp32.make = die\n"
        "convert(Path(sys.argv[1]), 'onnxruntime-fp32', calibration=[], out=Path(sys.argv[2]))"
    )
    before = digests(artifact)
    assert subprocess.run([sys.executable, "-c", code, str(artifact), str(tmp_path)], check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "variants/onnxruntime-fp32").exists()
    assert digests(artifact) == before
    convert(artifact, "onnxruntime-fp32", calibration=[], out=tmp_path)
    assert (tmp_path / "variants/onnxruntime-fp32/model.onnx").stat().st_size > 1000


def test_judging() -> None:
    reference = judge(np.array([[0.9, 0.1], [0.2, 0.8]]), 1.0, None, LABELS)
    found = judge(np.array([[0.4, 0.6], [0.2, 0.8]]), 0.5, reference, LABELS)
    assert (found.agreement, found.drop_points) == (0.5, 50.0)
    assert found.max_difference == pytest.approx(0.5)
    beyond = judge(np.array([[0.4, 0.6], [0.2, 0.8]]), 1.0, reference, LABELS, num_held=1)
    assert (beyond.agreement, beyond.max_difference) == (0.0, pytest.approx(0.5))
    assert "agree on 50.0% of" in unlike_reason("int8", found, 0.0, 1.0).text("en")
    assert "differ by 5.0e-01 from" in unlike_reason("fp32", found, 0.0, tolerance_of("fp32", 0.5)).text("en")
    assert "beside" in unlike_reason("bf16", reference, 0.1, 0.05).text("en")
    assert unlike_reason("int8", reference, 0.0, 0.02) is None
    assert tolerance_of("int8", 0.1) == pytest.approx(0.17)


def test_odd_neighbours_use_only_known_tokens() -> None:
    data = rows(20, 5)
    odd = odd_neighbours(data)
    assert len(odd) == 31
    assert {token for row in odd for token in row} <= {token for row in data for token in row}
    assert max(map(len, odd)) == sorted(map(len, data))[19]


def test_machine_names_itself() -> None:
    machine = Machine.here(2)
    assert machine.cpu
    assert machine.cores >= 1


def test_a_client_whose_process_died_while_it_was_told_something_closes_all_the_same(artifact: Path) -> None:
    client = BenchClient(artifact, "torch-fp32", threads=1, pad_id=0)
    os.kill(client._process.pid, signal.SIGKILL)
    client._process.wait()
    with pytest.raises(EngineFailed, match="9"):
        client.score([0], max_tokens=100)
    client.close()
    assert client._process.stdin is not None and client._process.stdin.closed
