"""The API's description and its page: the parameters of every task, as the tasks declare them."""

from __future__ import annotations

import html
import json
import re

import pytest

from hanlin.control.job_kinds import JOB_KINDS
from hanlin.gateway.docs_page import page
from hanlin.gateway.openapi import describe
from hanlin.tasks import TASKS

SCHEMA = describe({"openapi": "3.1.0", "info": {"title": "Hanlin", "version": "1"}, "paths": {}})


@pytest.mark.parametrize("name", TASKS.names())
def test_every_parameter_of_a_task_is_described(name: str) -> None:
    shown = page(SCHEMA).partition(f'id="parameters-{name}"')[2].partition("</table>")[0]
    described = SCHEMA["components"]["schemas"][f"{name}.parameters"]["properties"]
    for item in TASKS.get(name).parameters:
        assert described[item.name] == {key: value for key, value in item.schema.items() if value is not None}
        row = shown.partition(f"<code>{item.name}</code>")[2].partition("</tr>")[0]
        assert html.escape(item.schema["description"]) in row
        assert f"<code>{html.escape(json.dumps(item.schema['example']))}</code>" in row
        for bound in ("minimum", "maximum", "maxItems"):
            assert str(item.schema.get(bound, "")) in row
        for one in item.schema.get("enum", ()):
            assert html.escape(json.dumps(one)) in row


def test_the_body_of_a_call_names_the_parameters_of_each_task() -> None:
    body = SCHEMA["paths"]["/models/{endpoint}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert [option["title"] for option in body["anyOf"]] == list(TASKS.names())
    for option in body["anyOf"]:
        name = option["properties"]["parameters"]["$ref"].rpartition("/")[2]
        assert name == f"{option['title']}.parameters"
        assert name in SCHEMA["components"]["schemas"]


def test_a_default_is_shown_where_there_is_one() -> None:
    shown = page(SCHEMA).partition('id="parameters-token-classification"')[2].partition("</table>")[0]
    assert "<code>&quot;none&quot;</code>" in shown
    assert "<code>null</code>" not in shown


KINDS = {"integer": int, "number": (int, float), "boolean": bool, "string": str, "array": list, "object": dict}


@pytest.mark.parametrize("name", TASKS.names())
def test_what_is_described_is_valid_by_its_own_description(name: str) -> None:
    """A default of null for an integer is none: tools that make clients of the description stumble over it."""
    for schema in SCHEMA["components"]["schemas"][f"{name}.parameters"]["properties"].values():
        for value in (schema[key] for key in ("default", "example") if key in schema):
            assert isinstance(value, KINDS[schema["type"]])
            assert "enum" not in schema or value in schema["enum"]
            assert "minimum" not in schema or schema["minimum"] <= value <= schema["maximum"]


def test_a_real_endpoint_takes_what_is_described_and_nothing_beyond(stack) -> None:
    """C034: the bounds of the description are those of the service."""
    described = stack.client.get("/openapi.json").json()

    def status(parameters: dict, headers: dict | None = None) -> int:
        return stack.client.post("/models/sentiment", json={"inputs": "good", "parameters": parameters}, headers=headers).status_code

    for name, schema in described["components"]["schemas"]["text-classification.parameters"]["properties"].items():
        taken = [schema[key] for key in ("default", "example", "minimum", "maximum") if key in schema] + schema.get("enum", [])
        assert [(value, status({name: value})) for value in taken] == [(value, 200) for value in taken]
        beyond = [schema["minimum"] - 1, schema["maximum"] + 1, 2**63] if "minimum" in schema else ["none such", 1]
        assert [(value, status({name: value})) for value in beyond] == [(value, 422) for value in beyond]
    timeout = next(item for item in described["paths"]["/models/{endpoint}"]["post"]["parameters"] if item["name"] == "X-Timeout-S")[
        "schema"
    ]
    most = int(timeout["maximum"])
    assert [status({}, {"x-timeout-s": str(value)}) for value in (most, 140.2997609679231, most + 1, timeout["exclusiveMinimum"])] == [
        200,
        200,
        422,
        422,
    ]


def test_every_kind_of_job_is_described_with_its_fields(stack) -> None:
    described = stack.client.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    forms = schemas["JobRequest"]["discriminator"]["mapping"]
    assert forms.keys() == JOB_KINDS.keys()
    for kind, form in forms.items():
        assert schemas[form.rpartition("/")[2]]["properties"]["config"]["$ref"].endswith(f"/{kind}.config")
    assert schemas["compress.config"]["properties"]["budget"]["maximum"] == 100
    call = {"post": {"requestBody": {"content": {"application/json": {}}}}}
    described = describe({"openapi": "3.1.0", "info": {}, "paths": {"/api/v1/jobs": call}})
    assert described["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["examples"].keys() == forms.keys()
    shown = stack.client.get("/docs").text.partition('id="job-train"')[2].partition("</table>")[0]
    assert "options.hidden_size" in shown
    assert "integer, 2 to 4096" in shown


def test_the_page_speaks_chinese_where_the_reader_does(stack) -> None:
    """By the console's cookie, else by the browser's wish; loads nothing, and wide things scroll inside themselves on a phone."""
    english = stack.client.get("/docs").text
    for headers in ({"accept-language": "zh-CN"}, {"cookie": "hanlin_language=zh", "accept-language": "en"}):
        answer = stack.client.get("/docs", headers=headers)
        assert answer.headers["content-language"] == "zh"
        assert '<html lang="zh">' in answer.text
        assert all(word in answer.text for word in ("<th>参数", ">推理</h2>", "没有密钥或密钥无效", "<td>必填</td>"))
        assert "No key, or one that is not valid" not in answer.text
    assert stack.client.get("/docs", headers={"cookie": "hanlin_language=en", "accept-language": "zh"}).text == english
    assert not re.search(r"<script|<link|src=|url\(|https?://(?!www\.w3)", english.partition("</style>")[0])
    assert english.count("<table>") == english.count('<div class="wide"><table>')
