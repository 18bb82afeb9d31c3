"""The last test of what comes in: is it as large as it says, and does it answer. Knows nothing of the files it came from."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn

from hanlin.errors import InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.models import allowed, heads, weights_file
from hanlin.networks.generation.run import generate, step_model
from hanlin.networks.head import FILLER, WRITER
from hanlin.networks.loading import load_model
from hanlin.tasks.base import HeadKind
from hanlin.tasks.spec import ModelSpec

MAX_TRIED_LENGTH = 4096  # a longer row would only cost time
_TRIED_PROMPT = 256  # of networks that write: the larger ones read 4,096 tokens for minutes, and shapes of tables are held against files
_UNSAVED = 10_000_000  # parameters that honest files may lack, such as a pooler


def check_size(folder: Path, tensors: dict[str, weights_file.Tensor], kind: HeadKind) -> None:
    """A config may declare a network a thousand times its weights: counted on paper, before any memory is asked for."""
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    classes = {"targets": AutoModelForSeq2SeqLM, "continuations": AutoModelForCausalLM}
    there = sum(math.prod(tensor.shape) for tensor in tensors.values())
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            declared = sum(item.numel() for item in classes.get(kind, AutoModel).from_config(config).parameters())
    except Exception as error:  # the library's own complaints about sizes, of any kind
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names="config.json") from error
    if declared > 2 * there + _UNSAVED:
        raise InvalidInput("weights_do_not_fit", names=f"{declared:,} ≫ {there:,}")


def try_out(folder: Path, spec: ModelSpec, heading: heads.Heading) -> int:
    """Load the model and run it once on its longest text. Returns the number of parameters."""
    from hanlin.models.pretrained import build_from_base

    module: nn.Module = build_from_base(folder, spec.labels) if heading.is_base else load_model(folder)
    ids = torch.full((1, min(spec.max_length, MAX_TRIED_LENGTH)), spec.pad_id, dtype=torch.long)
    if heading.head == WRITER:
        return _try_writing(module.eval(), ids[0, :_TRIED_PROMPT].tolist())
    arrays = (ids, torch.ones_like(ids), torch.zeros_like(ids))[: len(heading.head.inputs)]
    try:
        with torch.inference_mode():
            found = module.eval()(*arrays)
    except Exception as error:  # whatever a network of strange sizes raises when it runs means the same
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names=allowed.WEIGHTS) from error
    if heading.head == FILLER:
        return _checked(module, is_right=found.shape == (1, module.vocab_size) and bool(found.isfinite().all()))
    width = spec.vectors.dimensions if heading.head.output == "embeddings" and spec.vectors else len(spec.labels)
    shape = (*ids.shape, width) if heading.head.output == "token_logits" and not heading.is_base else (1, width)
    return _checked(module, is_right=found.shape == shape and bool(found.isfinite().all()))


def _checked(module: nn.Module, *, is_right: bool) -> int:
    """The number of parameters. Raises InvalidInput (`weights_do_not_fit`)."""
    if not is_right:
        raise InvalidInput("weights_do_not_fit", names="the model's answer has a wrong shape or is not finite")
    return sum(parameter.numel() for parameter in module.parameters())


def _try_writing(module: nn.Module, row: list[int]) -> int:
    """Write a little after a long text, with and without beams. Returns the number of parameters."""
    try:
        for beams in (1, 2):
            generate(step_model(module), [row, row[:1]], [GenerationSettings(max_new_tokens=2, num_beams=beams)] * 2)
    except Exception as error:  # as above
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names=allowed.WEIGHTS) from error
    return sum(parameter.numel() for parameter in module.parameters())
