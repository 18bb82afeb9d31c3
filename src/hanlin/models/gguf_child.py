"""Child process: reads a GGUF file and gives one part of an ordinary model folder back.

python -m hanlin.models.gguf_child FILE ARGUMENTS    → the part on stdout, what was found on stderr (see `child.py`)

`{"part": "weights"}`: model.safetensors. `{"part": "words"}`: one JSON object, the other files by their names.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from hanlin.models import gguf_tokenizer, gguf_weights
from hanlin.models.child import answer
from hanlin.models.gguf_families import config_of, family_of, weights_of
from hanlin.models.gguf_file import GgufFile
from hanlin.types import JsonObject


def convert(path: Path, arguments: JsonObject) -> tuple[Iterable[bytes], JsonObject]:
    """The part that is asked for, and `num_weights`.

    Raises:
        InvalidInput: `gguf_refused`, `unsupported_architecture`, `invalid_tokenizer`, `missing_extra`.
    """
    file = GgufFile(path)
    family = family_of(file)
    config = config_of(file, family)
    layers = config["n_layer" if family.model_type == "gpt2" else "num_hidden_layers"]
    weights = weights_of(file, family, cast("int", layers))
    facts: JsonObject = {"num_weights": len(weights)}
    if arguments["part"] == "weights":
        return gguf_weights.stream(file, weights, config), facts
    return [json.dumps(words(file, config), ensure_ascii=False).encode()], facts


def words(file: GgufFile, config: JsonObject) -> JsonObject:
    """The files that are JSON. Raises as `convert`."""
    rows = cast("int", config["vocab_size"])
    marks = gguf_tokenizer.marks_of(file, rows)
    tokenizer = gguf_tokenizer.tokenizer_of(file, rows)
    template = gguf_tokenizer.template_of(file)
    positions = config["n_positions" if config["model_type"] == "gpt2" else "max_position_embeddings"]
    told: JsonObject = {"model_max_length": positions, "tokenizer_class": "PreTrainedTokenizerFast"}
    ends = gguf_tokenizer.ends_of(file, rows)
    return {
        "config.json": config | marks, "tokenizer.json": json.loads(tokenizer.to_str()),
        "generation_config.json": marks | ({"eos_token_id": ends} if ends else {}),
        "tokenizer_config.json": told | ({"chat_template": template} if template else {}),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(answer(convert))
