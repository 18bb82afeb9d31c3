"""A random network that writes, for the torch engine: the `muse` of several files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import httpx
import torch
from torch import nn

from hanlin.generation import GenerationSettings
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build_generator, save_network
from hanlin.tasks.chat_form import CHATML, CHATML_TOKENS, ChatTemplate, Form, ToldTools
from hanlin.tasks.spec import ModelSpec
from hanlin.tool_forms import FORMS, HERMES

TEXTS = ["床前明月光，疑是地上霜。", "It's a fine day, isn't it? 🙂🙃", "Wie geht's? ¿Qué tal?", "举头望明月"]
SIZE = 24  # tokens


TEMPLATE = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_model(folder: Path, kind: str = "hanlin-decoder", tools: ToldTools = "hermes") -> None:
    """Weights drawn so wide that what is written wanders. `kind`: of `GENERATOR_TYPES`, without a source; `tools`: the form of calls."""
    tokenizer = train_tokenizer(TEXTS, "byte-bpe", 320)
    tokenizer.add_special_tokens([*CHATML_TOKENS, *(FORMS[tools].names if tools != HERMES else ())])
    folder.mkdir(parents=True)
    save_tokenizer(tokenizer, folder)
    torch.manual_seed(5)
    sizes = {"embedding_size": 32, "hidden_size": 32, "num_decoder_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    end = tokenizer.token_to_id("<|im_end|>")
    network = build_generator(
        NetworkConfig(
            kind, tokenizer.get_vocab_size(), **sizes, max_position_embeddings=2048, bos_token_id=end, eos_token_id=end
        )
    )  # fmt: skip
    for name, weight in network.named_parameters():
        if weight.dim() > 1 and "norm" not in name:
            nn.init.normal_(weight, std=0.3)
    save_network(network, folder)
    settings = GenerationSettings(max_new_tokens=SIZE, stop_ids=(end,))
    chat: Form = replace(CHATML, tools="hermes") if tools == HERMES else ChatTemplate(TEMPLATE, end="<|im_end|>", tools=tools)
    ModelSpec("text-generation", (), 2048, 0, generation=settings, chat=chat).save(folder)


def data_of(answer: httpx.Response) -> list[dict]:
    """The JSON of each event."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]
