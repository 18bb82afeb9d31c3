"""An artifact of Qwen2-0.5B's shape with weights by chance, for readings of speed, which do not ask what the weights say.

usage: python bench/random_qwen2.py SMOLLM FOLDER

SMOLLM is the folder that `bench/smollm.py --convert` leaves: its tokenizer is taken, filled up to Qwen2's vocabulary with pieces that no
text is read as, and so are its template and its tokens that end an answer. FOLDER becomes the artifact; `bench/generation_engines.py`
makes its variants.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch
import transformers

from hanlin.models.importing import import_folder

VOCABULARY = 151_936
TAKEN = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json", "chat_template.jinja")


def weights(folder: Path) -> None:
    """The network by its library, saved as it saves it."""
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2,
        max_position_embeddings=32_768, tie_word_embeddings=True, rope_theta=1e6, use_sliding_window=False, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)


def tokenizer(smollm: Path, folder: Path) -> None:
    """SmolLM2's, in which every id of the network stands for something."""
    for name in TAKEN:
        if (smollm / name).exists():
            shutil.copy(smollm / name, folder)
    values = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = values["model"]["vocab"]
    pieces |= {f"piece{number}": number for number in range(len(pieces), VOCABULARY)}
    (folder / "tokenizer.json").write_text(json.dumps(values), encoding="utf-8")


def main() -> None:
    """Writes FOLDER."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("smollm", type=Path)
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        weights(Path(scratch))
        tokenizer(chosen.smollm, Path(scratch))
        import_folder(Path(scratch), chosen.folder, task="text-generation")


if __name__ == "__main__":
    main()
