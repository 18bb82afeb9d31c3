"""Per text the same answer, whatever it is batched with and whichever replica serves it: every engine, through a real server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino
import pytest

from hanlin.engines import max_batch_rows, variant_names

pytestmark = pytest.mark.e2e
LABELS = ("a", "b", "c")
GENERATOR = np.random.default_rng(5)
TEXTS = [" ".join(f"w{n}" for n in GENERATOR.integers(7, 60, length)) for length in (1, 2, 3, 5, 8, 13, 21, 34, 55, 60) * 4]
# Of scores in 0..1; a variant that runs rows alone has no neighbours to differ by, but for the last bits.
# Four bits and vLLM are for networks that write; what this processor cannot compute is refused: see the engines' contract.
HAS_BF16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
# Compiled for half a minute: in bf16 here, in fp32 by the engines' tests of heads.
ELSEWHERE = {"openvino-int4", "inductor-fp32", *(() if HAS_BF16 else ("openvino-bf16",))}
VARIANTS = [name for name in variant_names() if name not in ELSEWHERE and not name.startswith("vllm-")]
# One of each engine, and of those the ones that differ most by their neighbours; ONNX Runtime's int8 runs rows alone.
USUAL = {"torch-bf16", "inductor-bf16", "onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "openvino-bf16", "openvino-int8"}
TOLERANCE = {"fp32": 1e-4, "bf16": 0.02, "int8": 0.02}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Transformer; its tokenizer is the stack's."""
    import torch

    from hanlin.networks.config import NetworkConfig
    from hanlin.networks.loading import build, save_network

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("same") / "artifact"
    folder.mkdir()
    config = NetworkConfig(
        model_type="hanlin-transformer", vocab_size=200, labels=LABELS, embedding_size=16, hidden_size=32,
        num_attention_heads=2, intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    save_network(build(config), folder)
    spec = {"format": 1, "task": "text-classification", "labels": list(LABELS), "max_length": 64, "pad_id": 0, "text": {}}
    (folder / "hanlin.json").write_text(json.dumps(spec))
    return folder


SERVED = [*(pytest.param(name, marks=() if name in USUAL else pytest.mark.soak) for name in VARIANTS), "fake-fp32"]


@pytest.fixture(scope="module", params=SERVED)
def served(request: pytest.FixtureRequest, artifact: Path, make_stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """The variant on two replicas."""
    from hanlin.compression.base import convert

    if request.param != "fake-fp32":
        rows = [GENERATOR.integers(7, 60, length).tolist() for length in (1, 5, 20, 60) * 6]
        convert(artifact, request.param, calibration=rows, workdir=tmp_path_factory.mktemp("scratch"))
    stack = make_stack(tmp_path_factory.mktemp("same") / "home", max_items=64, request_timeout_s=120.0)
    try:
        stack.add_model("m:1", labels=LABELS)  # its tokenizer, and what the fake engine needs
        tokenizer = (stack.home / "models" / "m:1" / "tokenizer.json").read_bytes()
        shutil.copytree(artifact, stack.home / "models" / "m:1", dirs_exist_ok=True)
        (stack.home / "models" / "m:1" / "tokenizer.json").write_bytes(tokenizer)
        number = stack.deploy("m:1", "same", variant=request.param, replicas=2)
        for _ in range(2400):
            if any(line[1:4:2] == ["ready", 2] for line in stack.states(number)):
                break
            stack.pause()
        yield stack, request.param
    finally:
        stack.close()


def scores(answer: list[dict[str, object]]) -> list[float]:
    found = {item["label"]: float(item["score"]) for item in answer}  # type: ignore[arg-type]
    return [found[label] for label in LABELS]


def calls(stack) -> list[float]:
    """Calls that each replica took."""
    lines = [line for line in stack.client.get("/metrics").text.splitlines() if line.startswith("hanlin_worker_calls_total{")]
    return [float(line.rpartition(" ")[2]) for line in lines]


def test_a_text_is_answered_alike_alone_among_others_padded_and_by_each_replica(served) -> None:
    stack, variant = served
    alone = np.array([scores(stack.post(text, "same").json()) for text in TEXTS])
    assert np.ptp(alone, axis=0).max() > 5 * TOLERANCE[variant.rpartition("-")[2]], "texts that all answer alike show nothing"
    limit = 1e-5 if max_batch_rows(variant) == 1 else TOLERANCE[variant.rpartition("-")[2]]
    among = np.array([scores(answer) for answer in stack.post(TEXTS, "same").json()])
    assert np.abs(among - alone).max() < limit
    padded = [stack.post([text, TEXTS[-1], text], "same").json() for text in TEXTS[:10]]
    assert max(np.abs(scores(answers[place]) - alone[index]).max() for index, answers in enumerate(padded) for place in (0, 2)) < limit
    before = calls(stack)
    with ThreadPoolExecutor(32) as pool:
        for _ in range(4):
            at_once = np.array([scores(answer.json()) for answer in pool.map(lambda text: stack.post(text, "same"), TEXTS)])
            assert np.abs(at_once - alone).max() < limit
    took = [now - then for now, then in zip(calls(stack), before, strict=True)]
    assert len(took) == 2 and min(took) > 0, "both replicas answered"
