"""The kinds of job as JSON schemas and examples, from the classes that check them: for the API's description and the SDK's page."""

from __future__ import annotations

from typing import cast

from hanlin.control.job_kinds import JOB_KINDS
from hanlin.datasets.options import ReadOptions
from hanlin.types import JsonObject

_FILE: JsonObject = {"path": "reviews.csv", "sha256": "9f" * 32, "size_bytes": 48213}
# One request of each kind; a test checks every one as if it were sent.
EXAMPLES: dict[str, JsonObject] = {
    "ingest": {"dataset": "reviews", "files": [_FILE], "options": {"text": "review", "label": "sentiment"}},
    "check": {"dataset": "reviews", "model": "sentiment:1", "likeness": 0.8},
    "train": {"dataset": "reviews", "model": "lstm", "name": "sentiment", "options": {"epochs": 5, "hidden_size": 128}},
    "tune": {"dataset": "reviews", "model": "lstm", "name": "mood", "trials": 9, "space": {"layers": [1, 2]}},
    "fine-tune": {"model": "lstm", "name": "mood", "training_file": {**_FILE, "path": "rows.jsonl"}, "options": {"epochs": 5}},
    "evaluate": {"model": "sentiment:1", "dataset": "reviews"},
    "import": {"name": "encoder", "task": "embedding", "files": [{**_FILE, "path": "config.json"}]},
    "compress": {"model": "sentiment:1", "budget": 0.5, "target": "latency"},
    "certify": {"model": "sentiment:1", "rows": 200},
    "batch": {"endpoint": "sentiment", "file": _FILE, "text": "review", "out_format": "csv"},
}  # fmt: skip


def job_schemas() -> dict[str, JsonObject]:
    """The schema of each kind's `config`, with what may stand under `options`."""
    found = {kind: _plain(model.model_json_schema()) for kind, model in JOB_KINDS.items()}
    _options(found["ingest"])["properties"] = cast("JsonObject", ReadOptions.describe())
    _options(found["train"])["properties"] = _training_options()
    _options(found["tune"])["properties"] = _training_options()
    _options(found["fine-tune"])["properties"] = _training_options()
    return found


def _training_options() -> JsonObject:
    from hanlin.training.option_schemas import describe_options  # here, as for the check itself: only who asks loads the training's words

    return cast("JsonObject", describe_options())


def _options(schema: JsonObject) -> JsonObject:
    options = cast("JsonObject", cast("JsonObject", schema["properties"])["options"])
    options["additionalProperties"] = False
    return options


def _plain(schema: JsonObject) -> JsonObject:
    """The schema with its one definition, a file, written out where it is used: it may stand anywhere in a larger description."""
    inner = cast("JsonObject", schema.pop("$defs", {}))

    def walk(node: object) -> object:
        if isinstance(node, dict):
            if "$ref" in node:
                definition = cast("JsonObject", inner[str(node["$ref"]).rpartition("/")[2]])
                return walk(definition | {name: value for name, value in node.items() if name != "$ref"})
            return {name: walk(value) for name, value in node.items()}
        return [walk(item) for item in node] if isinstance(node, list) else node

    return cast("JsonObject", walk(schema))
