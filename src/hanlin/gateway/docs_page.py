"""`/openapi.json` and `/docs`, made here: one page without scripts from elsewhere, so it works behind any firewall."""

from __future__ import annotations

import html
import json
from typing import Any, cast

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from hanlin.gateway.docs_words import in_chinese
from hanlin.gateway.inference_operations import PARAMETERS
from hanlin.gateway.openapi import describe
from hanlin.gateway.openapi_jobs import CONFIG
from hanlin.gateway.operation import JSON, told
from hanlin.types import JsonObject


def docs_router(app: FastAPI) -> APIRouter:
    """The two routes over `app`'s own routes and the inference routes, which FastAPI does not know."""
    router = APIRouter(tags=["documents"], default_response_class=Response, generate_unique_id_function=lambda route: route.name)
    cache: dict[str, bytes] = {}

    def schema() -> JsonObject:
        return describe(cast("JsonObject", app.openapi()))

    @router.get("/openapi.json", **_route("The API's description", JSON, {"type": "object"}))
    async def api_description() -> Response:
        if "openapi" not in cache:
            cache["openapi"] = json.dumps(schema(), ensure_ascii=False).encode()
        return Response(cache["openapi"], media_type="application/json")

    @router.get("/docs", **_route("The same as a page", "text/html", {"type": "string"}))
    async def api_page(request: Request) -> Response:
        chosen = request.cookies.get("hanlin_language")  # the console's
        language = chosen if chosen in ("en", "zh") else str(request.scope["state"].get("language", "en"))
        if language not in cache:
            shown = page(schema())
            cache[language] = (in_chinese(shown) if language == "zh" else shown).encode()
        headers = {"content-security-policy": _POLICY, "content-language": language, "vary": "Accept-Language, Cookie"}
        return Response(cache[language], media_type="text/html; charset=utf-8", headers=headers)

    return router


def _route(words: str, kind: str, schema: JsonObject) -> dict[str, Any]:
    return {"summary": words, "responses": told(200, words, schema, kind=kind), "openapi_extra": {"security": []}}


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def page(schema: Any) -> str:
    """The API as one HTML page: every route with parameters, body and answers, grouped by tag."""
    groups: dict[str, list[str]] = {}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(path, method, operation, schema))
    groups["job configs"] = _job_configs(schema["components"]["schemas"])
    groups["parameters"] = _parameters(schema["components"]["schemas"])
    parts = [f'<section><h2 id="{_id(tag)}">{_e(tag)}</h2>{"".join(found)}</section>' for tag, found in groups.items()]
    links = "".join(f'<a href="#{_id(tag)}">{_e(tag)}</a>' for tag in groups)
    info = schema["info"]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Hanlin API</title><style>{_STYLE}</style></head><body><header><h1>Hanlin API <small>{_e(info['version'])}</small></h1>"
        f'<p>{_e(info.get("description", ""))} <a href="/openapi.json">openapi.json</a></p><nav>{links}</nav></header>'
        f"{''.join(parts)}</body></html>"
    )


def _id(tag: str) -> str:
    return _e(tag.replace(" ", "-"))


def _job_configs(schemas: Any) -> list[str]:
    """One table a kind of job: its fields, then its options."""
    found = ["<p>What stands under <code>config</code> in the body of <code>POST /api/v1/jobs</code>, by the <code>kind</code>.</p>"]
    for name, schema in schemas.items():
        if name.endswith(CONFIG):
            kind, fields = name.removesuffix(CONFIG), schema["properties"]
            options = {f"options.{key}": item for key, item in fields.get("options", {}).get("properties", {}).items()}
            rows = "".join(_field(key, item, schema.get("required", ())) for key, item in (fields | options).items())
            heads = "<tr><th>field<th>type<th>default<th></tr>"
            words = _e(schema.get("description", ""))
            found.append(f'<h3 id="job-{_e(kind)}">{_e(kind)}</h3><p>{words}</p><div class="wide"><table>{heads}{rows}</table></div>')
    return found


def _field(name: str, schema: Any, required: Any) -> str:
    default = "required" if name in required else f"<code>{_e(json.dumps(schema['default']))}</code>" if "default" in schema else ""
    plain = next((kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"), schema)
    words = _e(schema.get("description", ""))
    return f"<tr><td><code>{_e(name)}</code></td><td>{_e(_range(plain))}</td><td>{default}</td><td>{words}</td></tr>"


def _parameters(schemas: Any) -> list[str]:
    """One table a task: what its calls may choose."""
    found = ["<p>What stands under <code>parameters</code> in the body of <code>POST /models/{endpoint}</code>, by the task.</p>"]
    for name, schema in schemas.items():
        if name.endswith(PARAMETERS):
            task = _e(name.removesuffix(PARAMETERS))
            rows = "".join(_parameter(*item) for item in schema["properties"].items())
            heads = "<tr><th>parameter<th>type<th>default<th>example<th></tr>"
            found.append(f'<h3 id="parameters-{task}">{task}</h3><div class="wide"><table>{heads}{rows}</table></div>')
    return found


def _parameter(name: str, schema: Any) -> str:
    default = "" if schema.get("default") is None else f"<code>{_e(json.dumps(schema['default']))}</code>"
    example = json.dumps(schema.get("example"), ensure_ascii=False)
    return (
        f"<tr><td><code>{_e(name)}</code></td><td>{_e(_range(schema))}</td><td>{default}</td>"
        f"<td><code>{_e(example)}</code></td><td>{_e(schema.get('description', ''))}</td></tr>"
    )


def _range(schema: Any) -> str:
    """The type with its bounds, such as `integer, 1 to 1000`."""
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}, at most {schema['maxItems']}" if "maxItems" in schema else "list"
    if "minimum" not in schema:
        return _type(schema)
    if "maximum" in schema:
        return f"{_type(schema)}, {schema['minimum']} to {schema['maximum']}"
    below = f", below {schema['exclusiveMaximum']}" if "exclusiveMaximum" in schema else ""
    return f"{_type(schema)}, from {schema['minimum']}{below}"


def _operation(path: str, method: str, operation: Any, schema: Any) -> str:
    rows = "".join(
        f"<tr><td><code>{_e(p['name'])}</code></td><td>{_e(p['in'])}</td><td>{_e(_type(p.get('schema', {})))}</td>"
        f"<td>{_e(p.get('description', ''))}</td></tr>"
        for p in operation.get("parameters", [])
    )
    table = f'<div class="wide"><table><tr><th>parameter<th>in<th>type<th></tr>{rows}</table></div>' if rows else ""
    body = "".join(_content("Body", content, schema) for content in operation.get("requestBody", {}).get("content", {}).items())
    answers = "".join(
        f"<p><b>{_e(status)}</b> {_e(answer.get('description', ''))}</p>"
        + "".join(_content("", content, schema) for content in answer.get("content", {}).items())
        for status, answer in operation.get("responses", {}).items()
    )
    return (
        f'<details><summary><span class="m {method}">{method.upper()}</span> <code>{_e(path)}</code> '
        f"{_e(operation.get('summary', ''))}</summary>"
        f"<p>{_e(operation.get('description', ''))}</p>{table}{body}{answers}</details>"
    )


def _content(title: str, content: tuple[str, Any], schema: Any) -> str:
    kind, described = content
    if examples := described.get("examples"):
        sent = "".join(f"<p>{_e(title)} <b>{_e(name)}</b></p>{_pre(one['value'])}" for name, one in examples.items())
        return sent + (f"<p>{_e(kind)}</p>{_pre(_resolve(described['schema'], schema, 0))}" if _is_named(described["schema"]) else "")
    shown = described.get("example")
    if shown is None and "schema" in described:
        shown = _resolve(described["schema"], schema, 0)
    if not shown:
        return f"<p>{_e(title)} <code>{_e(kind)}</code></p>"
    return f"<p>{_e(title)} <code>{_e(kind)}</code></p>{_pre(shown)}"


def _is_named(node: Any) -> bool:
    """Whether it is one form of the control API, most of whose fields may be left out, so that examples do not show them all."""
    names = [one["$ref"] for one in (node, *node.get("anyOf", ())) if "$ref" in one]
    return len(names) == 1 and not names[0].endswith("/JobRequest")


def _pre(value: Any) -> str:
    return f"<pre>{_e(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _resolve(node: Any, schema: Any, depth: int) -> Any:
    """A schema as a skeleton of what is sent: names with their types."""
    if depth > 4 or not isinstance(node, dict):
        return "…"
    if "$ref" in node:
        return _resolve(schema["components"]["schemas"].get(node["$ref"].rpartition("/")[2], {}), schema, depth)
    if "properties" in node:
        return {name: _resolve(value, schema, depth + 1) for name, value in node["properties"].items()}
    if node.get("type") == "array":
        return [_resolve(node.get("items", {}), schema, depth + 1)]
    for many in ("anyOf", "oneOf", "allOf"):
        if many in node:
            kinds = [_resolve(option, schema, depth + 1) for option in node[many]]
            return next((kind for kind in kinds if not isinstance(kind, str)), " | ".join(map(str, kinds)))
    return _type(node)


def _type(node: Any) -> str:
    if "enum" in node:
        return " | ".join(json.dumps(value) for value in node["enum"])
    return str(node.get("type") or "any")


def _e(text: object) -> str:
    return html.escape(str(text))


_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:15px/1.5 system-ui,"Noto Sans CJK SC",sans-serif;max-width:960px;margin:0 auto;padding:1rem}
nav a{margin-right:1rem}h1 small{font-weight:400;opacity:.6}h2{margin:2rem 0 .5rem;text-transform:capitalize}
details{border:1px solid var(--line);border-radius:8px;margin:.4rem 0;padding:.5rem .8rem}
summary{cursor:pointer}pre{background:var(--soft);padding:.8rem;border-radius:6px;overflow:auto}
.wide{overflow-x:auto}nav{line-height:2}summary{overflow-wrap:anywhere}pre{max-width:100%;box-sizing:border-box}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left}
.m{display:inline-block;min-width:4.2em;text-align:center;border-radius:5px;font-weight:600;font-size:.8em;color:#fff;background:#666}
.get{background:#1a7f4b}.post{background:#2558c4}.put,.patch{background:#9a6700}.delete{background:#b42318}
"""
