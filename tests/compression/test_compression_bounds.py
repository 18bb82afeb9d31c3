"""What a variant of a language model may lose: points, mean divergence and greedy agreement; the choice goes by all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hanlin.compression.judge import Bounds, judge
from hanlin.compression.plan import EncodedSplit
from hanlin.compression.report import CompressionReport
from hanlin.compression.search import search
from hanlin.errors import InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build_generator, load_model, save_network
from hanlin.tasks.next_token_likeness import COUNT, NEXT_TOKENS
from hanlin.tasks.spec import ModelSpec
from hanlin.training.ports import Silent

READING = GenerationSettings(reads=True, likeliest=COUNT)
BITS = ["openvino-int8", "openvino-int4"]


def rows(count: int, seed: int) -> EncodedSplit:
    chance = np.random.default_rng(seed)
    return EncodedSplit([chance.integers(4, 40, chance.integers(8, 24)).tolist() for _ in range(count)])


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose layers weigh so much that rounding them to four bits changes what it finds likeliest."""
    folder = tmp_path_factory.mktemp("decoder")
    torch.manual_seed(3)
    sizes = {"embedding_size": 64, "hidden_size": 64, "num_decoder_layers": 1, "num_attention_heads": 2, "intermediate_size": 128}
    module = build_generator(NetworkConfig("hanlin-decoder", 40, **sizes, max_position_embeddings=64, bos_token_id=2, eos_token_id=3))
    with torch.no_grad():
        for weight in (each for each in module.parameters() if each.ndim > 1):
            weight.mul_(5)
    save_network(module, folder)
    ModelSpec("text-generation", (), 32, 0, generation=GenerationSettings(stop_ids=(3,))).save(folder)
    return folder


def report_of(folder: Path, out: Path, bounds: Bounds, validation: EncodedSplit | None = None) -> CompressionReport:
    return search(
        folder, spec=ModelSpec.load(folder), validation=validation or rows(40, 1), test=rows(6, 2), calibration=rows(4, 3).ids,
        bounds=bounds, target="memory", variants=BITS, threads=1, progress=Silent(), rounds=1, writing=READING, out=out,
    )  # fmt: skip


def test_bounds_on_what_comes_next_part_eight_bits_from_four(decoder: Path, tmp_path: Path) -> None:
    free = report_of(decoder, tmp_path, Bounds(100))
    near, far = (free.of(name) for name in BITS)
    assert near.status == "ok"
    assert 0 < near.mean_score_difference < far.mean_score_difference
    assert far.greedy_agreement < near.greedy_agreement <= 1
    kl = Bounds(100, max_kl=(near.mean_score_difference + far.mean_score_difference) / 2)
    share = Bounds(100, min_greedy_agreement=(near.greedy_agreement + far.greedy_agreement) / 2)
    for bounds, code in ((kl, "kl_over"), (share, "greedy_disagrees")):
        found = report_of(decoder, tmp_path, bounds)
        assert (found.of("openvino-int8").status, found.of("openvino-int4").status) == ("ok", "over budget")
        assert found.of("openvino-int4").reason.code == code
        assert found.chosen != "openvino-int4"
        assert CompressionReport.from_json(found.to_json()) == found


@pytest.mark.parametrize("bounds", [Bounds(0.5, max_kl=-0.1), Bounds(0.5, max_kl=float("nan")), Bounds(0.5, min_greedy_agreement=95)])
def test_bounds_beyond_what_can_be_are_refused_before_anything_is_made(decoder: Path, tmp_path: Path, bounds: Bounds) -> None:
    with pytest.raises(InvalidInput) as caught:
        report_of(decoder, tmp_path, bounds)
    assert (caught.value.code, caught.value.params["allowed"]) == ("invalid_search", "0 to 1")
    assert not list(tmp_path.iterdir())


def test_rows_of_one_token_judge_nothing_and_are_refused(decoder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        report_of(decoder, tmp_path, Bounds(0.5), EncodedSplit([[5], [6]]))
    assert caught.value.code == "judging_rows_missing"


def test_only_tokens_that_count_are_judged(decoder: Path, tmp_path: Path) -> None:
    texts, module, logs, hits = rows(12, 1).ids, load_model(decoder).eval(), [], []
    counted = [[place % 3 == 0 for place in range(len(row) - 1)] for row in texts]
    with torch.inference_mode():
        for row, counts in zip(texts, counted, strict=True):
            ids = torch.tensor([[*row]])
            found = module(ids, torch.ones_like(ids)).log_softmax(-1)[0, :-1][torch.tensor(counts)]
            own = ids[0, 1:][torch.tensor(counts)]
            logs.append(found.gather(1, own[:, None])[:, 0])
            hits += (found.argmax(-1) == own).tolist()
    report = report_of(decoder, tmp_path, Bounds(100), EncodedSplit(texts, counted=counted))
    first = report.of("torch-fp32")
    assert first.perplexity == pytest.approx(float(torch.cat(logs).mean().neg().exp()), rel=1e-4)
    assert first.validation_metric == pytest.approx(sum(hits) / len(hits), abs=1e-6)
    places = report.of("openvino-int4").greedy_agreement * len(hits)
    assert places == pytest.approx(round(places))
    with pytest.raises(InvalidInput) as caught:
        report_of(decoder, tmp_path, Bounds(100), EncodedSplit(texts, counted=[[False] * len(row) for row in counted]))
    assert caught.value.code == "judging_rows_missing"


def test_each_bound_is_broken_by_its_own_figure() -> None:
    places = NEXT_TOKENS.numbers(np.array([[5.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 0.0]]))
    other = NEXT_TOKENS.numbers(np.array([[5.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.1, 0.0]]))
    reference = judge(places, 0.5, None, NEXT_TOKENS, is_read=True)
    found = judge(other, 0.49, reference, NEXT_TOKENS, is_read=True)
    assert found.greedy_agreement == pytest.approx(2 / 3)
    kl = found.mean_difference
    kept = [Bounds(1), Bounds(1, kl, 0.6), Bounds(1, None, 2 / 3)]
    assert [bounds.broken_by(found) for bounds in kept] == [None] * 3
    broken = [Bounds(0.9), Bounds(1, kl * 0.9), Bounds(1, None, 0.67)]
    assert [bounds.broken_by(found).code for bounds in broken] == ["points_lost", "kl_over", "greedy_disagrees"]
    none = (
        replace(found, drop_points=float("nan")),
        replace(found, mean_difference=float("nan")),
        replace(found, greedy_agreement=float("nan")),
    )
    assert [Bounds(1, 1.0, 0.0).broken_by(each).code for each in none] == ["points_lost", "kl_over", "greedy_disagrees"]
