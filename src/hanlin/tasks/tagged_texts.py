"""Examples of taggers: texts with spans of characters that have names, however a file told of them. And how answers about them are judged.

    {"entities": [{"end": 12, "label": "PER", "start": 0}], "tokens": [[0, 3], [4, 12], …]}

`tokens` stands there where the file had tokens and the text has a space between any two: precision and recall then count over these, as
in CoNLL's tasks. Where no space tells a reader where a word ends, as in Chinese, judging over given words would tell the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from hanlin.errors import InvalidInput
from hanlin.tasks.alignment import Span
from hanlin.tasks.examples import BadExample, Column, Example, canonical, check_label, check_text, read_json_field
from hanlin.tasks.span_metrics import SpanMetrics, SpanRow, metrics_of, spans
from hanlin.tasks.tags import OUTSIDE, Named, has_prefix, names_of, paint, plain_runs
from hanlin.tasks.text import is_wide
from hanlin.types import JsonValue, shorten

WORD = "word"  # the name of every span where words are told apart and nothing more
MAX_TOKENS = 200_000  # of one example
_TAG_PREFIXES = ("B-", "I-")  # E-, S-, L- and U- begin names too, such as E-mail
_NAMES = ("label", "type", "entity_group", "entity", "tag")


class Tagging(NamedTuple):
    """What an annotation says: entities in order, and the tokens of the file, if it had any."""

    entities: list[Named]
    tokens: list[Span] | None


@dataclass(frozen=True, slots=True)
class TaggedTexts:
    """Tokens with tags, texts with entities, or words with space between them."""

    columns: tuple[Column, ...] = (
        Column("text", "text", aliases=("sentence", "content", "文本", "内容", "句子"), is_optional=True),
        Column("entities", "json", aliases=("spans", "labels", "label", "实体"), is_optional=True),
        Column("tokens", "json", aliases=("words", "词"), is_optional=True),
        Column("tags", "json", aliases=("ner_tags", "pos_tags", "标签"), is_optional=True),
        Column("segmented", "text", aliases=("分词",), is_optional=True),
    )
    formats: tuple[str, ...] = ("conll", "brat", "segmented", "slashed")
    is_classified: bool = False
    has_answers: bool = True

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`."""
        if fields.get("segmented") is not None:
            words = check_text(fields["segmented"]).split()
            text, places = join(words)
            return _stored(text, [(start, end, WORD) for start, end in places], None)
        if fields.get("tokens") is not None:
            tokens = strings_of(fields["tokens"], "tokens_type")
            return _example(*join(tokens), _runs(tokens, strings_of(fields.get("tags"), "tags_type")))
        text = check_text(fields.get("text"))
        return _stored(text, _entities(fields.get("entities"), text), None)

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the text alone."""
        return text


def join(tokens: Sequence[str]) -> tuple[str, list[Span]]:
    """The text of tokens and where each stands in it: a space between two, but none beside Chinese or Japanese. Raises BadExample."""
    if not 0 < len(tokens) <= MAX_TOKENS or not all(token.strip() for token in tokens):
        raise BadExample("tokens_empty")
    parts: list[str] = []
    places: list[Span] = []
    at, before = 0, ""
    for token in tokens:
        gap = " " if before and not is_wide(before[-1]) and not is_wide(token[0]) else ""
        places.append((at + len(gap), at + len(gap) + len(token)))
        parts += (gap, token)
        at, before = places[-1][1], token
    return check_text("".join(parts)), places


def read_tagging(annotation: str) -> Tagging:
    """What `TaggedTexts.read` stored."""
    value: dict[str, Any] = json.loads(annotation)
    tokens = value.get("tokens")
    found = [(int(item["start"]), int(item["end"]), str(item["label"])) for item in value["entities"]]
    return Tagging(found, None if tokens is None else [(int(start), int(end)) for start, end in tokens])


def quality_of(rows: Sequence[Sequence[Named]], gold: Sequence[str], labels: Sequence[str]) -> SpanMetrics:
    """Quality of tags, one a token of the model, each with its characters.

    Where the gold row has tokens, each gets the tag of the first of the model's tokens in it, and entities are counted over tokens, as
    seqeval does; else entities must have the same first and last character.

    Raises:
        InvalidInput: `foreign_label`.
    """
    names = {*names_of(labels)}
    return metrics_of(_judge(row, read_tagging(annotation), names) for row, annotation in zip(rows, gold, strict=True))


def _judge(row: Sequence[Named], gold: Tagging, names: set[str]) -> SpanRow:
    for _, _, name in gold.entities:
        if name not in names:
            raise InvalidInput("foreign_label", label=shorten(name))
    units = gold.tokens if gold.tokens is not None else [(start, end) for start, end, _ in row]
    wanted = paint(units, gold.entities, "bio")
    tags = [tag for _, _, tag in row] if gold.tokens is None else _first_tags(gold.tokens, row)
    found = spans(tags)
    plain = paint(
        units, [(units[first][0], units[end - 1][1], name) for name, first, end in sorted(found, key=lambda span: span[1])], "bio"
    )
    right = sum(one == other for one, other in zip(plain, wanted, strict=True))
    if gold.tokens is not None:
        return SpanRow(found, spans(wanted), right, len(units))
    exact = {(name, units[first][0], units[end - 1][1]) for name, first, end in found}
    return SpanRow(exact, {(name, start, end) for start, end, name in gold.entities}, right, len(units))


def _first_tags(tokens: Sequence[Span], row: Sequence[Named]) -> list[str]:
    tags: list[str] = []
    at = 0
    for start, end in tokens:
        while at < len(row) and row[at][1] <= start:
            at += 1
        tags.append(row[at][2] if at < len(row) and row[at][0] < end else OUTSIDE)
    return tags


def _example(text: str, tokens: list[Span], runs: Iterable[Named]) -> Example:
    is_spaced = all(other[0] > one[1] for one, other in pairwise(tokens))
    return _stored(text, [(tokens[first][0], tokens[end - 1][1], name) for first, end, name in runs], tokens if is_spaced else None)


def _stored(text: str, entities: Sequence[Named], tokens: Sequence[Span] | None) -> Example:
    value: dict[str, JsonValue] = {"entities": [{"start": start, "end": end, "label": name} for start, end, name in entities]}
    if tokens is not None:
        value["tokens"] = [[start, end] for start, end in tokens]
    return Example(text, canonical(value), tuple(sorted({name for _, _, name in entities})))


def _runs(tokens: Sequence[str], tags: Sequence[str]) -> list[Named]:
    """The spans of tokens that tags of any scheme mean. Raises BadExample."""
    if len(tokens) != len(tags):
        raise BadExample("tags_number")
    clean = [check_label(tag) for tag in tags]
    if not any(map(has_prefix, clean)):
        return plain_runs(clean)
    return sorted((first, end, name) for name, first, end in spans(clean))


def strings_of(value: object, problem: str) -> list[str]:
    """A list of strings, as it is, as JSON text, or apart by spaces. Raises BadExample (`problem`)."""
    found = value.split() if isinstance(value, str) and not value.lstrip().startswith("[") else read_json_field(value)
    if not isinstance(found, Iterable) or isinstance(found, str | bytes | Mapping):
        raise BadExample(problem)
    items = list(found)
    if not all(isinstance(item, str) for item in items):
        raise BadExample(problem)
    return items


def _entities(value: object, text: str) -> list[Named]:
    """Spans in order. Raises BadExample for what is out of the text, or not apart from each other."""
    found = read_json_field(value if value is not None else [])
    if not isinstance(found, Iterable) or isinstance(found, str | bytes | Mapping):
        raise BadExample("entities_type")
    entities = sorted({_entity(item, len(text)) for item in found})
    if any(one[1] > other[0] for one, other in pairwise(entities)):
        raise BadExample("entities_overlap")
    return entities


def _entity(item: object, length: int) -> Named:
    if isinstance(item, Mapping):
        name = next((item[key] for key in _NAMES if item.get(key) is not None), None)
        start, end = (item.get(key, item.get(f"{key}_offset")) for key in ("start", "end"))
    elif isinstance(item, Sequence) and not isinstance(item, str | bytes) and len(item) == 3:
        start, end, name = item
    else:
        raise BadExample("entities_type")
    if not all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end)):
        raise BadExample("entities_type")
    assert isinstance(start, int)
    assert isinstance(end, int)
    if not 0 <= start < end <= length:
        raise BadExample("entities_range")
    return start, end, _name(name)


def _name(value: object) -> str:
    """The name of a span, which is no tag of a token. Raises BadExample."""
    name = check_label(value)
    if name == OUTSIDE or (name.startswith(_TAG_PREFIXES) and has_prefix(name)):
        raise BadExample("entities_tag")
    return name
