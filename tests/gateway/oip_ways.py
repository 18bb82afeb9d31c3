"""Tensors of the Open Inference Protocol as tests write and read them."""

from __future__ import annotations

import json
import zlib

import httpx
import numpy as np

BINARY = {"binary_data_output": True}
ALL_TAGS = {"ignore_labels": []}
ROLES_TAGS = {"return_tags": True}


def tensor(name: str, values: object) -> dict[str, object]:
    """A tensor of texts in JSON; the texts first."""
    return {"data": values, "name": name, "shape": [len(values) if isinstance(values, list) else 1], "datatype": "BYTES"}


def of_texts(inputs: object, **parameters: object) -> dict[str, object]:
    return {"inputs": [tensor("text", inputs)], "parameters": parameters}


def of_ranking(query: str, inputs: object, **parameters: object) -> dict[str, object]:
    return {"inputs": [tensor("text", inputs), tensor("query", [query])], "parameters": parameters}


def of_contexts(question: str, inputs: object, **parameters: object) -> dict[str, object]:
    return {"inputs": [tensor("context", inputs), tensor("question", [question])], "parameters": parameters}


def by_name(answer: httpx.Response) -> dict[str, list]:
    """Outputs of an answer, in JSON or with binary tails, each in its shape."""
    length = int(answer.headers.get("inference-header-content-length", len(answer.content)))
    told, place = json.loads(answer.content[:length]), length
    found: dict[str, list] = {}
    for item in told["outputs"]:
        values = item.get("data")
        if values is None:
            size = item["parameters"]["binary_data_size"]
            values = unpacked(item["datatype"], answer.content[place : place + size])
            place += size
        found[item["name"]] = np.array(values, dtype=object).reshape(item["shape"]).tolist()
    assert place == len(answer.content)
    return found


def unpacked(datatype: str, raw: bytes) -> list:
    """Values of the binary form."""
    if datatype != "BYTES":
        return np.frombuffer(raw, {"FP32": "<f4", "INT64": "<i8"}[datatype]).tolist()
    values = []
    while raw:
        size = int.from_bytes(raw[:4], "little")
        values.append(raw[4 : 4 + size].decode())
        raw = raw[4 + size :]
    return values


def packed(texts: list[str]) -> bytes:
    """BYTES in binary form."""
    return b"".join(len(raw).to_bytes(4, "little") + raw for raw in map(str.encode, texts))


def scores_by_label(outputs: dict[str, list]) -> list[list[float]]:
    return [[score for _, score in sorted(zip(*pair, strict=True))] for pair in zip(outputs["label"], outputs["score"], strict=True)]


def scores_by_place(outputs: dict[str, list]) -> list[list[float]]:
    scores = dict(zip(outputs["index"], outputs["score"], strict=True))
    return [[scores[index], outputs["index"].index(index)] for index in range(len(scores))]


def spans(answer: list) -> list[list[float]]:
    """Of each text: how many tokens are named, the sum of their scores, the sum of their places."""
    return [[len(row), sum(item["score"] for item in row), sum(item["start"] + 2 * item["end"] for item in row)] for row in answer]


def spans_of_tensors(outputs: dict[str, list]) -> list[list[float]]:
    rows: dict[int, list[dict[str, float]]] = {}
    for item, *values in zip(outputs["item"], outputs["score"], outputs["start"], outputs["end"], strict=True):
        rows.setdefault(item, []).append(dict(zip(("score", "start", "end"), values, strict=True)))
    return spans([rows.get(item, []) for item in range(1 + max(rows, default=-1))])


def told(answer: list) -> list[list[float]]:
    """Of each text: the sum of the numbers in its answer, and a check sum of all else: words, places, names."""
    return [_sums(row) for row in answer]


def _sums(row: object) -> list[float]:
    numbers: list[float] = []

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, float):
            numbers.append(value)
            return None
        return value

    kept = json.dumps(plain(row), sort_keys=True)
    return [sum(numbers), float(zlib.crc32(kept.encode()))]


def told_of_tensors(outputs: dict[str, list]) -> list[list[float]]:
    return told(json.loads(outputs["json"][0]))


def proposed(answer: list) -> list[list[float]]:
    """Of each text: how many predicates were proposed, how many tags they have, the sum of their scores."""
    rows = [[tag["score"] for proposal in row for tag in proposal["tags"]] for row in answer]
    return [[len(row), len(scores), sum(scores)] for row, scores in zip(answer, rows, strict=True)]


def proposed_of_tensors(outputs: dict[str, list]) -> list[list[float]]:
    return proposed(json.loads(outputs["json"][0]))
