"""All runs of tokens found together: the same logits as the network that finds them one by one."""

from __future__ import annotations

import pytest
import torch

from hanlin.compression.export_runs import RunsForm, WideForm
from hanlin.networks.config import NetworkConfig
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import build
from hanlin.networks.wide import WideRoad


@pytest.mark.parametrize("has_remainder", [False, True])
@pytest.mark.parametrize("wide", [(), (1, 2, 3), (2,), (3, 1), (4,)])
@pytest.mark.parametrize("deep", [(2, 3), (3,), (2, 4)])
def test_the_form_gives_the_networks_logits(deep: tuple[int, ...], wide: tuple[int, ...], has_remainder: bool) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(
        model_type="hanlin-gru", vocab_size=60, labels=("a", "b", "c"), embedding_size=8, hidden_size=8, ngram_sizes=deep, ngram_buckets=37,
        wide_sizes=wide, wide_buckets=53 if wide else 0,
    )  # fmt: skip
    network = build(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.5)
    mask = torch.tensor([[1] * 12, [1] * 7 + [0] * 5, [1] + [0] * 11])
    ids = torch.randint(1, 60, mask.shape) * mask
    with torch.inference_mode():
        expected = network(ids, mask)
        torch.testing.assert_close(RunsForm(network, has_remainder=has_remainder)(ids, mask), expected, rtol=1e-5, atol=1e-5)
        for row, length in enumerate(mask.sum(1).tolist()):
            one, ones = ids[row : row + 1, :length], mask[row : row + 1, :length]
            alone = RunsForm(network, has_remainder=has_remainder, is_one_row=True)(one, ones)
            torch.testing.assert_close(alone, expected[row : row + 1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes", [(1, 2, 3), (2,), (3, 1), (4, 2)])
def test_the_form_beside_a_pretrained_classifier_gives_its_logits(sizes: tuple[int, ...]) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "num_labels": 3}
    classifier = PretrainedClassifier(BertForSequenceClassification(BertConfig(vocab_size=60, **shape))).eval()
    road = WideRoad(vocab_size=60, num_labels=3, sizes=sizes, buckets=53)
    for parameter in road.parameters():
        torch.nn.init.normal_(parameter)
    classifier.widen(road, deep=0.7)
    mask = torch.tensor([[1] * 12, [1] * 7 + [0] * 5, [1] + [0] * 11])
    ids = torch.randint(1, 60, mask.shape) * mask
    with torch.inference_mode():
        torch.testing.assert_close(WideForm(classifier, road)(ids, mask), classifier(ids, mask), rtol=1e-5, atol=1e-5)
