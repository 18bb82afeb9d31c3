"""Which column of a file is which of the task's. Knows headers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hanlin.datasets.options import ReadOptions
from hanlin.errors import InvalidInput
from hanlin.tasks import Column, Task
from hanlin.types import shorten

GROUP = Column("group", "text", aliases=("分组",), is_optional=True)
JOINT = "+"  # between the headers of columns that make one


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """Where each of the task's columns stands in a header, and the names found there. Columns that the file lacks are not there.

    Args:
        parts: of a column that is made of several, `label=toxic+insult`, where each of them stands.
    """

    places: Mapping[str, int]
    names: tuple[str, ...]
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """The header of each column; of one that is made of several, all of them."""
        found = {name: self.names[place] for name, place in self.places.items()}
        return found | {name: JOINT.join(self.names[place] for place in places) for name, places in self.parts.items()}

    @property
    def wanted(self) -> list[str]:
        """The headers that are read, each once."""
        return [self.names[place] for place in dict.fromkeys([*self.places.values(), *(at for part in self.parts.values() for at in part)])]

    def fields(self, values: Mapping[str, object]) -> dict[str, object]:
        """The fields of a row by column, out of its values by header; headers that the row lacks are left out."""
        found = {name: values[self.names[at]] for name, at in self.places.items() if self.names[at] in values}
        for name, places in self.parts.items():
            found[name] = {self.names[at]: values.get(self.names[at]) for at in places}
        return found


def choose_columns(header: Sequence[str], task: Task, options: ReadOptions, *, file: str) -> ColumnChoice:
    """Each column: as named in the options, else the one called so, else the only one with an alias.

    Raises:
        InvalidInput: `column_not_found` or `column_ambiguous`, listing the columns found; `unknown_column` for an option that names none.
    """
    names = tuple(name.strip().lstrip("\ufeff") for name in header)
    columns = columns_of(task)
    asked = asked_headers(columns, options)
    places: dict[str, int] = {}
    parts: dict[str, tuple[int, ...]] = {}
    for column in columns:
        if column is GROUP and _place_of_group(names, asked, file) in places.values():
            continue  # the user calls a label so
        header = asked.get(column.name, "")
        if JOINT in header and header not in names:
            parts[column.name] = tuple(_find(names, column, part.strip(), file) for part in header.split(JOINT))
        elif header or _is_needed(names, column, columns, asked):
            places[column.name] = _find(names, column, header, file)
    if not places and not parts:  # all are optional, but a file must have one
        _find(names, columns[0], "", file)
    _check_apart(places, names, file)
    return ColumnChoice(places, names, parts)


def columns_of(task: Task) -> tuple[Column, ...]:
    """The task's own columns and, unless it has one of that name, `group`: what must not stand in two splits, for every task."""
    own = task.examples.columns
    return own if any(column.name == GROUP.name for column in own) else (*own, GROUP)


def _place_of_group(names: tuple[str, ...], asked: Mapping[str, str], file: str) -> int | None:
    return _find(names, GROUP, "", file) if GROUP.name not in asked and _has(names, GROUP) else None


def find_column(header: Sequence[str], column: Column, asked: str, *, file: str) -> int:
    """The place of one column: as asked for, else the one called so, else the only one with an alias. Raises as `choose_columns`."""
    return _find(tuple(name.strip().lstrip("\ufeff") for name in header), column, asked, file)


def asked_headers(columns: Sequence[Column], options: ReadOptions) -> dict[str, str]:
    """Headers by column name: `text` and `label` mean the first column of that kind. Raises InvalidInput (`unknown_column`)."""
    asked = options.headers()
    known = {column.name for column in columns}
    for name in asked:
        if name not in known:
            raise InvalidInput("unknown_column", column=shorten(name), choices=", ".join(column.name for column in columns))
    for kind, header in (("text", options.text), ("label", options.label)):
        column = next((column for column in columns if column.kind == kind), None)
        if header and column is None:
            raise InvalidInput("unknown_column", column=kind, choices=", ".join(column.name for column in columns))
        if header and column is not None:
            asked.setdefault(column.name, header)
    return asked


def _is_needed(names: tuple[str, ...], column: Column, columns: Sequence[Column], asked: Mapping[str, str]) -> bool:
    """Whether a column that no option names is looked for: always, but for optional ones, and those in whose stead another one stands."""
    if _has(names, column):
        other = next((item for item in columns if item.stand_in == column.name), None)
        return other is None or not (asked.get(other.name) or _has(names, other))  # it is there anyway: nothing stands in
    stand_in = next((item for item in columns if item.name == column.stand_in), None)
    if stand_in is not None and (asked.get(stand_in.name) or _has(names, stand_in)):
        return False
    return not column.is_optional


def _has(names: tuple[str, ...], column: Column) -> bool:
    folded = {name.casefold() for name in names}
    return column.name in folded or not folded.isdisjoint(column.aliases)


def _check_apart(places: Mapping[str, int], names: tuple[str, ...], file: str) -> None:
    seen: set[int] = set()
    for name, place in places.items():
        if place in seen:
            raise InvalidInput("column_ambiguous", file=file, column=name, columns=listing(names), candidates=_quote(names[place]))
        seen.add(place)


def _find(names: tuple[str, ...], column: Column, asked: str, file: str) -> int:
    folded = [name.casefold() for name in names]
    if asked:
        candidates = [index for index, name in enumerate(names) if name == asked.strip()]
        candidates = candidates or [index for index, name in enumerate(folded) if name == asked.strip().casefold()]
    else:
        candidates = [index for index, name in enumerate(folded) if name == column.name]
        candidates = candidates or [index for index, name in enumerate(folded) if name in column.aliases]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise InvalidInput("column_not_found", file=file, column=asked or column.name, kind=column.name, columns=listing(names))
    choices = ", ".join(_quote(names[index]) for index in candidates)
    raise InvalidInput("column_ambiguous", file=file, column=column.name, columns=listing(names), candidates=choices)


def listing(names: Sequence[str]) -> str:
    """The first names, cut where they are long."""
    shown = ", ".join(_quote(name) for name in names[:20])
    return shown + (f", … ({len(names)} in all)" if len(names) > 20 else "")


def _quote(name: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in name[:40])
    return f"“{printable}”"
