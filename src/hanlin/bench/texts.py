"""What is sent: a file's texts, or sentences in the model's language as long as the texts that the model was trained on."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hanlin.errors import HanlinError, InvalidInput
from hanlin.types import JsonValue

if TYPE_CHECKING:
    from hanlin.client import Endpoint, Hanlin, ModelVersion

NUM_TEXTS = 256
_MAX_CHARACTERS = 4000
_POINTS = (("p5", 0.05), ("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
_SENTENCES = {
    "en": (
        "The room was clean and the bed was soft.", "It broke after two days and nobody answered my letters.", "A warm, funny film.",
        "Good value for the price, although the box had been opened.", "I would not buy it again.", "Delivery took three weeks.",
        "The staff were friendly and the breakfast was rich.", "Too loud to sleep.", "The second chapter drags, the end is worth it.",
    ),
    "zh": (
        "房间很干净，床也很舒服。",
        "用了两天就坏了，客服一直不回复。", "很温暖的一部电影。", "性价比不错，就是包装被拆过。", "不会再买了。",
        "物流等了三个星期。", "服务员很热情，早餐也丰富。", "晚上太吵，睡不着。", "前面有点拖沓，结尾很值得看。",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mix:
    """The texts of a run. `source` is `file`, `dataset` or `built-in`."""

    texts: tuple[str, ...]
    source: str

    def bodies(self, items: int, *, has_query: bool = False) -> list[bytes]:
        """Request bodies of `items` texts each; `has_query`: as `inputs_of` says."""
        texts, step = self.texts, max(1, items // 4)
        groups = [[texts[(start + offset) % len(texts)] for offset in range(items)] for start in range(0, len(texts), step)]
        return [_body(inputs_of(group, has_query=has_query)) for group in groups]

    @property
    def median_characters(self) -> int:
        """Characters of the text in the middle."""
        return sorted(map(len, self.texts))[len(self.texts) // 2]


def of_file(texts: Sequence[str]) -> Mix:
    """A caller's own texts. Raises InvalidInput (`nothing_to_send`)."""
    if not texts:
        raise InvalidInput("nothing_to_send")
    return Mix(tuple(texts[:100_000]), "file")


def of_lengths(lengths: dict[str, int], language: str, *, source: str, seed: int = 7) -> Mix:
    """Sentences put together to lengths drawn from percentiles of characters (`p5`, `p50`, `p95`, `p99`, `max`)."""
    chance = random.Random(seed)  # noqa: S311  # reproducible, not secret
    sentences = _SENTENCES["zh" if language.startswith("zh") else "en"]
    return Mix(tuple(_text(chance, sentences, _length(lengths, (n + 0.5) / NUM_TEXTS)) for n in range(NUM_TEXTS)), source)


def of_endpoint(hanlin: Hanlin, endpoint: Endpoint, language: str) -> Mix:
    """Lengths as in the dataset that the served version was trained on; those of short reviews where none can be read."""
    lengths: dict[str, int] = {}
    try:
        model = hanlin.models.get(endpoint.model or "")
        found = next((version for version in model.versions if version.number == endpoint_number(endpoint)), None)
        lengths = _dataset_lengths(hanlin, found) if found else {}
    except HanlinError:
        lengths = {}
    if lengths:
        return of_lengths(lengths, language, source="dataset")
    return of_lengths({"p5": 12, "p50": 40, "p95": 120, "p99": 160, "max": 200}, language, source="built-in")


def endpoint_number(endpoint: Endpoint) -> int | None:
    """The version's number: the inference API names `name:3`, the control API 3."""
    tail = str(endpoint.version or "").rpartition(":")[2]
    return int(tail) if tail.isdigit() else None


def _dataset_lengths(hanlin: Hanlin, version: ModelVersion) -> dict[str, int]:
    name, number = _dataset_of(version.lineage.get("dataset"))
    if not name:
        return {}
    versions = hanlin.datasets.get(name).versions
    report = next((item.report for item in versions if number in (None, item.number)), {})
    lengths = report.get("lengths")
    return {key: value for key, value in lengths.items() if isinstance(value, int)} if isinstance(lengths, dict) else {}


def _dataset_of(value: JsonValue) -> tuple[str, int | None]:
    if not isinstance(value, str):
        return "", None
    name, _, number = value.partition(":")
    return name, int(number) if number.isdigit() else None


def _length(lengths: dict[str, int], share: float) -> int:
    """The length below which `share` of the texts are: straight lines between the known percentiles."""
    low_share, low = 0.0, 1
    for name, high_share in _POINTS:
        high = lengths.get(name, low)
        if share <= high_share:
            return max(1, round(low + (high - low) * (share - low_share) / (high_share - low_share)))
        low_share, low = high_share, high
    return low


def _text(chance: random.Random, sentences: Sequence[str], length: int) -> str:
    length = min(length, _MAX_CHARACTERS)
    found = chance.choice(sentences)
    while len(found) < length:
        found += " " + chance.choice(sentences) if found.isascii() else chance.choice(sentences)
    cut = found[:length].rstrip()
    return cut or found[:1]


def inputs_of(texts: Sequence[str], *, has_query: bool) -> JsonValue:
    """`inputs` of a call: a single text as a string, more as a list; beside a query, the first of them, for ranking tasks."""
    listed: list[JsonValue] = list(texts)
    if has_query:
        return {"query": texts[0][:100], "texts": listed}
    return listed[0] if len(listed) == 1 else listed


def has_query(endpoint: Endpoint) -> bool:
    """Whether the endpoint's task takes texts beside a query, as its worked example shows."""
    request = endpoint.example.get("request") if isinstance(endpoint.example, dict) else None
    inputs = request.get("inputs") if isinstance(request, dict) else None
    return isinstance(inputs, dict) and {"query", "texts"} <= inputs.keys()


def _body(inputs: JsonValue) -> bytes:
    return json.dumps({"inputs": inputs}, ensure_ascii=False).encode("utf-8", "replace")
