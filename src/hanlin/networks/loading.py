"""Networks from folders and into folders: ours and, through transformers, pretrained ones. Offline, safetensors only.

All answer to one signature: `module(input_ids, attention_mask) → array float32`; the folder's `Head` says which array.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from hanlin.errors import InvalidInput
from hanlin.networks.adapter import AdapterSettings, is_adapter
from hanlin.networks.classifier import TextClassifier
from hanlin.networks.config import GENERATOR_TYPES, MODEL_TYPES, RECURRENT_WRITERS, NetworkConfig, read_config
from hanlin.networks.decoder import CausalDecoder
from hanlin.networks.dropout import set_dropout
from hanlin.networks.filler import PretrainedFiller
from hanlin.networks.head import Head
from hanlin.networks.heads import PretrainedClassifier, PretrainedEmbedder, PretrainedModule
from hanlin.networks.lora import attach, base_folder, fill, merge, read_adapter, save_adapter, settings_of, weight_names
from hanlin.networks.projection import read_projection, save_projection
from hanlin.networks.recurrent_decoder import RecurrentDecoder
from hanlin.networks.seq2seq import EncoderDecoder
from hanlin.networks.tagger import TokenTagger
from hanlin.networks.transformers_library import import_transformers
from hanlin.networks.wide import WideShape, load_wide, save_wide

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

Dtype = Literal["fp32", "bf16"]
Attention = Literal["eager", "sdpa"]
TORCH_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


Generator = CausalDecoder | RecurrentDecoder | EncoderDecoder  # our networks that write
Reader = TextClassifier | TokenTagger  # those that read


def build(config: NetworkConfig) -> Reader:
    """A new network that reads, with random weights (torch's generator)."""
    return TokenTagger(config) if config.is_tagger else TextClassifier(config)


def build_generator(config: NetworkConfig) -> Generator:
    """A new network that writes, with random weights (torch's generator)."""
    if config.model_type in RECURRENT_WRITERS:
        return RecurrentDecoder(config)
    return CausalDecoder(config) if config.model_type == "hanlin-decoder" else EncoderDecoder(config)


def tied_names(module: nn.Module) -> set[str]:
    """Names of parameters that are others under a second name; they are not saved."""
    return {name for name, _ in module.named_parameters(remove_duplicate=False)} - {name for name, _ in module.named_parameters()}


def save_network(module: nn.Module, folder: Path) -> None:
    """Write config.json and model.safetensors of a network, ours or pretrained; beside a pretrained one its wide road or dense layers.

    Of one that has an adapter that alone is written; its base lies beside it.
    """
    inner = module.model if isinstance(module, PretrainedModule) else module
    if isinstance(inner, TextClassifier | TokenTagger | CausalDecoder | RecurrentDecoder | EncoderDecoder):
        inner.config.save(folder)
    else:
        _save_pretrained_config(module, inner, folder)
        if isinstance(module, PretrainedEmbedder) and module.projection is not None:
            save_projection(module.projection, folder)
    if (settings := settings_of(inner)) is not None:
        save_adapter(inner, settings, folder)
        return
    tied = tied_names(inner)
    kept = {name: tensor for name, tensor in inner.state_dict().items() if tensor.is_floating_point() and name not in tied}
    state = {name: tensor.detach().float().contiguous() for name, tensor in kept.items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _save_pretrained_config(module: nn.Module, inner: nn.Module, folder: Path) -> None:
    """The model's config with the shape of the road that it has now, whatever its base had."""
    road = module.wide if isinstance(module, PretrainedClassifier) else None
    config = cast("PreTrainedConfig", inner.config)
    for name in ("wide_sizes", "wide_buckets"):
        if hasattr(config, name):
            delattr(config, name)
    if road is not None:
        config.update({"wide_sizes": list(road.sizes), "wide_buckets": road.buckets})
        save_wide(road, folder)
    config.to_json_file(folder / "config.json")


def load_network(folder: Path) -> Reader:
    """One of our networks that read, fp32, in eval mode. Raises InvalidInput (`invalid_network_config`, `weights_do_not_fit`)."""
    module = build(NetworkConfig.load(folder))
    _fill(module, folder)
    return module.eval()


def load_own_generator(folder: Path, *, dropout: float | None = None) -> Generator:
    """One of our networks that write, fp32, in eval mode. Raises InvalidInput (`invalid_network_config`, `weights_do_not_fit`).

    Args:
        dropout: of its hidden states, instead of what it was trained with.
    """
    config = NetworkConfig.load(folder)
    module = build_generator(config if dropout is None else replace(config, dropout=dropout))
    _fill(module, folder)
    return module.eval()


def _fill(module: nn.Module, folder: Path) -> None:
    try:
        problems = module.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    except (RuntimeError, SafetensorError, OSError) as error:
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names="model.safetensors") from error
    wrong = sorted({*problems.missing_keys, *problems.unexpected_keys} - tied_names(module))
    if wrong:
        raise InvalidInput("weights_do_not_fit", names=", ".join(wrong[:5])[:200])


def load_model(folder: Path, *, dtype: Dtype = "fp32", attention: Attention = "eager") -> nn.Module:
    """The network in `folder` under its own head, in eval mode, CPU. Raises InvalidInput when the files do not fit each other."""
    config = read_config(folder)
    head = Head.of(config)
    if config.get("model_type") in MODEL_TYPES:
        return load_network(folder).to(TORCH_DTYPES[dtype])
    if config.get("model_type") in GENERATOR_TYPES and not is_adapter(folder):
        return load_own_generator(folder).to(TORCH_DTYPES[dtype])
    model = load_pretrained(folder, head, dtype=dtype, attention=attention)
    return as_reader(model, head, folder)


def load_writer(folder: Path, *, dropout: float) -> nn.Module:
    """A network that writes, to be fine-tuned: fp32, its hidden states with `dropout` where it has such. Raises InvalidInput."""
    config = read_config(folder)
    if is_adapter(folder):
        return load_model(folder)
    if config.get("model_type") in GENERATOR_TYPES:
        return load_own_generator(folder, dropout=dropout)
    model, wrong = _from_pretrained(folder, Head.of(config), "fp32", "eager", dropout=dropout)
    if wrong:
        raise InvalidInput("weights_do_not_fit", names=", ".join(wrong[:5])[:200])
    return model.eval()


def as_reader(model: nn.Module, head: Head, folder: Path) -> nn.Module:
    """A transformers model under our signature, in eval mode, with the wide road that stands beside it in `folder`."""
    if head.output == "embeddings":
        return PretrainedEmbedder(model, head, read_projection(folder, head.dense) if head.dense else None).eval()
    if head.output == "sequences":
        return model.eval()
    if head.output == "mask_logits":
        return PretrainedFiller(model).eval()
    module = PretrainedClassifier(model)
    if (shape := WideShape.read(read_config(folder))) is not None:
        module.wide = load_wide(folder, shape, vocab_size=module.vocab_size, num_labels=module.num_labels)
    return module.eval()


def with_attention(kind: Any, folder: Path, attention: Attention, **options: object) -> Any:
    """`kind.from_pretrained`, eager where the architecture has no fused attention (DeBERTa, MPNet and others say so then)."""
    try:
        return kind.from_pretrained(folder, attn_implementation=attention, **options)
    except ValueError as error:
        if attention == "eager" or "attention implementation" not in str(error):
            raise
    return kind.from_pretrained(folder, attn_implementation="eager", **options)


def load_pretrained(folder: Path, head: Head, *, dtype: Dtype = "fp32", attention: Attention = "eager") -> nn.Module:
    """The transformers model in `folder` that `head` needs; or an adapter's network, the matrices taken into its weights.

    Raises:
        InvalidInput: `weights_do_not_fit` and others.
    """
    if is_adapter(folder):
        model = load_adapted(folder, head, attention=attention)
        merge(model)
        return model.to(TORCH_DTYPES[dtype])
    model, wrong = _from_pretrained(folder, head, dtype, attention)
    if wrong:
        raise InvalidInput("weights_do_not_fit", names=", ".join(wrong[:5])[:200])
    return model


def load_adapted(folder: Path, head: Head, *, attention: Attention = "eager") -> nn.Module:
    """The base of an adapter, fp32, with its low-rank matrices in place and its head. Raises InvalidInput."""
    settings, base = AdapterSettings.load(folder), base_folder(folder)
    model, new = load_base(base, head, attention, config_of=folder)
    attach(
        PretrainedClassifier(model) if head.output in ("logits", "token_logits") else model,
        settings,
        weight_names(base / "model.safetensors"),
    )
    fill(model, read_adapter(folder), new)
    return model


def load_base(base: Path, head: Head, attention: Attention, *, config_of: Path | None = None) -> tuple[nn.Module, list[str]]:
    """The network below an adapter, fp32, and the names of its weights that the adapter must bring."""
    if read_config(base).get("model_type") in GENERATOR_TYPES:
        return load_own_generator(base), []
    return _from_pretrained(base, head, "fp32", attention, config_of=config_of)


def _from_pretrained(
    folder: Path, head: Head, dtype: Dtype, attention: Attention, *, config_of: Path | None = None, dropout: float | None = None
) -> tuple[nn.Module, list[str]]:
    """The transformers model that `head` needs, and the names of its weights that the file has not.

    Args:
        config_of: the folder whose config.json counts, where it is another one; weights of another shape than there are drawn anew.
    """
    transformers = import_transformers()
    kinds = {
        "logits": transformers.AutoModelForSequenceClassification,
        "token_logits": transformers.AutoModelForTokenClassification,
        "embeddings": transformers.AutoModel,
        "mask_logits": transformers.AutoModelForMaskedLM,
        "sequences": transformers.AutoModelForSeq2SeqLM if is_encoder_decoder(folder) else transformers.AutoModelForCausalLM,
    }
    try:
        with quiet_transformers():
            more: dict[str, object] = {}
            if config_of is not None:
                config = transformers.AutoConfig.from_pretrained(config_of, local_files_only=True, trust_remote_code=False)
                more = {"config": config, "ignore_mismatched_sizes": True}
            elif dropout is not None:
                more = {"config": transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)}
                set_dropout(more["config"], dropout)
            model, info = with_attention(
                kinds[head.output], folder, attention, dtype=TORCH_DTYPES[dtype], local_files_only=True, trust_remote_code=False,
                use_safetensors=True, output_loading_info=True, **more,
            )  # fmt: skip
    except Exception as error:  # it checks a stranger's config nowhere: a division by zero and its own kinds of errors are all it says
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names="config.json, model.safetensors") from error
    if head.output == "embeddings" and hasattr(model, "pooler"):
        model.pooler = None  # ours stands behind it; it would be computed for nothing, and often has no weights
    mismatched = [name if isinstance(name, str) else name[0] for name in info["mismatched_keys"]]
    wrong = [name for name in map(str, [*info["missing_keys"], *mismatched]) if not _is_unused(name, head)]
    module: nn.Module = model
    return module, wrong


def write_merged(folder: Path, out: Path) -> Path:
    """The artifact in `folder`, an adapter on its base, as one without an adapter: to be fine-tuned again. Returns `out`, which is made."""
    out.mkdir(parents=True)
    save_network(load_model(folder), out)
    for name in ("tokenizer.json", "hanlin.json"):
        shutil.copyfile(folder / name, out / name)
    return out


def is_encoder_decoder(folder: Path) -> bool:
    """Whether a network of transformers that writes reads a source with an encoder, by its config.json."""
    return read_config(folder).get("is_encoder_decoder") is True


def _is_unused(name: str, head: Head) -> bool:
    return head.output == "embeddings" and name.startswith("pooler.")


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no warnings on the terminal from transformers inside the block."""
    from transformers.utils import logging

    level, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if has_bar:
            logging.enable_progress_bar()
