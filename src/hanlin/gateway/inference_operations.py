"""The description of the task API; made of what each task declares."""

from __future__ import annotations

from hanlin.gateway.operation import OF_A_LOOK, TASK, Operation, answer_of
from hanlin.gateway.schemas import MAYBE_WORD, NUMBER, WHOLE, WORD, many
from hanlin.types import JsonObject

PARAMETERS = ".parameters"  # behind a task's name: the schema of what its calls may choose
_ANY: JsonObject = {"type": "object"}
_DESCRIBED: JsonObject = answer_of(
    endpoint=WORD, model=WORD, version=WORD, variant=WORD, state={"type": "string"}, long_text=MAYBE_WORD, cache_ttl_s=NUMBER,
)  # fmt: skip
_LOADED: JsonObject = {
    "task": WORD, "labels": many(WORD), "languages": many(WORD), "dimensions": WHOLE, "protections": many(WORD),
    "limits": answer_of(max_length=WHOLE, max_items=WHOLE, max_text_bytes=WHOLE, max_body_bytes=WHOLE),
    "example": answer_of(request=_ANY, response={}),
    "schema": {**answer_of(inputs=_ANY, parameters=_ANY, output=_ANY), "description": "JSON schemas of a call and of its answer"},
}  # fmt: skip


def predict() -> Operation:
    """`POST /models/{endpoint}`."""
    from hanlin.tasks.base import TASKS  # here, for it loads numpy, which a gateway needs for its documents only

    examples: dict[str, JsonObject] = {}
    for name in TASKS.names():
        request = TASKS.get(name).example["request"]
        assert isinstance(request, dict)
        examples[name] = request
    return Operation(
        "predict", "inference", "Call a model", any_answer(), [{"label": "positive", "score": 0.98}, {"label": "negative", "score": 0.02}],
        {"anyOf": [_body(name) for name in TASKS.names()]}, examples,
        headers=(TASK,),
        about="One text or a list of texts; a query and texts where they are ranked. A list is answered whole or refused whole, naming the "
        "index of the bad item.",
    )  # fmt: skip


def _body(task: str) -> JsonObject:
    from hanlin.tasks.base import TASKS  # here, as above

    return {
        "title": task, "type": "object", "required": ["inputs"], "additionalProperties": False,
        "properties": {
            "inputs": TASKS.get(task).shape.inputs, "parameters": {"$ref": f"#/components/schemas/{task}{PARAMETERS}"},
            "stream": {"type": ["boolean", "null"], "default": False, "description": "of text generation: the answer in parts, as events"},
        },
    }  # fmt: skip


def any_answer() -> JsonObject:
    """What some task answers."""
    from hanlin.tasks.base import TASKS  # here, as above

    outputs = [TASKS.get(name).shape.output for name in TASKS.names()]
    found: list[JsonObject] = []
    for output in outputs:
        options = output.get("anyOf", [output])
        assert isinstance(options, list)
        found += [option for option in options if isinstance(option, dict) and option not in found]
    return {"anyOf": [*found]}


DESCRIBE = Operation(
    "describe_endpoint", "inference", "What an endpoint serves",
    {**_DESCRIBED, "properties": {**_DESCRIBED["properties"], **_LOADED}},  # type: ignore[dict-item]
    about="Model, version and variant; once it is loaded, its task, labels, limits, a worked example and the schema of a call.",
    statuses=OF_A_LOOK,
)  # fmt: skip
