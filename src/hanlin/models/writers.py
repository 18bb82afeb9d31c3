"""How an imported network writes where a call says nothing: what its folder says of generation, in our words. No library reads it."""

from __future__ import annotations

from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.generation import MAX_BEAMS, MAX_NEW_TOKENS, GenerationSettings
from hanlin.models import strict_json
from hanlin.networks.config import MAX_CONFIG_BYTES, MODEL_TYPES, RECURRENT_WRITERS
from hanlin.tasks.base import HeadKind
from hanlin.types import JsonObject, JsonValue, shorten

FILE_NAME = "generation_config.json"
# In older folders these stand in config.json; transformers itself reads them from the file above.
_KEYS = """
max_length max_new_tokens min_length min_new_tokens num_beams length_penalty early_stopping do_sample temperature top_k top_p
repetition_penalty no_repeat_ngram_size bad_words_ids forced_bos_token_id forced_eos_token_id num_return_sequences diversity_penalty
num_beam_groups typical_p task_specific_params prefix encoder_no_repeat_ngram_size remove_invalid_values
exponential_decay_length_penalty suppress_tokens begin_suppress_tokens return_dict_in_generate output_scores
"""
KEYS = frozenset(_KEYS.split())
OWN: dict[str, HeadKind] = {
    "hanlin-seq2seq": "targets", "hanlin-decoder": "continuations", **dict.fromkeys(RECURRENT_WRITERS, "continuations"),
}  # fmt: skip
NEW_TOKENS = 256  # where neither folder nor caller says how many
_STARTS_WITH_PADDING = ("marian", "mt5", "pegasus", "t5")


def told(folder: Path, config: JsonObject) -> JsonObject:
    """What the folder says of generation, its own file before config.json. Raises InvalidInput (`not_strict_json`)."""
    found = {key: value for key, value in config.items() if key in KEYS or key.endswith("token_id")}
    if (folder / FILE_NAME).is_file():
        found |= strict_json.read_object(folder / FILE_NAME, max_bytes=MAX_CONFIG_BYTES)
    return {key: value for key, value in found.items() if value is not None}


def settings_of(values: JsonObject, *, is_seq2seq: bool, positions: int) -> GenerationSettings:
    """Those values as settings; what is not bounded there is bounded here.

    Args:
        positions: most tokens that the decoder can count.

    Raises:
        InvalidInput: `invalid_generation_settings`, naming what cannot be.
    """
    start = 1 if is_seq2seq else 0  # of older words, which count the whole of a target or of a row
    longest, shortest = values.get("max_length"), values.get("min_length")
    most = values.get("max_new_tokens") or (longest - start if type(longest) is int and is_seq2seq else NEW_TOKENS)
    least = values.get("min_new_tokens") or (max(0, shortest - start) if type(shortest) is int and is_seq2seq else 0)
    most = max(1, min(most, positions, MAX_NEW_TOKENS)) if type(most) is int else most
    asked: JsonObject = {
        "max_new_tokens": most,
        "min_new_tokens": min(least, most) if type(least) is int and type(most) is int else least,
        "num_beams": min(beams, MAX_BEAMS) if type(beams := values.get("num_beams", 1)) is int else beams,
        "length_penalty": values.get("length_penalty", 1.0),
        "early_stopping": values.get("early_stopping") is True,
        "repetition_penalty": values.get("repetition_penalty", 1.0),
        "no_repeat_ngram": values.get("no_repeat_ngram_size", 0),
        "stop_ids": _ids(values.get("eos_token_id")),
        "banned_ids": _banned(values.get("bad_words_ids")),
        "prefix": _ids(values.get("forced_bos_token_id")) if is_seq2seq else [],
    }
    if values.get("do_sample") is True and asked["num_beams"] == 1:
        asked |= {"temperature": values.get("temperature", 1.0), "top_k": values.get("top_k", 50), "top_p": values.get("top_p", 1.0)}
    return GenerationSettings.from_json(asked)


def config_of(folder: Path, config: JsonObject, kind: HeadKind) -> JsonObject:
    """The config of a network with a head of `kind`, with what it must say and without what we alone read."""
    if kind not in OWN.values():
        return config
    kept = {key: value for key, value in config.items() if key not in KEYS}
    if kind == "targets":
        kept |= {"is_encoder_decoder": True, "decoder_start_token_id": start_of(told(folder, config), str(config["model_type"]))}
    return kept


def own_types(kind: HeadKind) -> tuple[str, ...]:
    """Our own networks that do what a head of `kind` does; none where it reads."""
    return tuple(name for name, does in OWN.items() if does == kind)


def check_own(model_type: str, kind: HeadKind) -> None:
    """Whether one of our own networks does what a head of `kind` does. Raises InvalidInput (`unsupported_architecture`)."""
    if OWN.get(model_type) != (kind if kind in OWN.values() else None):
        choices = own_types(kind) or MODEL_TYPES
        raise InvalidInput("unsupported_architecture", architecture=model_type, choices=", ".join(choices))


def start_of(values: JsonObject, model_type: str) -> int:
    """The token that a target begins with. Raises InvalidInput (`invalid_generation_settings`) when the folder does not say."""
    usual = values.get("pad_token_id" if model_type in _STARTS_WITH_PADDING else "eos_token_id")
    start = values.get("decoder_start_token_id", usual)
    if type(start) is not int:
        raise InvalidInput("invalid_generation_settings", name="decoder_start_token_id", value=shorten(str(start)))
    return start


def _ids(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _banned(value: JsonValue) -> list[JsonValue]:
    """Words of one token; longer ones we have no rule for."""
    words = value if isinstance(value, list) else []
    return [word[0] for word in words if isinstance(word, list) and len(word) == 1]
