"""A multilingual vocabulary cut down to what a language's texts use: fewer rows, the same answers on such texts.

Of the 250,037 tokens of e5-small, 96 of its 118 million weights, Chinese reviews use about 12,600. A text whose tokens were dropped is
read in smaller pieces, in the end character by character; a character that no text used is `<unk>`.
Only Unigram tokenizers are cut, because their pieces stand alone; cutting BPE would break its merges.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from hanlin.errors import InvalidInput
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject, JsonValue

EMBEDDING = "embeddings.word_embeddings.weight"


def prune_vocabulary(source: Path, out: Path, texts: Iterable[str], *, min_count: int = 1) -> int:
    """Write to the new folder `out` the model in `source` with only the tokens that `texts` use at least `min_count` times.

    Special tokens and single characters that the texts use are always kept. Returns the number of tokens left.

    Raises:
        InvalidInput: `cannot_prune` when the tokenizer is not Unigram.
    """
    document = cast("JsonObject", json.loads((source / "tokenizer.json").read_text(encoding="utf-8")))
    model = cast("JsonObject", document["model"])
    if model.get("type") != "Unigram":
        raise InvalidInput("cannot_prune", kind=str(model.get("type"))[:40])
    pieces = cast("list[list[JsonValue]]", model["vocab"])
    specials = cast("list[JsonObject]", document.get("added_tokens", []))
    kept = _kept(source, texts, min_count, pieces, [cast("int", token["id"]) for token in specials])
    new_ids = {old: new for new, old in enumerate(kept)}
    model["vocab"] = [cast("JsonValue", pieces[old]) for old in kept if old < len(pieces)]
    model["unk_id"] = new_ids[cast("int", model["unk_id"])]
    for token in specials:
        token["id"] = new_ids[cast("int", token["id"])]
    _renumber(document.get("post_processor"), new_ids)
    out.mkdir(parents=True)
    (out / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    _write_weights(source, out, kept, new_ids)
    return len(kept)


def _kept(source: Path, texts: Iterable[str], min_count: int, pieces: list[list[JsonValue]], specials: list[int]) -> list[int]:
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    counts: Counter[int] = Counter()
    characters: set[str] = set()
    for text in texts:
        counts.update(tokenizer.encode(text, add_special_tokens=False).ids)
        characters.update(text)
    single = {number for number, (piece, _) in enumerate(pieces) if len(str(piece)) == 1 and str(piece) in characters | {"▁"}}
    wanted = {token for token, count in counts.items() if count >= min_count} | single | set(specials)
    return sorted(wanted)


def _renumber(part: JsonValue, new_ids: dict[int, int]) -> None:
    """Special tokens in the post-processor carry ids of their own: `{"id": "<s>", "ids": [0], …}` or `["</s>", 2]`."""
    if isinstance(part, list):
        for item in part:
            _renumber(item, new_ids)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "ids" and isinstance(value, list):
                part[key] = [new_ids[number] for number in value if isinstance(number, int)]
            elif key in ("sep", "cls") and isinstance(value, list) and isinstance(value[1], int):
                part[key] = [value[0], new_ids[value[1]]]
            else:
                _renumber(value, new_ids)


def _write_weights(source: Path, out: Path, kept: list[int], new_ids: dict[int, int]) -> None:
    weights = load_file(source / "model.safetensors")
    name = next(name for name in weights if name.endswith(EMBEDDING))
    weights[name] = weights[name][kept].clone()
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config["vocab_size"] = len(kept)
    for key in ("wide_sizes", "wide_buckets"):  # a linear road counts runs of the old ids: it stays behind
        config.pop(key, None)
    for key in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "unk_token_id"):
        if isinstance(config.get(key), int):
            config[key] = new_ids.get(config[key], config[key])
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if (source / "hanlin.json").is_file():
        spec = ModelSpec.load(source)
        replace(spec, pad_id=new_ids.get(spec.pad_id, spec.pad_id)).save(out)
    if (source / "tokenizer_config.json").is_file():
        shutil.copyfile(source / "tokenizer_config.json", out / "tokenizer_config.json")
