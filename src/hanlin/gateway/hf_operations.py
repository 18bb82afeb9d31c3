"""The description of the doors for Hugging Face's clients."""

from __future__ import annotations

from hanlin.gateway.inference_operations import any_answer
from hanlin.gateway.operation import Operation, body_of
from hanlin.gateway.schemas import COUNT, CUT, MAYBE_FLAG
from hanlin.types import JsonObject


def hf_inference() -> Operation:
    """`POST /hf/{endpoint}`."""
    from hanlin.tasks.base import TASKS  # here, for it loads numpy, which a gateway needs for its documents only
    from hanlin.tasks.comparing import COMPARED
    from hanlin.tasks.question_answering import ASKED
    from hanlin.tasks.shapes import ONE_OR_MORE, RANKING

    options: dict[str, JsonObject] = {
        "normalize": MAYBE_FLAG, "dimensions": {**COUNT, "type": ["integer", "null"]}, "prompt_name": {"type": ["string", "null"]},
        "encoding_format": {"type": ["string", "null"], "enum": ["float", None]}, **CUT,
    }  # fmt: skip
    examples: dict[str, JsonObject] = {}
    for name in TASKS.names():
        request = TASKS.get(name).example["request"]
        assert isinstance(request, dict)
        examples[name] = request
    examples["embedding, a sentence compared with others"] = {
        "inputs": {"source_sentence": "How do I return a parcel?", "sentences": ["Sending goods back", "Our shop opens at nine."]}
    }
    return Operation(
        "hf_inference", "hugging face", "The task API as `huggingface_hub.InferenceClient` sends and reads it", any_answer(),
        [[{"label": "positive", "score": 0.98}, {"label": "negative", "score": 0.02}]],
        body_of("inputs", inputs={"anyOf": [ONE_OR_MORE, COMPARED, RANKING, ASKED]}, parameters={"type": ["object", "null"]},
                stream=MAYBE_FLAG, **options),
        examples,
    )  # fmt: skip
