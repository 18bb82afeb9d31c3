"""The form of calls of tools, as a Lark grammar for llguidance: the marks around a call, its name, and arguments by the tool's own schema.

The form is told as JSON text: `before` and `behind` a call, `between` two, `head` and `tail` around all, how many there are at `most`
(0: any number), `tools`, a `name` and a schema of `parameters` each, the `shape` of a call: a `named` one has its name before a `divider`
and the arguments, else it is an object with those at `key`; and `tokens`: ids of texts that are single tokens.
"""

from __future__ import annotations

import json
import re
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
    tokens = cast("dict[str, int]", form.get("tokens", {}))
    head, tail, before, behind, between = (
        _marked(str(form.get(name, "")), tokens) for name in ("head", "tail", "before", "behind", "between")
    )
    closing = "" if form.get("shape") == "named" else _quoted("}")
    divider = _marked(str(form.get("divider", "")), tokens)
    names = " | ".join(
        f"{_quoted(_beginning(str(tool['name']), form))} {divider} args_{place} {closing}" for place, tool in enumerate(tools)
    )
    again = "" if form["most"] == 1 else f" ({between} call)*"
    lines = [_line("start", head, f"call{again}", tail), _line("call", before, f"({names})", behind)]
    return "\n".join([*lines, *(f"args_{place}: %json {_schema(tool, options)}" for place, tool in enumerate(tools))])


def _beginning(name: str, form: JsonObject) -> str:
    if form.get("shape") == "named":
        return name
    return f'{{"name": {json.dumps(name, ensure_ascii=False)}, "{form.get("key", "arguments")}": '


def _line(name: str, *parts: str) -> str:
    return f"{name}: {' '.join(filter(None, parts))}"


def _marked(text: str, tokens: dict[str, int]) -> str:
    """A text in the grammar's words, its marks as the tokens that they are."""
    if not tokens:
        return _quoted(text) if text else ""
    pieces = re.split(f"({'|'.join(map(re.escape, tokens))})", text)
    return " ".join(f"<[{tokens[piece]}]>" if piece in tokens else _quoted(piece) for piece in pieces if piece)


def _schema(tool: JsonObject, options: JsonObject) -> str:
    """Of the arguments. Each is checked alone: no text has to match two of them."""
    try:
        text = plainer(json.dumps(tool["parameters"], ensure_ascii=False))
        check_constraint("json_schema", text)
    except ValueError as error:
        raise ValueError(f"parameters of a tool: {error}") from error
    return json.dumps({"x-guidance": options, **json.loads(text)}, ensure_ascii=False)


def _quoted(text: object) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # Lark takes no control character as it is
