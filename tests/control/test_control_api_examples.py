"""Each request that the description of the control API shows is sent as it stands, and is answered as told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from hanlin.control import deployments, files
from hanlin.control.job_schemas import EXAMPLES
from hanlin.gateway.docs_page import page

IN_PATHS = {"name": "sentiment", "alias": "production", "number": "2", "endpoint": "sentiment"}
SHOWN_FILE = "file-9d2c41f0"
SHOWN_DIGEST = EXAMPLES["ingest"]["files"][0]["sha256"]  # type: ignore[index,call-overload]
ROWS = b"review,sentiment\nfine,good\n"


def bodies(described: dict) -> Iterator[tuple[str, str, dict, str, object]]:
    """Method, path, operation, media type and value of each example, and of each body that has none."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                shown = content.get("examples", {"": {"value": content.get("example")}})
                yield from ((method, path, operation, kind, one["value"]) for one in shown.values())


@pytest.fixture
async def client(http, platform, owner, make_version, desired) -> httpx.AsyncClient:
    """With what the examples name: model `sentiment` with two versions, both of which an endpoint has served, one that writes, a dataset, a
    file."""
    make_version("writer", task="text-generation", labels=())
    for content in (b"one", b"two"):
        version = make_version("sentiment", content=content)
        number = deployments.deploy(platform, owner, model=f"sentiment:{version.number}", endpoint="sentiment").id
        desired.set_state(number, "ready", None, 1)
    platform.registry.create_dataset_version(owner.team_id, "reviews", "text-classification", version.manifest, {"rows_kept": 2})
    found = http.client(http.key())
    assert (await found.put(f"/api/v1/blobs/{hashlib.sha256(ROWS).hexdigest()}", content=ROWS)).status_code == 201
    return found


def sent(platform, owner, body: object) -> object:
    """`body` with the digest and the file's id that are shown made real; each other word stays."""
    text = json.dumps(body)
    if SHOWN_FILE in text:
        (platform.settings.home / "lines").write_text("{}")
        purpose = "fine-tune" if "training_file" in text else "batch"
        text = text.replace(SHOWN_FILE, files.add(platform, owner, platform.settings.home / "lines", name="a.jsonl", purpose=purpose).id)
    return json.loads(text.replace(str(SHOWN_DIGEST), hashlib.sha256(ROWS).hexdigest()))


async def test_every_body_has_an_example_that_runs_and_is_answered_as_told(client, platform, owner, ready) -> None:
    described = (await client.get("/openapi.json")).json()
    ours = [found for found in bodies(described) if "x-scope" in found[2]]
    assert {path for _, path, _, _, value in ours if value is None} == set(), "give `Routes.add` an example"
    assert len(ours) >= 25
    for method, path, operation, kind, value in ours:
        digest = next((item["schema"]["examples"][0] for item in operation.get("parameters", ()) if item["name"] == "sha256"), "")
        form = dict(value) if kind == "multipart/form-data" else {}
        body = {
            "application/json": {"json": sent(platform, owner, value)},
            "application/octet-stream": {"content": value},
            "multipart/form-data": {"files": {"file": ("rows.jsonl", form.pop("file", ""))}, "data": form},
        }[kind]
        answer = await client.request(method.upper(), path.format(sha256=digest, **IN_PATHS), **body)
        told = min(operation["responses"])
        assert str(answer.status_code) == told, (path, value, answer.text)
        if schema := operation["responses"][told].get("content", {}).get("application/json", {}).get("schema"):
            Draft202012Validator({**schema, "components": described["components"]}).validate(answer.json())
        ready()


OTHERS = ("1", 1, 1.0, 0.5, True, None, [], [None], {}, {"a": 1})


def wrong_values(schema: dict, components: dict) -> list[object]:
    """Of `OTHERS`, by the schema, where `1.0` is no whole number."""
    is_whole, judge = "integer" in str(schema) and "number" not in str(schema), Draft202012Validator({**schema, "components": components})
    return [one for one in OTHERS if (is_whole and isinstance(one, float) and one == int(one)) or not judge.is_valid(one)]


async def test_a_field_of_another_type_is_refused(client, platform, owner) -> None:
    """C028, for each field of each body, those of every kind of job too; what is refused changes nothing."""
    described = (await client.get("/openapi.json")).json()
    schemas = described["components"]["schemas"]
    asked = 0
    for method, path, operation, kind, value in bodies(described):
        if "x-scope" not in operation or kind != "application/json":
            continue
        schema = operation["requestBody"]["content"][kind]["schema"]
        names = [one["$ref"].rpartition("/")[2] for one in (schema, *schema.get("anyOf", ())) if "$ref" in one]
        fields = schemas[f"{value['kind']}.job" if names == ["JobRequest"] else names[0]]["properties"]
        good = sent(platform, owner, value)
        for place, inner in (
            (good, fields),
            *([(good["config"], schemas[f"{value['kind']}.config"]["properties"])] if "config" in good else []),
        ):
            for name, one in inner.items():
                for other in wrong_values(one, described["components"]):
                    body = {**good, "config": {**place, name: other}} if place is not good else {**good, name: other}
                    answer = await client.request(method.upper(), path.format(**IN_PATHS), json=body)
                    assert answer.status_code == 422, (path, name, other, answer.text)
                    asked += 1
    assert asked > 500


async def test_the_page_shows_the_examples_and_all_fields(client) -> None:
    shown = page((await client.get("/openapi.json")).json())
    part = shown.partition("<code>/api/v1/deployments</code> Deploy")[2].partition("</details>")[0]
    assert "a tenth of the calls" in part
    assert "&quot;idle_s&quot;: " in part
