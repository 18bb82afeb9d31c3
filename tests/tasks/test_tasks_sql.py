"""Queries: read from SQL, written token by token under a grammar, compared by what they find."""

from __future__ import annotations

import random
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from hanlin.errors import InvalidInput
from hanlin.models.tokenizers import END, train_tokenizer
from hanlin.tasks import BadExample
from hanlin.tasks.spelling import Spelling
from hanlin.tasks.sql.examples import QueryExamples, read_annotation
from hanlin.tasks.sql.grammar import SqlGrammar
from hanlin.tasks.sql.metrics import query_metrics
from hanlin.tasks.sql.query import render
from hanlin.tasks.sql.reading import read_query
from hanlin.tasks.sql.schema_reading import read_schema
from hanlin.tasks.sql.settings import SqlSettings
from hanlin.tasks.sql.suite import finds_the_same
from hanlin.tasks.sql.words import Lexicon, numbers_in, pointer, spoken
from hanlin.training.queries import learn_settings, speller

DDL = """
CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL, "Country of birth" TEXT, born INT);
CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, author_id INTEGER REFERENCES authors (id), "order" INTEGER, price REAL);
CREATE TABLE loans (book INTEGER, days INTEGER, FOREIGN KEY (book) REFERENCES books (id));
"""
SCHEMA = read_schema(DDL)
QUERIES = [
    "SELECT title FROM books",
    "SELECT DISTINCT b.title, a.name FROM books AS b JOIN authors a ON a.id = b.author_id WHERE a.born > 1950 AND b.title = 'Red, ''old'''",
    'SELECT COUNT(*), "Country of birth" FROM authors GROUP BY "Country of birth" HAVING COUNT(*) >= 3 ORDER BY COUNT(*) DESC LIMIT 5',
    "SELECT COUNT(DISTINCT name) FROM authors WHERE born BETWEEN 1900 AND 1950 OR born IS NULL",
    "SELECT b.title FROM books b LEFT JOIN loans l ON l.book = b.id WHERE l.book IS NULL",
    "SELECT MAX(\"order\") FROM books WHERE title LIKE '%sea%' AND title NOT LIKE '%red%' AND price <= 9.5",
    "SELECT AVG(l.days) FROM authors a JOIN books b ON b.author_id = a.id JOIN loans l ON l.book = b.id WHERE a.name != 'Mei Novak'",
    "SELECT name FROM authors ORDER BY born, name DESC LIMIT 3",
    "SELECT id FROM books WHERE title LIKE '%5\\%%' ESCAPE '\\'",
    'SELECT id FROM books WHERE "order" = -4 OR price IS NOT NULL',
]


def tokenizer() -> Tokenizer:
    return train_tokenizer(["how many red sea books by Mei Novak of 1950", "梅 的 红色 的 书"], "byte-bpe", 400, min_count=1)


TOKENIZER = tokenizer()
VOCABULARY = TOKENIZER.get_vocab()
SPELLING = Spelling.of(VOCABULARY)


def settings_of(*queries: str) -> SqlSettings:
    return learn_settings(
        SCHEMA, [""] * len(queries), [read_query(sql, SCHEMA) for sql in queries], first=max(VOCABULARY.values()) + 1, end=VOCABULARY[END]
    )


def filled() -> sqlite3.Connection:
    """Rows for which every query finds something, and its negation something else."""
    database = sqlite3.connect(":memory:")
    database.executescript(SCHEMA.ddl())
    authors = [(1, "Mei Novak", "Peru", 1960), (2, "Ivan Weiss", "Peru", 1940), (3, "Ada Ray", "Peru", None), (4, "Ben Ode", None, 1970)]
    books = [(1, "Red, 'old'", 1, 7, 9.5), (2, "a sea", 2, -4, 2), (3, "red sea", 1, 3, None), (4, "5% off", 4, 9, 1)]
    database.executemany("INSERT INTO authors VALUES (?, ?, ?, ?)", authors)
    database.executemany("INSERT INTO books VALUES (?, ?, ?, ?, ?)", books)
    database.executemany("INSERT INTO loans VALUES (?, ?)", [(1, 10), (2, 20), (4, 30)])
    return database


def test_the_schema_is_what_the_statements_say() -> None:
    assert read_schema(SCHEMA.ddl()) == SCHEMA
    assert [len(table.columns) for table in SCHEMA.tables] == [4, 5, 2]
    assert len(SCHEMA.links) == 2
    sqlite3.connect(":memory:").executescript(SCHEMA.ddl())


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_is_read_and_written_again(sql: str) -> None:
    query = read_query(sql, SCHEMA)
    written = render(query, SCHEMA)
    assert read_query(written, SCHEMA) == query
    database = filled()
    found = database.execute(written).fetchall()
    assert found == database.execute(sql).fetchall()
    assert found


@pytest.mark.parametrize("sql", QUERIES)
def test_the_grammar_takes_the_words_of_every_query(sql: str) -> None:
    query, settings = read_query(sql, SCHEMA), settings_of(sql)
    question = "which books of 1950, please?"
    asked = settings.question(question)
    grammar = SqlGrammar(settings.lexicon, SPELLING, asked, settings.values())
    point = pointer([one.value for one in asked.mentions], asked.numbers)
    ids = [*spoken(query, point, speller(TOKENIZER), settings.lexicon.ids()), settings.end]
    for place, token in enumerate(ids):
        assert token in grammar.allowed(ids[:place], 128), f"token {place} of {sql}"
    assert grammar.query(ids[:-1]) == query


@given(
    st.integers(0, 10**6),
    st.integers(5, 60),
    st.sampled_from(["red sea", "梅的3本书", "books over 40 or 7?", "!", "é\tü 12", "50% of_it \\ x"]),
)
def test_whatever_is_drawn_is_a_query_that_runs(seed: int, room: int, question: str) -> None:
    """The tokens are drawn blindly: validity must come from the grammar alone, and the end in time."""
    settings, chance = settings_of(*QUERIES), random.Random(seed)
    grammar = SqlGrammar(settings.lexicon, SPELLING, settings.question(question), settings.values(), is_whole=bool(seed % 2))
    ids: list[int] = []
    while len(ids) < room:
        token = chance.choice(sorted(grammar.allowed(ids, room - len(ids))))
        if token == settings.end:
            break
        ids.append(token)
    else:
        pytest.fail("no end in time")
    query = grammar.query(ids)
    written = render(query, SCHEMA)
    database = sqlite3.connect(":memory:")
    database.executescript(SCHEMA.ddl())
    database.execute(written)
    assert read_query(written, SCHEMA) == query


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("SELEC title FROM books", "sql"),
        ("SELECT colour FROM books", "sql"),
        ("SELECT title FROM shelves", "sql"),
        ("SELECT id FROM books JOIN loans ON loans.book = books.id; DROP TABLE books", "sql"),
        ("DROP TABLE books", "sql_not_supported"),
        ("SELECT title FROM books WHERE price = (SELECT MAX(price) FROM books)", "sql_not_supported"),
        ("SELECT title FROM books WHERE (price > 3 OR price < 1) AND title = 'x'", "sql_not_supported"),
        ("SELECT b.title FROM books b JOIN authors a ON a.born = b.price", "sql_not_supported"),
        ("SELECT title FROM books UNION SELECT name FROM authors", "sql_not_supported"),
        ("SELECT UPPER(title) FROM books", "sql_not_supported"),
        ("SELECT title FROM books WHERE " + " AND ".join(f"price = {number}" for number in range(9)), "sql_not_supported"),
        ("(" * 3000, "sql"),
    ],
)  # fmt: skip
def test_what_is_no_query_of_ours_says_why(sql: str, problem: str) -> None:
    with pytest.raises(BadExample) as found:
        read_query(sql, SCHEMA)
    assert found.value.problem == problem


@pytest.mark.parametrize(
    "ddl", ["", "hello", "CREATE TABLE a (x INT, x TEXT)", "CREATE TABLE a (x INT REFERENCES b (y))", "CREATE VIEW a AS SELECT 1"]
)
def test_what_is_no_schema_is_refused(ddl: str) -> None:
    with pytest.raises(BadExample) as found:
        read_schema(ddl)
    assert found.value.problem == "sql_schema"


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("SELECT title FROM books WHERE price > 3", "SELECT title FROM books WHERE price > 4", False),
        ("SELECT title FROM books WHERE author_id IS NOT NULL", "SELECT b.title FROM books b JOIN authors a ON a.id = b.author_id", True),
        ("SELECT COUNT(*) FROM books", "SELECT COUNT(id) FROM books", True),
        ("SELECT COUNT(*) FROM books", "SELECT COUNT(title) FROM books", False),
        ("SELECT title FROM books", "SELECT DISTINCT title FROM books", False),
        ("SELECT name FROM authors ORDER BY id", "SELECT name FROM authors ORDER BY id DESC", False),
        ("SELECT name FROM authors ORDER BY id DESC", "SELECT name FROM authors", True),  # gold asks for no order
        ("SELECT name FROM authors WHERE name = 'a b'", "SELECT name FROM authors WHERE name = 'a c'", False),
    ],
)  # fmt: skip
def test_queries_are_compared_by_what_they_find(one: str, other: str, is_same: bool) -> None:
    found, gold = (read_query(sql, SCHEMA) for sql in (one, other))
    assert finds_the_same(found, gold, SCHEMA) == is_same


def test_rows_are_read_into_their_usual_form() -> None:
    form = QueryExamples()
    spellings = ["select TITLE from books where price>3 and title='x'", 'SELECT b.title FROM books b WHERE b.title = "x" AND 3 < b.price']
    first = form.read({"text": "dear books", "sql": spellings[0], "schema": DDL})
    assert read_annotation(first.annotation) == (SCHEMA, read_query(spellings[0], SCHEMA))
    with pytest.raises(BadExample):
        form.read({"text": "dear books", "sql": spellings[0]})
    assert query_metrics([spellings[0], "SELECT id FROM books", "nothing"], [first.annotation] * 3).values == {
        "execution_accuracy": pytest.approx(1 / 3), "exact_match": pytest.approx(1 / 3)
    }  # fmt: skip


def test_numbers_are_heard_in_both_languages() -> None:
    assert [one for one, _, _ in numbers_in("over 300 pages, three of them from 1950")] == [300, 3, 1950]
    assert [one for one, _, _ in numbers_in("超过三百页、1950年以后的前5本")] == [300, 1950, 5]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("end",), 10**9), (("first",), "7"), (("limits",), ["many"]), (("known",), {"books": {"colour": ["red"]}}),
        (("known",), {"books": {"price": ["cheap"]}}), (("schema", "links"), [["books", "author_id", "authors"]]),
        (("schema", "tables"), []), (("more",), 1),
    ],
)  # fmt: skip
def test_settings_are_stored_and_checked(path: tuple[str, ...], value: object) -> None:
    settings = settings_of(*QUERIES)
    stored = settings.to_json()
    assert SqlSettings.from_json(stored) == settings
    place: dict[str, object] = stored  # type: ignore[assignment]
    for name in path[:-1]:
        place = place[name]  # type: ignore[assignment]
    place[path[-1]] = value
    with pytest.raises(InvalidInput) as refused:
        SqlSettings.from_json(stored)
    assert refused.value.code == "invalid_model_spec"


KEYWORDS = "cast commit constraint current_date escape exclude false glob isnull nothing notnull offset regexp returning true window"


@pytest.mark.parametrize("word", KEYWORDS.split())
def test_names_that_are_words_of_sql_are_quoted(word: str) -> None:
    schema = read_schema(f'CREATE TABLE "{word}" ("{word}" INT, b TEXT)')
    query = read_query(f'SELECT "{word}", COUNT(DISTINCT "{word}") FROM "{word}" WHERE "{word}" = 1 GROUP BY "{word}"', schema)
    assert read_schema(schema.ddl()) == schema
    assert read_query(render(query, schema), schema) == query
    database = sqlite3.connect(":memory:")
    database.executescript(schema.ddl())
    database.execute(render(query, schema))
    database.close()


@pytest.mark.parametrize(
    "ddl",
    [
        "create table t (a int, foreign key (a))",
        "create table t (a in primary key)",
        "create default like t (a asc, constraint x primary key; (a))",
        "create table t (a int primary key, b int primary key)",
        "create table sqlite_t (a int)",
    ],
)
def test_statements_that_sqlite_does_not_take_are_bad_examples(ddl: str) -> None:
    with pytest.raises(BadExample) as caught:
        read_schema(ddl)
    assert caught.value.args == ("sql_schema",)


def test_what_rows_say_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BadExample):
        read_schema("create table secret (")
    read_schema("create table t (a int); vacuum secret into 'x'; grant secret")
    assert not caplog.records


def test_half_a_surrogate_in_a_query_or_a_schema_is_a_bad_example() -> None:
    for sql, ddl in (
        ("select a from t where b = '\ud800'", "create table t (a int, b text)"),
        ("select a from t", "create table t (a int) -- \udfff"),
    ):
        with pytest.raises(BadExample) as caught:
            QueryExamples().read({"text": "which?", "sql": sql, "schema": ddl})
        assert caught.value.args == ("text_unicode",)


@pytest.mark.parametrize("said", ["9" * 16, "9" * 5000, "9" * 400 + ".5", "九" * 5000, "一" + "万" * 5000])
def test_numbers_too_large_for_a_query_are_none(said: str) -> None:
    assert numbers_in(f"the first {said} books") == []


def test_a_limit_is_not_larger_than_databases_take() -> None:
    found = settings_of("SELECT title FROM books LIMIT 3").question("the first 999999999999 books")
    grammar = SqlGrammar(Lexicon(SCHEMA, 1000, 0), SPELLING, found, {})
    ids = Lexicon(SCHEMA, 1000, 0).ids()
    prefix = [ids["t:books"], ids["select"], ids["c:books\0title"], ids["limit"]]
    assert ids["#0"] not in grammar.allowed(prefix, 50)


@pytest.mark.parametrize("changes", [{"limits": ["²"]}, {"limits": ["9" * 5000]}, {"counts": ["9" * 5000]}, {"counts": ["٣"]}])
def test_learned_numbers_of_a_strange_folder_are_plain(changes: dict[str, list[str]]) -> None:
    stored = settings_of("SELECT title FROM books LIMIT 3").to_json()
    with pytest.raises(InvalidInput):
        SqlSettings.from_json({**stored, **changes})
