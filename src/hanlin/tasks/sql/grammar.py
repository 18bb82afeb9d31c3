"""Which token may follow when a query is written: a `Grammar` that ends in time and admits nothing but queries over the schema."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from hanlin.tasks.spelling import Spelling
from hanlin.tasks.sql.mentions import Question
from hanlin.tasks.sql.pieces import Sources
from hanlin.tasks.sql.query import (
    AGGREGATES,
    COMPARISONS,
    MAX_CONDITIONS,
    MAX_ITEMS,
    MAX_JOINS,
    MAX_KEYS,
    MAX_LIMIT,
    Aggregate,
    Condition,
    Expression,
    Join,
    Ordering,
    Query,
    Value,
    canonical,
)  # fmt: skip
from hanlin.tasks.sql.schema import ColumnRef
from hanlin.tasks.sql.state import State
from hanlin.tasks.sql.words import CLOSE, OPEN, Lexicon, column_word, table_word

LIMIT, HAVING = "limit", "having"  # what learned numbers are for that compare with no column
_NEVER = 10**6
_MARGIN = 16  # more words than any shortest way has
_WORDS_OF_JOINS = {"join": False, "left": True}
_LEAST = {  # tokens to the end, the last one included; of a condition on groups without its value
    "start": 4, "tables": 3, "join": 4, "select": 2, "item": 2, "column": 2, "items": 1, "where": 3, "operator": 2, "conditions": 1,
    "group": 2, "groups": 1, "order": 2, "orders": 1, "ended": 1,
}  # fmt: skip
_LEAST_OF_GROUPS = {"having": 4, "column": 3, "operator": 2}


class SqlGrammar:
    """Of one row. See `hanlin.generation.Grammar`.

    Args:
        known: values that the version has learned, by the word of their column; numbers of limits and of groups by their own.
        is_whole: whether a query shall use every number and every learned value that the question names, where it can, and no words
            that the question does not say.
    """

    def __init__(
        self, lexicon: Lexicon, spelling: Spelling, question: Question, known: Mapping[str, Sequence[str]], *, is_whole: bool = False
    ) -> None:
        self._schema, self._spelling, self._end = lexicon.schema, spelling, lexicon.end
        self._ids = lexicon.ids()
        self._question, self._is_whole = question, is_whole
        self._numbers = question.numbers
        words = {column_word(ref) for ref in self._schema.columns if self._schema.column(ref).kind == "text"} if is_whole else set()
        self._sources = Sources(question.text, {name: values for name, values in known.items() if name not in words})
        self._enough = _MARGIN + 3 * self._sources.longest  # with so many tokens left any query can be ended
        self._states: dict[tuple[int, ...], State] = {(): State(Query("", (), ()), "start")}
        self._ways: dict[State, dict[int, State]] = {}

    def allowed(self, prefix: Sequence[int], left: int) -> Collection[int]:
        """See `Grammar.allowed`."""
        state = self._state(tuple(prefix))
        ways = self._follow(state)
        if self._is_whole and left > self._enough + _MARGIN:  # room for more than the least
            found = [token for token, after in ways.items() if not self._question.leaves_out(state, after)]
            may_end = self._may_end(state) and not self._question.leaves_out(state, None)
            if found or may_end:
                return [*found, self._end] if may_end else found
        found = [token for token, after in ways.items() if self._least(after) < left]
        return [*found, self._end] if self._may_end(state) else found

    def query(self, ids: Sequence[int]) -> Query:
        """The query that was written, in its usual form. Raises KeyError for tokens that are none."""
        state = self._state(tuple(ids))
        if not self._may_end(state):
            raise KeyError("not a whole query")
        return canonical(state.query, self._schema)

    def _state(self, prefix: tuple[int, ...]) -> State:
        if prefix not in self._states:
            self._states[prefix] = self._follow(self._state(prefix[:-1]))[prefix[-1]]
        return self._states[prefix]

    def _follow(self, state: State) -> dict[int, State]:
        if state not in self._ways:
            ways = self._pieces(state) if state.spelled is not None else ((self._ids[word], after) for word, after in self._words(state))
            self._ways[state] = dict(ways)
        return self._ways[state]

    def _may_end(self, state: State) -> bool:
        return _LEAST.get(state.phase) == 1

    def _least(self, state: State) -> int:
        """Tokens that the shortest way to the end has, the last one included."""
        if state.spelled is not None:
            here = self._sources.left(state.spelled, self._source(state), is_text=self._is_text(state)) + 1
            return here + (state.due - 1) * self._cost(state) + 1
        if state.phase == "value":
            return state.due * self._cost(state) + 1
        return _LEAST_OF_GROUPS[state.phase] + self._cost(state) if state.role == HAVING else _LEAST[state.phase]

    def _words(self, state: State) -> Iterator[tuple[str, State]]:
        """Words that may come, each with what it leads to."""
        ways: dict[str, Callable[[State], Iterator[tuple[str, State]]]] = {
            "start": self._starts, "tables": self._tables, "join": self._joins, "select": self._select, "operator": self._operators,
            "value": self._values, "group": self._groups,
        }  # fmt: skip
        if state.phase in ("item", "where", "order", "having", "column"):
            return self._expressions(state)
        return ways.get(state.phase, self._parts)(state)

    def _starts(self, state: State) -> Iterator[tuple[str, State]]:
        for table in self._schema.tables:
            yield table_word(table.name), replace(state, query=replace(state.query, table=table.name), phase="tables")

    def _tables(self, state: State) -> Iterator[tuple[str, State]]:
        yield "select", replace(state, phase="select", role="item")
        if len(state.query.joins) < MAX_JOINS and self._joinable(state.query):
            for word in _WORDS_OF_JOINS:
                yield word, replace(state, phase="join", role=word)

    def _joins(self, state: State) -> Iterator[tuple[str, State]]:
        for name in self._joinable(state.query):
            joins = (*state.query.joins, Join(name, _WORDS_OF_JOINS[state.role]))
            yield table_word(name), replace(state, query=replace(state.query, joins=joins), phase="tables", role="")

    def _select(self, state: State) -> Iterator[tuple[str, State]]:
        yield "distinct", replace(state, query=replace(state.query, is_distinct=True), phase="item")
        yield from self._expressions(state)

    def _joinable(self, query: Query) -> list[str]:
        names = (table.name for table in self._schema.tables)
        return [name for name in names if name not in query.tables and self._schema.link(name, query.tables)]

    def _columns(self, query: Query) -> Iterator[ColumnRef]:
        return (ref for ref in self._schema.columns if ref.table in query.tables)

    def _expressions(self, state: State) -> Iterator[tuple[str, State]]:
        one = state.expression
        if state.phase == "column":
            if one.aggregate == "count" and not one.is_distinct:
                yield "unique", replace(state, expression=replace(one, is_distinct=True))
                yield "*", self._taken(state, one)
            any_kind = ("count",) if state.role == HAVING else ("count", "min", "max")
            for ref in self._columns(state.query):
                if one.aggregate in any_kind or self._schema.column(ref).kind == "number":
                    yield column_word(ref), self._taken(state, replace(one, column=ref))
            return
        if state.role != "having":
            for ref in self._columns(state.query):
                yield column_word(ref), self._taken(state, Expression(ref))
        if state.role in ("item", "having") or (state.role == "order" and state.query.group):
            sums = any(self._schema.column(ref).kind == "number" for ref in self._columns(state.query))
            plain: tuple[Aggregate, ...] = ("count",) if state.role == HAVING else ("count", "min", "max")
            for name in AGGREGATES if sums else plain:
                yield name, replace(state, phase="column", expression=Expression(None, name))

    def _taken(self, state: State, one: Expression) -> State:
        """An expression is whole."""
        query = state.query
        after = replace(state, expression=Expression(None), role="")
        if state.role == "item":
            return replace(after, query=replace(query, items=(*query.items, one)), phase="items")
        if state.role == "order":
            return replace(after, query=replace(query, order=(*query.order, Ordering(one))), phase="orders")
        return replace(state, expression=one, phase="operator")

    def _operators(self, state: State) -> Iterator[tuple[str, State]]:
        if state.role == "where":
            for name in ("is null", "is not null"):
                yield name, self._checked(replace(state, operator=name))
        if self._cost(state) >= _NEVER:
            return
        same = (one for one in state.query.where if one.expression == state.expression and one.operator == "=")
        is_set = "or" not in state.query.links and any(same)  # it must already be one thing
        more = ("like", "not like") if self._is_text(state) else ()
        for name in (*COMPARISONS[is_set:], *more, *(("between",) if state.role == "where" else ())):
            yield name, replace(state, operator=name, phase="value", due=2 if name == "between" else 1)

    def _values(self, state: State) -> Iterator[tuple[str, State]]:
        if not self._is_text(state):
            for place, number in enumerate(self._numbers):
                if state.role != LIMIT or (isinstance(number, int) and 0 < number < MAX_LIMIT):
                    yield f"#{place}", self._valued(state, number)
        else:
            for place, mention in enumerate(self._question.mentions):
                if state.expression.column in mention.columns:
                    yield f"@{place}", self._valued(state, mention.value)
        if self._spelled_cost(state) < _NEVER:
            yield OPEN, replace(state, spelled=b"")

    def _pieces(self, state: State) -> Iterator[tuple[int, State]]:
        assert state.spelled is not None, "within a value"
        word, is_text = self._source(state), self._is_text(state)
        for token, spelled in self._sources.follow(state.spelled, word, self._spelling, is_text=is_text).items():
            yield token, replace(state, spelled=spelled)
        if state.spelled and not self._sources.left(state.spelled, word, is_text=is_text):
            text = state.spelled.decode()
            yield self._ids[CLOSE], self._valued(replace(state, spelled=None), text if is_text else number_in(text))

    def _valued(self, state: State, value: Value) -> State:
        if state.role == LIMIT:
            return State(replace(state.query, limit=int(value)), "ended")
        after = replace(state, values=(*state.values, value), due=state.due - 1)
        return after if after.due else self._checked(after)

    def _checked(self, state: State) -> State:
        """A condition is whole."""
        query, one = state.query, Condition(state.expression, state.operator, state.values)
        if state.role == HAVING:
            return State(replace(query, having=one), "ended", role="order")
        return State(replace(query, where=(*query.where, one)), "conditions")

    def _groups(self, state: State) -> Iterator[tuple[str, State]]:
        for ref in self._columns(state.query):
            if ref not in state.query.group:
                yield column_word(ref), State(replace(state.query, group=(*state.query.group, ref)), "groups")

    def _parts(self, state: State) -> Iterator[tuple[str, State]]:
        """What may come where a query may also end."""
        query, phase = state.query, state.phase
        if phase == "items" and len(query.items) < MAX_ITEMS:
            yield from self._expressions(replace(state, role="item"))
        if phase == "items":
            yield "where", State(query, "where", role="where")
        if phase == "conditions" and len(query.where) < MAX_CONDITIONS:
            for word in ("and", "or"):
                yield word, State(replace(query, links=(*query.links, word)), "where", role="where")
        if phase in ("items", "conditions"):
            yield "group", State(query, "group")
        if phase == "groups":
            if len(query.group) < MAX_KEYS:
                yield from self._groups(state)
            if self._cost(State(query, "operator", role=HAVING, expression=Expression(None, "count"))) < _NEVER:
                yield "having", State(query, "having", role=HAVING)
        if phase == "orders" and not query.order[-1].is_descending:
            last = replace(query.order[-1], is_descending=True)
            yield "desc", State(replace(query, order=(*query.order[:-1], last)), "orders")
        if phase == "orders" and len(query.order) < MAX_KEYS:
            yield from self._expressions(replace(state, role="order"))
        if phase in ("items", "conditions", "groups") or state.role == "order":
            yield "order", State(query, "order", role="order")
        if query.limit is None and self._cost(limited := State(query, "value", role=LIMIT, due=1)) < _NEVER:
            yield "limit", limited

    def _is_text(self, state: State) -> bool:
        """Whether the value that comes is words."""
        one = state.expression
        if state.role in (LIMIT, HAVING) or one.column is None or one.aggregate in ("count", "sum", "avg"):
            return False
        return self._schema.column(one.column).kind == "text"

    def _source(self, state: State) -> str:
        """Whose learned values may come."""
        if state.role in (LIMIT, HAVING) or state.expression.column is None:
            return state.role
        return column_word(state.expression.column)

    def _cost(self, state: State) -> int:
        """The fewest tokens that a value takes here."""
        if not self._is_text(state) and any(state.role != LIMIT or (isinstance(one, int) and one > 0) for one in self._numbers):
            return 1
        is_named = self._is_text(state) and any(state.expression.column in one.columns for one in self._question.mentions)
        return 1 if is_named else self._spelled_cost(state)

    def _spelled_cost(self, state: State) -> int:
        ways = [self._sources.shortest_known(self._source(state)), self._sources.shortest if self._is_text(state) else 0]
        return min((way + 2 for way in ways if way), default=_NEVER)


def number_in(text: str) -> int | float:
    """A learned number."""
    return float(text) if "." in text or "e" in text else int(text)
