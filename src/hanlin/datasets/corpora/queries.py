"""Questions about a small library and the SQL that answers them, in English and Chinese, drawn from templates. Synthetic."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Iterator
from importlib import resources

from hanlin.datasets.corpora import library
from hanlin.datasets.corpora.base import Row, Rows, Source, corpus, dice
from hanlin.datasets.corpora.templates import Grammar, Sentence, Value, parse

_SOURCE = "made from templates of this project over a made-up library"
_COLUMNS = "text sql schema database group pattern"
_TWINS, _DRAWS = 12, 60
_BLANK = re.compile(r"\{(\w+)\}")


@corpus(
    "library-queries-en", task="text-to-sql", languages="en", nature="synthetic", source=_SOURCE, licence="Apache-2.0",
    columns=_COLUMNS, beside=(("library-en.sql", lambda: library.script("en")),),
    zh="关于一个小图书馆的英文问题与回答它的 SQL（SQLite，四张表）；同一句式在同一划分中。",
)  # fmt: skip
def english(source: Source) -> Rows:  # every corpus is called so
    """English questions about a library of four tables and the SQLite query of each; the questions of a template stay together."""
    return _rows("en")


@corpus(
    "library-queries-zh", task="text-to-sql", languages="zh", nature="synthetic", source=_SOURCE, licence="Apache-2.0",
    columns=_COLUMNS, beside=(("library-zh.sql", lambda: library.script("zh")),),
    zh="关于一个小图书馆的中文问题与回答它的 SQL（SQLite，四张表）；同一句式在同一划分中。",
)  # fmt: skip
def chinese(source: Source) -> Rows:  # every corpus is called so
    """Chinese questions about a library of four tables and the SQLite query of each; the questions of a template stay together."""
    return _rows("zh")


def _rows(language: str) -> Rows:
    told = tomllib.loads(resources.files(__package__).joinpath("query_templates.toml").read_text(encoding="utf-8"))
    grammar = Grammar({name: parse(rule) for name, rule in told["rules"][language].items()}, _filler(language))
    seen: set[str] = set()
    for query in told["query"]:
        for template in query[language]:
            for sentence in _twins(grammar, template, dice("queries", language, template), seen):
                yield _row(sentence, query["sql"], language, template)


def _twins(grammar: Grammar, template: str, draws: random.Random, seen: set[str]) -> Iterator[Sentence]:
    """Sentences of a template that nobody said before, a few."""
    part, found = parse(template), 0
    for _ in range(_DRAWS):
        sentence = grammar.draw(part, draws)
        if sentence.text not in seen:
            seen.add(sentence.text)
            found += 1
            yield sentence
        if found == _TWINS:
            return


def _row(sentence: Sentence, query: str, language: str, template: str) -> Row:
    values = {filled.slot: filled.value for filled in sentence.slots}
    sql = _BLANK.sub(lambda blank: library.literal(values[blank[1]]), query)
    where = {"schema": library.SCHEMA, "database": f"library-{language}"}
    return {"text": sentence.text, "sql": sql, **where, "group": template, "pattern": query}


def _filler(language: str) -> Callable[[str, random.Random], Value]:
    """Names, titles and the like out of the database; numbers out of ranges that it has."""
    known, rows = library.WORDS[language], library.library(language)
    texts: dict[str, list[str]] = {
        "author": [row[1] for row in rows.authors], "title": [row[1] for row in rows.books], "member": [row[1] for row in rows.members],
        "genre": list(known.genres), "country": list(known.countries), "city": list(known.cities),
    }  # fmt: skip
    numbers = {
        "year": (1930, 2025), "loan_year": (2015, 2026), "joined": (2005, 2025), "born": (1890, 1990), "pages": (100, 800), "days": (5, 50),
        "copies": (2, 8), "top": (2, 8),
    }  # fmt: skip

    def fill(name: str, draws: random.Random) -> Value:
        if name in numbers:
            number = draws.randrange(*numbers[name], 10 if name == "pages" else 1)
            return Value(str(number), number)
        return Value(draws.choice(texts[name]), None)

    return fill
