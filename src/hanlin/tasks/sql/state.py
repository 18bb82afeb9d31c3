"""How far a query has come that is being written."""

from __future__ import annotations

from dataclasses import dataclass, field

from hanlin.tasks.sql.query import Expression, Query, Value


@dataclass(frozen=True, slots=True)
class State:
    """A part of a query, and what comes next.

    Attributes:
        phase: what comes next.
        role: of which part an expression or a value is: item, where, having, order, limit.
        expression: that is being written.
        operator: of the condition that is being written, its `values` so far and the number still to come.
        spelled: of the value that is being written; None outside one.
    """

    query: Query
    phase: str
    role: str = ""
    expression: Expression = field(default_factory=lambda: Expression(None))
    operator: str = ""
    values: tuple[Value, ...] = ()
    due: int = 0
    spelled: bytes | None = None
