"""Adapters: their matrices in peft's words, merged equal to unmerged, and what cannot be computed refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hanlin.errors import InvalidInput
from hanlin.networks.adapter import AdapterSettings
from hanlin.networks.head import Head
from hanlin.networks.heads import PretrainedClassifier, PretrainedEmbedder
from hanlin.networks.loading import as_reader, load_adapted, load_model, save_network
from hanlin.networks.lora import attach, inner_of, weight_names

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
IDS = torch.tensor([[2, 5, 6, 7, 3], [2, 9, 3, 0, 0]])
MASK = (IDS != 0).long()


def bare(folder: Path, model_type: str = "bert", seed: int = 1) -> Path:
    """An encoder without a head, as a base is stored."""
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(seed)
    sizes = (
        SIZES if model_type != "distilbert" else {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 40}
    )
    config = AutoConfig.for_model(model_type, vocab_size=60, pad_token_id=0, initializer_range=0.3, **sizes)
    model = AutoModel.from_config(config)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    return folder


def with_adapter(folder: Path, *, output: str = "logits", rank: int = 4, targets: tuple[str, ...] = (), kind: str = "bert") -> Path:
    """An artifact folder whose matrices and head are random."""
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoModelForTokenClassification

    base = bare(folder / "base", kind)
    config = AutoConfig.from_pretrained(base, num_labels=3)
    if output != "logits":
        config.update({"hanlin_head": Head(output).to_json()})
    made = AutoModelForTokenClassification if output == "token_logits" else AutoModelForSequenceClassification
    module = PretrainedClassifier(made.from_pretrained(base, config=config)).eval()
    attach(module, AdapterSettings(rank, 8.0, targets=targets), weight_names(base / "model.safetensors"))
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and "lora" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    save_network(module, folder)
    return folder


@pytest.mark.parametrize(
    ("output", "kind"), [("logits", "bert"), ("token_logits", "bert"), ("logits", "roberta"), ("logits", "distilbert")]
)
def test_merged_weights_answer_as_the_matrices_beside_them(tmp_path: Path, output: str, kind: str) -> None:
    folder = with_adapter(tmp_path, output=output, kind=kind)
    head = Head(output)  # type: ignore[arg-type]
    beside, merged = as_reader(load_adapted(folder, head), head, folder), load_model(folder)
    with torch.no_grad():
        one, other = beside(IDS, MASK), merged(IDS, MASK)
        for name, parameter in beside.named_parameters():
            if "lora_B" in name:
                parameter.zero_()
        without = beside(IDS, MASK)
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert (one - without).abs().max() > 1e-2  # the matrices do say something
    assert not any("lora" in name for name, _ in merged.named_parameters())


def test_the_folder_holds_matrices_and_head_alone(tmp_path: Path) -> None:
    folder = with_adapter(tmp_path)
    names = weight_names(folder / "adapter_model.safetensors")
    assert {name.removeprefix("base_model.model.").split(".")[0] for name in names} == {"bert", "classifier"}
    assert all("lora_" in name for name in names if ".bert." in name)
    assert len([name for name in names if "lora_" in name]) == 2 * 2 * 2  # layers, query and value, A and B
    assert not (folder / "model.safetensors").exists()
    assert (folder / "adapter_model.safetensors").stat().st_size < 16_000


def test_a_weight_that_the_base_lacks_belongs_to_the_adapter(tmp_path: Path) -> None:
    folder = with_adapter(tmp_path, kind="roberta")
    names = {name.removeprefix("base_model.model.") for name in weight_names(folder / "adapter_model.safetensors")}
    assert {"classifier.dense.weight", "classifier.out_proj.bias"} <= names


def test_all_means_every_layer_of_the_stack(tmp_path: Path) -> None:
    folder = with_adapter(tmp_path, targets=("all",))
    settings = AdapterSettings.load(folder)
    assert settings.targets == ("dense", "key", "query", "value")
    assert any(".intermediate.dense.lora_A" in name for name in weight_names(folder / "adapter_model.safetensors"))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's own
def test_peft_reads_what_we_write(tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    folder = with_adapter(tmp_path)
    base = AutoModelForSequenceClassification.from_pretrained(folder / "base", num_labels=3)
    theirs = PeftModel.from_pretrained(base, folder).eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(input_ids=IDS, attention_mask=MASK).logits, load_model(folder)(IDS, MASK), atol=1e-5, rtol=1e-5)


def test_an_embedder_has_matrices_and_no_head(tmp_path: Path) -> None:
    from transformers import AutoModel

    base = bare(tmp_path / "base")
    head = Head("embeddings", "mean", is_normalized=True)
    module = PretrainedEmbedder(AutoModel.from_pretrained(base, add_pooling_layer=False), head)
    inner_of(module).config.update({"hanlin_head": head.to_json()})
    names = weight_names(base / "model.safetensors")
    with pytest.raises(InvalidInput) as caught:
        attach(module, AdapterSettings(0), names)
    assert caught.value.code == "adapter_learns_nothing"
    attach(module, AdapterSettings(2), names)
    torch.nn.init.normal_(next(p for n, p in module.named_parameters() if "lora_B" in n))
    save_network(module.eval(), tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(IDS, MASK), module(IDS, MASK), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [{"use_dora": True}, {"peft_type": "IA3"}, {"r": 0}, {"bias": "all"}, {"rank_pattern": {"query": 2}}, {"target_modules": ".*"}],
)
def test_what_we_do_not_compute_is_refused(change: dict[str, object]) -> None:
    values: dict[str, object] = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["query"]}
    AdapterSettings.of(values)
    with pytest.raises(InvalidInput) as caught:
        AdapterSettings.of(values | change)
    assert caught.value.code == "unsupported_adapter"
    assert caught.value.params["name"] in {*change, "target_modules"}


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    folder = with_adapter(tmp_path)
    values = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**values, "target_modules": ["query", "value", "key"]}))
    with pytest.raises(InvalidInput) as caught:
        load_model(folder)
    assert caught.value.code == "weights_do_not_fit"
    assert "key.lora_A" in str(caught.value.params["names"])


def test_a_name_that_no_layer_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        with_adapter(tmp_path, targets=("c_attn",))
    assert caught.value.code == "adapter_without_target"
    assert "query" in str(caught.value.params["choices"])
