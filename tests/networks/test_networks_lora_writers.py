"""Adapters of networks that write: as peft has them on the same weights, merged equal to unmerged, ours and transformers'."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.errors import InvalidInput
from hanlin.models.importing import import_folder
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.adapter import WEIGHTS_FILE, AdapterSettings
from hanlin.networks.config import NetworkConfig
from hanlin.networks.head import WRITER
from hanlin.networks.loading import build_generator, load_adapted, load_model, save_network
from hanlin.networks.lora import attach, lay_out_base, weight_names

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's own
IDS = torch.tensor([[2, 5, 6, 7, 3, 9, 4]])
VOCABULARY = 60
IDENTITIES = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
STACK = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
CAUSAL = {"llama": ("q_proj", "v_proj"), "qwen2": ("q_proj", "v_proj"), "gpt2": ("c_attn",)}
SEQ2SEQ = {"t5": ("q", "v"), "bart": ("q_proj", "v_proj")}
ON_BERT = "hanlin-seq2seq on bert"  # with an encoder of BERT's form
OWN = dict.fromkeys(("hanlin-decoder", "hanlin-seq2seq", ON_BERT), ("query", "value"))


def network(kind: str) -> nn.Module:
    import transformers as hf

    if kind in OWN:
        sizes = {"embedding_size": 16, "hidden_size": 16, "num_hidden_layers": 2, "num_decoder_layers": 2, "num_attention_heads": 2}
        ids = {"bos_token_id": 2, "eos_token_id": 3, "intermediate_size": 32, "max_position_embeddings": 64}
        encoder = {"encoder": "bert", "encoder_positions": 32, "layer_norm_eps": 1e-12} if kind == ON_BERT else {}
        return build_generator(NetworkConfig(kind.partition(" ")[0], VOCABULARY, **sizes, **ids, **encoder))  # type: ignore[arg-type]
    side = {
        "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64,
        "decoder_start_token_id": 2, "forced_eos_token_id": None,
    }  # fmt: skip
    made: dict[str, Callable[[], nn.Module]] = {
        "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**IDENTITIES, **STACK, max_position_embeddings=64)),
        "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**IDENTITIES, **STACK, max_position_embeddings=64, tie_word_embeddings=True)),
        "gpt2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**IDENTITIES, n_embd=16, n_layer=2, n_head=2, n_positions=64)),
        "t5": lambda: hf.T5ForConditionalGeneration(
            hf.T5Config(**IDENTITIES, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0)
        ),
        "bart": lambda: hf.BartForConditionalGeneration(hf.BartConfig(**IDENTITIES, **side)),
    }  # fmt: skip
    return made[kind]()


def base_of(kind: str, folder: Path) -> Path:
    """Random weights, in a folder as a version has it."""
    torch.manual_seed(3)
    module = network(kind)
    for name, weight in module.named_parameters():
        if weight.dim() > 1 and "norm" not in name:
            nn.init.normal_(weight, std=0.3)
    folder.mkdir(parents=True)
    if kind not in OWN:
        module.config.update({"hanlin_head": WRITER.to_json()})  # type: ignore[union-attr,operator]
    save_network(module, folder)
    return folder


def scores(module: nn.Module) -> Tensor:
    kind = module.config.model_type  # type: ignore[union-attr]
    mask, target = torch.ones_like(IDS), IDS[:, :4]
    with torch.no_grad():
        if kind == "hanlin-decoder":
            found: Tensor = module(IDS, mask)
        elif kind == "hanlin-seq2seq":
            found = module(IDS, mask, target, torch.ones_like(target))
        elif kind in CAUSAL:
            found = module(input_ids=IDS).logits
        else:
            found = module(input_ids=IDS, decoder_input_ids=target).logits
    return found


def with_adapter(kind: str, folder: Path, targets: tuple[str, ...] = ()) -> Path:
    """An artifact folder whose matrices are random."""
    base = base_of(kind, folder / "made")
    module = load_model(base)
    attach(module, AdapterSettings(4, 8.0, targets=targets), weight_names(base / "model.safetensors"))
    for name, parameter in module.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.5)
    save_network(module, folder)
    lay_out_base(base, folder)
    return folder


@pytest.mark.parametrize("kind", [*CAUSAL, *SEQ2SEQ, *OWN])
def test_the_usual_layers_get_matrices_and_merged_answers_are_the_same(tmp_path: Path, kind: str) -> None:
    folder = with_adapter(kind, tmp_path / "out")
    assert AdapterSettings.load(folder).targets == {**CAUSAL, **SEQ2SEQ, **OWN}[kind]
    assert all(".lora_" in name for name in weight_names(folder / WEIGHTS_FILE))
    beside, merged = load_adapted(folder, WRITER).eval(), load_model(folder)
    torch.testing.assert_close(scores(beside), scores(merged), atol=1e-5, rtol=1e-5)
    assert (scores(merged) - scores(load_model(folder / "made"))).abs().max() > 1e-2  # the matrices do say something
    assert not any("lora" in name for name, _ in merged.named_parameters())


@pytest.mark.parametrize("kind", ["hanlin-decoder", "hanlin-seq2seq", ON_BERT, "qwen2", "gpt2"])
def test_what_is_tied_to_the_token_table_is_never_adapted(tmp_path: Path, kind: str) -> None:
    folder = with_adapter(kind, tmp_path / "out", ("all",))
    names = {name.removeprefix("base_model.model.").split(".lora_")[0] for name in weight_names(folder / WEIGHTS_FILE)}
    assert names
    assert all(any(part.isdigit() for part in name.split(".")) for name in names)  # layers of the stack
    torch.testing.assert_close(scores(load_adapted(folder, WRITER).eval()), scores(load_model(folder)), atol=1e-5, rtol=1e-5)
    with pytest.raises(InvalidInput) as refused:
        with_adapter(kind, tmp_path / "refused", ("decoder.output" if kind.startswith("hanlin") else "lm_head",))
    assert refused.value.code == "adapter_without_target"


@pytest.mark.parametrize("kind", [*CAUSAL, *SEQ2SEQ])
def test_peft_reads_what_we_write(tmp_path: Path, kind: str) -> None:
    from peft import PeftModel

    folder = with_adapter(kind, tmp_path / "out")
    theirs = PeftModel.from_pretrained(load_model(folder / "base"), folder).eval()
    torch.testing.assert_close(scores(theirs), scores(load_model(folder)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "t5"])
def test_what_peft_writes_comes_in_and_answers_as_it_did(tmp_path: Path, kind: str) -> None:
    import peft

    source = base_of(kind, tmp_path / "source")
    save_tokenizer(train_tokenizer(["some words that nobody needs"] * 3, "word", VOCABULARY, min_count=1), source)
    task = "translation" if kind == "t5" else "text-generation"
    import_folder(source, tmp_path / "base", task=task)
    targets = list({**CAUSAL, **SEQ2SEQ}[kind])
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, init_lora_weights=False, fan_in_fan_out=kind == "gpt2")
    theirs = peft.get_peft_model(load_model(tmp_path / "base"), config).eval()
    theirs.save_pretrained(tmp_path / "peft")
    found = import_folder(tmp_path / "peft", tmp_path / "out", task=task, base=tmp_path / "base")
    assert found.head == WRITER
    assert found.spec.generation is not None
    torch.testing.assert_close(scores(load_model(tmp_path / "out")), scores(theirs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_three_steps_of_training_are_those_of_peft(tmp_path: Path, kind: str) -> None:
    """The same matrices at first, the same texts, the same optimiser: the same matrices afterwards."""
    import peft

    base = base_of(kind, tmp_path / "base")
    ours = load_model(base)
    attach(ours, AdapterSettings(4, 8.0), weight_names(base / "model.safetensors"))
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=list(CAUSAL[kind]), fan_in_fan_out=kind == "gpt2")
    theirs = peft.get_peft_model(load_model(base), config)
    known = {name.replace(".default", "").removeprefix("base_model.model."): one for name, one in theirs.named_parameters()}
    matrices = {name: one for name, one in ours.named_parameters() if one.requires_grad}
    for name, one in matrices.items():
        one.data.copy_(known[name].data)
    for module in (ours.eval(), theirs.eval()):  # nothing is dropped
        optimizer = torch.optim.AdamW([one for one in module.parameters() if one.requires_grad], lr=1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            functional.cross_entropy(module(input_ids=IDS).logits[0, :-1], IDS[0, 1:]).backward()
            optimizer.step()
    assert len(matrices) == 2 * 2 * len(CAUSAL[kind])
    for name, one in matrices.items():
        torch.testing.assert_close(one, known[name], atol=1e-5, rtol=1e-4)
