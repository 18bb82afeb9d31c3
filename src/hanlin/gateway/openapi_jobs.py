"""Requests for jobs in the OpenAPI description: one form for each kind, told apart by `kind`."""

from __future__ import annotations

from typing import cast

from hanlin.types import JsonObject

CONFIG = ".config"  # behind a job's kind: the schema of what it must be told


def add_jobs(schemas: JsonObject, paths: JsonObject) -> None:
    """Puts the forms in place of the open one that FastAPI knows, and an example of each into the call."""
    from hanlin.control.job_schemas import EXAMPLES, job_schemas  # here, for it loads numpy, which a gateway needs for its documents only

    asked = cast("JsonObject", schemas.get("JobRequest", {}))
    common = cast("JsonObject", asked.get("properties", {}))
    for kind, schema in job_schemas().items():
        schemas[f"{kind}{CONFIG}"] = schema
        schemas[f"{kind}.job"] = {
            "title": kind, "type": "object", "required": ["kind", "config"], "additionalProperties": False,
            "properties": {**common, "kind": {"const": kind, "type": "string"}, "config": {"$ref": _ref(f"{kind}{CONFIG}")}},
        }  # fmt: skip
    mapping: JsonObject = {kind: _ref(f"{kind}.job") for kind in EXAMPLES}
    schemas["JobRequest"] = {
        "title": "JobRequest", "oneOf": [{"$ref": ref} for ref in mapping.values()],
        "discriminator": {"propertyName": "kind", "mapping": mapping},
    }  # fmt: skip
    if call := cast("JsonObject", paths.get("/api/v1/jobs", {})).get("post"):
        body = cast("JsonObject", cast("JsonObject", call)["requestBody"])
        content = cast("JsonObject", cast("JsonObject", body["content"])["application/json"])
        content["examples"] = {
            kind: {"summary": kind, "value": {"kind": kind, "config": config}} for kind, config in EXAMPLES.items()
        }  # fmt: skip


def _ref(name: str) -> str:
    return f"#/components/schemas/{name}"
