"""What people say to their home, drawn from the templates of Home Assistant: intent, slots and their places. Meanings are typed."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any

from hanlin.datasets.corpora.base import Row, Rows, Source, corpus, dice
from hanlin.datasets.corpora.pinned import INTENTS
from hanlin.datasets.corpora.templates import Filled, Grammar, Sentence, Value, parse

_SOURCE = "PyPI home-assistant-intents 2026.10.27; names of rooms and things made up"
_LICENCE = "Apache-2.0"
_COLUMNS = "text intent slots implied spans group"
Names = dict[str, tuple[str, ...]]  # kind of thing → what is called so
_TWINS, _DRAWS = 12, 60  # sentences kept of a template, at most; how often is drawn for them


@corpus(
    "home-intents-en", task="semantic-parsing", languages="en", nature="synthetic", source=_SOURCE, licence=_LICENCE, columns=_COLUMNS,
    zh="对智能家居说的英文句子，由 862 个模板抽取：意图、槽位及其位置；同一模板的句子在同一划分中。",
)  # fmt: skip
def english(source: Source) -> Rows:
    """English sentences to a home, drawn from 862 templates: intent, slots and their places; the sentences of a template stay together."""
    return _rows(source, "en")


@corpus(
    "home-intents-zh", task="semantic-parsing", languages="zh", nature="synthetic", source=_SOURCE, licence=_LICENCE, columns=_COLUMNS,
    zh="对智能家居说的中文句子，由 700 个模板抽取：意图、槽位及其位置；同一模板的句子在同一划分中。",
)  # fmt: skip
def chinese(source: Source) -> Rows:
    """Chinese sentences to a home, drawn from 700 templates: intent, slots and their places; the sentences of a template stay together."""
    return _rows(source, "zh-CN")


def _rows(source: Source, language: str) -> Rows:
    """Each text once; a text that two templates give another meaning is left out, for nobody could know which."""
    meanings: dict[str, set[str]] = {}
    rows = list(_drawn(json.loads(source.text(INTENTS, f"home_assistant_intents/data/{language}.json")), language))
    for row in rows:
        meanings.setdefault(str(row["text"]), set()).add(_meaning(row))
    seen: set[str] = set()
    for row in rows:
        text = str(row["text"])
        if len(meanings[text]) == 1 and text not in seen:
            seen.add(text)
            yield row


def _meaning(row: Row) -> str:
    return json.dumps([row["intent"], row["slots"]], sort_keys=True)


def _drawn(data: Any, language: str) -> Iterator[Row]:
    names = _names(language[:2])
    rules = {name: parse(template) for name, template in data["expansion_rules"].items()}
    for intent, spoken in data["intents"].items():
        for block in spoken["data"]:
            grammar = Grammar(rules, _filler(data["lists"], names, block.get("requires_context", {}).get("domain")))
            for template in block["sentences"]:
                found = _twins(grammar, template, dice(language, intent, template))
                yield from (_row(sentence, intent, block.get("slots", {}), template) for sentence in found)


def _names(language: str) -> Names:
    said = tomllib.loads(resources.files(__package__).joinpath("home_names.toml").read_text(encoding="utf-8"))[language]
    return {kind: tuple(words.split("; ")) for kind, words in said.items()}


def _twins(grammar: Grammar, template: str, draws: random.Random) -> Iterator[Sentence]:
    """Different sentences of a template, a few."""
    part = parse(template)
    seen: set[str] = set()
    for _ in range(_DRAWS):
        sentence = grammar.draw(part, draws)
        if sentence.text and sentence.text not in seen:
            seen.add(sentence.text)
            yield sentence
        if len(seen) == _TWINS:
            return


def _row(sentence: Sentence, intent: str, implied: Row, template: str) -> Row:
    """`implied` slots are said by no words of their own; they are among the `slots`, which are the whole meaning."""
    slots = {**implied, **{filled.slot: filled.value for filled in sentence.slots}}
    return {
        "text": sentence.text, "intent": intent, "slots": slots, "implied": implied, "spans": _spans(sentence.slots), "group": template,
    }  # fmt: skip


def _spans(slots: list[Filled]) -> list[Row]:
    found = sorted(slots)
    return [{"start": start, "end": end, "label": slot, "value": value} for start, end, slot, value in found]


def _filler(lists: Any, names: Names, domain: str | list[str] | None) -> Any:
    """What fills a blank: the list's own values or range, else the home's names."""
    domains = [domain] if isinstance(domain, str) else domain or ["light", "switch", "media_player"]
    things = tuple(thing for kind in domains for thing in names.get(kind.removeprefix("input_").replace("boolean", "switch"), ()))

    def fill(name: str, draws: random.Random) -> Value:
        known = lists.get(name, {})
        if "range" in known:
            return _number(known["range"], draws)
        if "values" in known:
            value = draws.choice(known["values"])
            return Value(value["in"], value.get("out")) if isinstance(value, dict) else Value(value, None)
        return Value(draws.choice(things if name == "name" else names[name]), None)

    return fill


def _number(bounds: Any, draws: random.Random) -> Value:
    number: int | float = draws.randrange(bounds["from"], bounds["to"] + 1, bounds.get("step", 1))
    if bounds.get("fractions") == "halves" and draws.random() < 0.2:
        number += 0.5
    return Value(str(number), number * bounds.get("multiplier", 1))
