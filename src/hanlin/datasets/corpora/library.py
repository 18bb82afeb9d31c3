"""A small library as a SQLite database, in English and in Chinese: authors, books, members, loans. Made up, the same every time."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hanlin.datasets.corpora.base import dice, words

SCHEMA = """CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, born INTEGER NOT NULL);
CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT NOT NULL, author_id INTEGER NOT NULL REFERENCES authors (id), genre TEXT NOT NULL,
  year INTEGER NOT NULL, pages INTEGER NOT NULL, copies INTEGER NOT NULL);
CREATE TABLE members (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, joined INTEGER NOT NULL);
CREATE TABLE loans (id INTEGER PRIMARY KEY, book_id INTEGER NOT NULL REFERENCES books (id),
  member_id INTEGER NOT NULL REFERENCES members (id), year INTEGER NOT NULL, days INTEGER NOT NULL, returned INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Words:
    """What the rows of a language's database are made of."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    countries: tuple[str, ...]
    cities: tuple[str, ...]
    genres: tuple[str, ...]
    first: tuple[str, ...]  # of titles
    second: tuple[str, ...]
    joiner: str
    is_family_first: bool


ENGLISH = Words(
    words("Anna Omar Lucia Peter Mei Ivan Clara Yusuf Nora Hugo Ines Tomas"),
    words("Brandt Okafor Moretti Novak Lindqvist Tanaka Alvarez Haddad Murray Weiss"),
    words("Austria Brazil Canada Egypt France India Italy Japan Kenya Norway"),
    words("Bergen Cairo Lyon Madrid Nairobi Osaka Toronto Vienna"),
    words("history poetry science travel mystery biography cooking philosophy"),
    words("Silent Broken Northern Golden Hidden Last Paper Winter Distant Burning"),
    words("River Garden Lighthouse Mirror Orchard Harbor Letters Kingdom Bridge Museum Voyage Clock"),
    " ", is_family_first=False,
)  # fmt: skip
CHINESE = Words(
    words("文静 志强 海燕 子轩 若兰 建国 思远 雨桐 明哲 晓梅 一鸣 嘉怡"),
    words("陈 林 赵 孙 周 吴 郑 沈 韩 陆"),
    words("中国 日本 法国 印度 埃及 巴西 挪威 加拿大 意大利 肯尼亚"),
    words("北京 成都 杭州 西安 广州 武汉 厦门 昆明"),
    words("历史 诗歌 科学 旅行 推理 传记 烹饪 哲学"),
    words("沉默的 破碎的 北方的 金色的 隐秘的 最后的 纸上的 冬日的 遥远的 燃烧的"),
    words("河流 花园 灯塔 镜子 果园 港湾 书信 王国 石桥 博物馆 远航 时钟"),
    "", is_family_first=True,
)  # fmt: skip
WORDS = {"en": ENGLISH, "zh": CHINESE}
NUM_AUTHORS, NUM_BOOKS, NUM_MEMBERS, NUM_LOANS = 24, 80, 40, 200


@dataclass(frozen=True, slots=True)
class Library:
    """The rows of the four tables."""

    authors: list[tuple[int, str, str, int]]
    books: list[tuple[int, str, int, str, int, int, int]]
    members: list[tuple[int, str, str, int]]
    loans: list[tuple[int, int, int, int, int, int]]


def library(language: str) -> Library:
    """The library of a language (`en`, `zh`)."""
    known, draws = WORDS[language], dice("library", language)
    people = [_name(known, given, family) for family in known.family for given in known.given]
    titles = [first + known.joiner + second for first in known.first for second in known.second]
    draws.shuffle(people)
    draws.shuffle(titles)
    authors = [(n + 1, people[n], draws.choice(known.countries), draws.randrange(1890, 1990)) for n in range(NUM_AUTHORS)]
    books = [_book(n, titles[n], known, draws) for n in range(NUM_BOOKS)]
    members = [(n + 1, people[NUM_AUTHORS + n], draws.choice(known.cities), draws.randrange(2005, 2025)) for n in range(NUM_MEMBERS)]
    loans = [_loan(n, draws) for n in range(NUM_LOANS)]
    return Library(authors, books, members, loans)


def _name(known: Words, given: str, family: str) -> str:
    return family + known.joiner + given if known.is_family_first else given + known.joiner + family


def _book(number: int, title: str, known: Words, draws: random.Random) -> tuple[int, str, int, str, int, int, int]:
    author, genre = draws.randrange(1, NUM_AUTHORS + 1), draws.choice(known.genres)
    return number + 1, title, author, genre, draws.randrange(1930, 2025), draws.randrange(60, 900, 10), draws.randrange(1, 9)


def _loan(number: int, draws: random.Random) -> tuple[int, int, int, int, int, int]:
    book, member = draws.randrange(1, NUM_BOOKS + 1), draws.randrange(1, NUM_MEMBERS + 1)
    return number + 1, book, member, draws.randrange(2015, 2026), draws.randrange(3, 60), int(draws.random() < 0.8)


def script(language: str) -> str:
    """The database as statements for `sqlite3`."""
    rows = library(language)
    lines = [SCHEMA]
    for table in ("authors", "books", "members", "loans"):
        lines += [f"INSERT INTO {table} VALUES ({', '.join(map(literal, row))});\n" for row in getattr(rows, table)]  # noqa: S608  # own rows
    return "".join(lines)


def literal(value: str | float) -> str:
    """A value as SQL writes it."""
    return str(value) if not isinstance(value, str) else "'" + value.replace("'", "''") + "'"
