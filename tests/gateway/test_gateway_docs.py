"""The API's description and its page: the parameters of every task, as the tasks declare them."""

from __future__ import annotations

import html
import json

import pytest

from hanlin.gateway.docs_page import page
from hanlin.gateway.openapi import describe
from hanlin.tasks import TASKS

SCHEMA = describe({"openapi": "3.1.0", "info": {"title": "Hanlin", "version": "1"}, "paths": {}})


@pytest.mark.parametrize("name", TASKS.names())
def test_every_parameter_of_a_task_is_described(name: str) -> None:
    shown = page(SCHEMA).partition(f'id="parameters-{name}"')[2].partition("</table>")[0]
    described = SCHEMA["components"]["schemas"][f"{name}.parameters"]["properties"]
    for item in TASKS.get(name).parameters:
        assert described[item.name] == item.schema
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
    shown = page(SCHEMA).partition('id="parameters-text-classification"')[2].partition("</table>")[0]
    assert "<code>&quot;softmax&quot;</code>" in shown
    assert "<code>null</code>" not in shown
