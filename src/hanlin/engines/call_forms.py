"""The form of calls of tools, as a Lark grammar for llguidance: the marks around a call, its name, and arguments by the tool's own schema.

The form is told as JSON text: `before` and `behind` a call, `between` two, how many there are at `most` (0: any number), and `tools`, a
`name` and a schema of `parameters` each.
"""

from __future__ import annotations

import json
from typing import cast

from hanlin.engines.constraint_bounds import check_constraint
from hanlin.engines.json_schemas import plainer
from hanlin.types import JsonObject


def call_grammar(text: str, options: JsonObject) -> str:
    """The grammar.

    Args:
        text: the form.
        options: of how JSON is written, in llguidance's words.

    Raises:
        ValueError: with a reason that may be shown.
    """
    form = cast("JsonObject", json.loads(text))
    tools = cast("list[JsonObject]", form["tools"])
    again = "" if form["most"] == 1 else f" ({_quoted(form['between'])} call)*"
    names = " | ".join(f"{_quoted(_beginning(str(tool['name'])))} args_{place} {_quoted('}')}" for place, tool in enumerate(tools))
    lines = [f"start: call{again}", f"call: {_quoted(form['before'])} ({names}) {_quoted(form['behind'])}"]
    return "\n".join([*lines, *(f"args_{place}: %json {_schema(tool, options)}" for place, tool in enumerate(tools))])


def _beginning(name: str) -> str:
    return f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": '


def _schema(tool: JsonObject, options: JsonObject) -> str:
    """Of the arguments. Each is checked alone: no text has to match two of them."""
    try:
        text = plainer(json.dumps(tool["parameters"], ensure_ascii=False))
        check_constraint("json_schema", text)
    except ValueError as error:
        raise ValueError(f"parameters of a tool: {error}") from error
    return json.dumps({"x-guidance": options, **json.loads(text)}, ensure_ascii=False)


def _quoted(text: object) -> str:
    return json.dumps(text, ensure_ascii=False)
