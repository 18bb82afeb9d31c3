"""A wide road beside a pretrained classifier: its file, its shape in config.json, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hanlin.errors import InvalidInput
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import load_model, save_network
from hanlin.networks.wide import WIDE_FILE, WideRoad

IDS = torch.randint(1, 50, (3, 9), generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[1] * 9, [1] * 5 + [0] * 4, [1] * 2 + [0] * 7])


def classifier(kind: str = "bert", *, is_wide: bool = True) -> PretrainedClassifier:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "embedding_size": 16}
    config = AutoConfig.for_model(kind, vocab_size=50, num_labels=3, pad_token_id=0, **sizes)
    module = PretrainedClassifier(AutoModelForSequenceClassification.from_config(config)).eval()
    if is_wide:
        road = WideRoad(vocab_size=50, num_labels=3, sizes=(1, 3), buckets=31)
        for parameter in road.parameters():
            torch.nn.init.normal_(parameter)
        module.widen(road, deep=0.5)
    return module


@torch.inference_mode()
def logits(module: torch.nn.Module) -> torch.Tensor:
    found: torch.Tensor = module(IDS, MASK)
    return found


@pytest.mark.parametrize("kind", ["albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"])
def test_every_architecture_takes_a_road_and_keeps_it(kind: str, tmp_path: Path) -> None:
    alone, both = classifier(kind, is_wide=False), classifier(kind)
    assert both.wide is not None
    expected = 0.5 * logits(alone) + both.wide(IDS, MASK)
    torch.testing.assert_close(logits(both), expected)
    save_network(both, tmp_path)
    torch.testing.assert_close(logits(load_model(tmp_path)), expected)
    assert load_model(tmp_path, dtype="bf16").wide.bias.dtype == torch.float32


def test_the_weights_stay_what_transformers_reads(tmp_path: Path) -> None:
    save_network(classifier(), tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == classifier(is_wide=False).model.state_dict().keys()


def test_a_model_saved_without_a_road_says_nothing_of_one(tmp_path: Path) -> None:
    module = classifier()
    save_network(module, tmp_path)
    again = load_model(tmp_path)
    again.wide = None
    other = tmp_path / "other"
    other.mkdir()
    save_network(again, other)
    assert not (other / WIDE_FILE).exists()
    assert not {"wide_sizes", "wide_buckets"} & json.loads((other / "config.json").read_text(encoding="utf-8")).keys()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"wide_sizes": [1, 6]}, "wide_sizes"),
        ({"wide_sizes": [1, True]}, "wide_sizes"),
        ({"wide_sizes": "13"}, "wide_sizes"),
        ({"wide_sizes": []}, "wide_sizes"),
        ({"wide_sizes": [1] * 6}, "wide_sizes"),
        ({"wide_sizes": None}, "wide_sizes"),
        ({"wide_buckets": 0}, "wide_buckets"),
        ({"wide_buckets": 2**23}, "wide_buckets"),
        ({"wide_buckets": 2**22, "wide_sizes": [5]}, "wide_buckets"),
        ({"wide_buckets": "31"}, "wide_buckets"),
    ],
)
def test_a_shape_that_none_can_have_is_refused_by_name(changes: dict[str, object], name: str, tmp_path: Path) -> None:
    save_network(classifier(), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        load_model(tmp_path)
    assert caught.value.code == "invalid_network_config"
    assert name in caught.value.message


def test_a_road_that_does_not_fit_its_shape_is_refused(tmp_path: Path) -> None:
    save_network(classifier(), tmp_path)
    tensors = load_file(tmp_path / WIDE_FILE)
    for spoilt in ({**tensors, "bias": torch.zeros(2)}, {"bias": tensors["bias"]}, {**tensors, "more": torch.zeros(1)}):
        save_file(spoilt, tmp_path / WIDE_FILE)
        with pytest.raises(InvalidInput) as caught:
            load_model(tmp_path)
        assert caught.value.code == "weights_do_not_fit"
    (tmp_path / WIDE_FILE).unlink()
    with pytest.raises(InvalidInput) as caught:
        load_model(tmp_path)
    assert caught.value.code == "weights_do_not_fit"
