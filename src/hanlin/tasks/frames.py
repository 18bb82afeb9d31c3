"""Examples of semantic role labelling: who does what to whom, a frame for each predicate.

    {"frames": [{"arguments": [{"end": 3, "role": "ARG0", "start": 0}], "predicate": [4, 10], "sense": "write.01"}]}

Places are characters of the text, whatever the file counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from hanlin.tasks.alignment import Span
from hanlin.tasks.examples import BadExample, Column, Example, canonical, check_label, check_text, read_json_field
from hanlin.tasks.tagged_texts import join, strings_of
from hanlin.tasks.tags import OUTSIDE, Named
from hanlin.types import JsonObject, JsonValue

VERB = "V"  # the name of a predicate among the roles of its own row
_MAX_SENSE = 80  # characters


class Frame(NamedTuple):
    """A predicate's characters, its arguments, apart from each other and in order, and its sense, or an empty text."""

    predicate: Span
    arguments: list[Named]
    sense: str = ""


@dataclass(frozen=True, slots=True)
class FramedTexts:
    """Tokens with frames, whose places count tokens; `text` beside them says how the tokens are written."""

    columns: tuple[Column, ...] = (
        Column("tokens", "json", aliases=("words", "词")),
        Column("frames", "json", aliases=("predicates", "谓词", "框架")),
        Column("text", "text", aliases=("sentence", "文本", "句子"), is_optional=True),
    )
    formats: tuple[str, ...] = ("conll2009", "props")
    is_classified: bool = False
    has_answers: bool = True

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`."""
        tokens = strings_of(fields.get("tokens"), "tokens_type")
        text, places = join(tokens) if fields.get("text") is None else _placed(tokens, check_text(fields["text"]))
        found = read_json_field(fields.get("frames"))
        if not isinstance(found, Iterable) or isinstance(found, str | bytes | Mapping):
            raise BadExample("frames_type")
        frames = sorted(_frame(item, places) for item in found)
        if len({frame.predicate for frame in frames}) < len(frames):
            raise BadExample("frames_twice")
        roles = tuple(sorted({role for frame in frames for _, _, role in frame.arguments}))
        return Example(text, canonical({"frames": [_stored(frame) for frame in frames]}), roles)

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the text alone."""
        return text


def read_frames(annotation: str) -> list[Frame]:
    """What `FramedTexts.read` stored."""
    return [
        Frame(
            (item["predicate"][0], item["predicate"][1]),
            [(one["start"], one["end"], one["role"]) for one in item["arguments"]],
            item.get("sense", ""),
        )
        for item in json.loads(annotation)["frames"]
    ]


def _placed(tokens: Sequence[str], text: str) -> tuple[str, list[Span]]:
    """Where each token stands in the text. Raises BadExample."""
    places: list[Span] = []
    at = 0
    for token in tokens:
        start = text.find(token, at) if token else -1
        if start < 0:
            raise BadExample("tokens_elsewhere")
        at = start + len(token)
        places.append((start, at))
    return text, places


def _frame(item: object, places: Sequence[Span]) -> Frame:
    if not isinstance(item, Mapping):
        raise BadExample("frames_type")
    at, arguments = item.get("predicate"), item.get("arguments")
    if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at < len(places):
        raise BadExample("frames_range")
    if not isinstance(arguments, Iterable) or isinstance(arguments, str | bytes | Mapping):
        raise BadExample("frames_type")
    found = sorted(filter(None, {_argument(one, places, at) for one in arguments}))
    if any(one[1] > other[0] for one, other in pairwise(found)):
        raise BadExample("frames_overlap")
    return Frame(places[at], found, _read_sense(item.get("sense")))


def _read_sense(value: object) -> str:
    if value is None or value == "":
        return ""
    sense = check_label(value)
    if len(sense) > _MAX_SENSE:
        raise BadExample("frames_sense")
    return sense


def _argument(item: object, places: Sequence[Span], predicate: int) -> Named | None:
    """None for the predicate itself, which others have among its arguments."""
    if not isinstance(item, Mapping):
        raise BadExample("frames_type")
    start, end, role = item.get("start"), item.get("end"), check_label(item.get("role"))
    if not isinstance(start, int) or not isinstance(end, int) or isinstance(start, bool) or isinstance(end, bool):
        raise BadExample("frames_range")
    if not 0 <= start < end <= len(places):
        raise BadExample("frames_range")
    if role == VERB and start <= predicate < end:
        return None
    if role in {VERB, OUTSIDE}:
        raise BadExample("frames_role")
    return places[start][0], places[end - 1][1], role


def _stored(frame: Frame) -> JsonObject:
    stored: JsonObject = {
        "predicate": [*frame.predicate],
        "arguments": [{"start": start, "end": end, "role": role} for start, end, role in frame.arguments],
    }
    return stored | ({"sense": frame.sense} if frame.sense else {})
