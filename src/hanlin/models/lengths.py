"""How long a text may be for a foreign network: what its folder states, and what its positions allow."""

from __future__ import annotations

from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.models import allowed, heads, strict_json
from hanlin.networks.config import MAX_CONFIG_BYTES
from hanlin.types import JsonObject

MAX_LENGTH = 512
MAX_CONTINUED_LENGTH = 4096  # of a row that is continued


def length_limit(source: Path, config: JsonObject, wanted: int | None, usual: int | None) -> int:
    """What the folder states, or `wanted`, or `usual`, as far as the positions go. Raises InvalidInput (`tokenizer_does_not_fit`)."""
    positions = config.get("max_position_embeddings", MAX_LENGTH)
    assert isinstance(positions, int)
    if config["model_type"] in allowed.SEQ2SEQ_TYPES + allowed.CAUSAL_TYPES:
        positions = heads.positions_of(config)
    if config["model_type"] in allowed.PAD_OFFSET:
        positions -= 2
    stated = _stated_length(source)
    for length in (stated, wanted):
        if length is not None and not 1 <= length <= positions:
            raise InvalidInput("tokenizer_does_not_fit", problem=f"texts of {length} tokens for {positions} positions")
    most = MAX_CONTINUED_LENGTH if config["model_type"] in allowed.CAUSAL_TYPES else MAX_LENGTH
    return wanted or min(positions, stated or most, usual or most, most)


def _stated_length(source: Path) -> int | None:
    path = source / "tokenizer_config.json"
    if not path.is_file():
        return None
    stated = strict_json.read_object(path, max_bytes=MAX_CONFIG_BYTES).get("model_max_length")
    if isinstance(stated, bool) or not isinstance(stated, int | float):
        return None
    return int(stated) if stated < 1e9 else None  # 1e30 is the library's word for "no limit"
