"""The filters, tests, methods of lists and mappings, and functions that templates may use: those of Jinja that cannot do harm, bounded.

Source: Jinja 3.1's built-in filters and tests; `tojson`, `raise_exception` and `strftime_now` as transformers has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from jinja2 import Undefined
from jinja2.filters import do_title
from jinja2.tests import TESTS as _JINJA_TESTS
from jinja2.utils import Namespace

from hanlin.tasks.templates.budget import CALL, Budget, TemplateProblemError, check_number
from hanlin.tasks.templates.traced import FRAME, Traced
from hanlin.tasks.templates.words import Run, cased, indent, join, replace, text_of, trim

_LAYOUT = 16  # characters of indent and separators in JSON
_CLOCK = re.compile(r"(?:%[a-zA-Z%]|[^%]){0,100}")
_MAX_DIGITS = 40
_MAX_PATH = 100  # characters of an attribute's name
TESTS: dict[str, Run] = {
    name: cast("Run", _JINJA_TESTS[name])
    for name in (
        "defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping", "sequence",
        "iterable", "sameas", "==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", ">=", "ge", "<", "lt", "lessthan",
        "<=", "le", "in",
    )
} | {
    "even": lambda value: isinstance(value, int) and value % 2 == 0, "odd": lambda value: isinstance(value, int) and value % 2 == 1,
}  # fmt: skip  # of a text, Jinja's own would be its formatting
DEEP_TESTS = TESTS.keys() & {
    "==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", ">=", "ge", "<", "lt", "lessthan", "<=", "le", "in",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Function:
    """What a template may call: something of ours, or a method that is bound to its value."""

    run: Run
    owner: tuple[object, ...] = ()


def _fetched(budget: Budget, items: Sequence[Any], path: object) -> list[Any]:
    """Of each a field, or a field of fields in it, as Jinja's `attribute` names them; without a name, each itself."""
    if path is None:
        return [*items]
    if not isinstance(path, int) and not (isinstance(path, str) and len(path) <= _MAX_PATH):
        raise TemplateProblemError("chat_template_failed", "an attribute that is no short name")
    names = [path] if isinstance(path, int) else [int(name) if name.isdecimal() else name for name in path.split(".")]
    budget.spend((1 + len(names)) * len(items))
    return [_fetch(item, names) for item in items]


def _fetch(item: Any, names: Sequence[str | int]) -> Any:
    for name in names:
        try:
            item = item[name]
        except (LookupError, TypeError):
            return Undefined(obj=item, name=str(name))
    return item


def _listed(budget: Budget, value: Any) -> list[Any]:
    budget.spend(1 + (len(value) if hasattr(value, "__len__") else 0))
    return list(value)


def _items(budget: Budget, value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Undefined):
        return []
    if not isinstance(value, Mapping):
        raise TypeError("items of no mapping")
    budget.spend(4 * len(value))
    return list(value.items())


def _default(_: Budget, value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if isinstance(value, Undefined) or (boolean and not value) else value


def _first(_: Budget, value: Any) -> Any:
    return next(iter(value), Undefined("nothing is first of nothing"))


def _last(_: Budget, value: Any) -> Any:
    return value[-1] if isinstance(value, Sequence) and value else next(reversed(value), Undefined("nothing is last of nothing"))


def _reversed(budget: Budget, value: Any) -> Any:
    if isinstance(value, str):
        budget.make(len(value))
        return value[::-1]
    return _listed(budget, value)[::-1]


def _joined(budget: Budget, value: Any, d: str = "", attribute: str | int | None = None) -> str:
    return join(budget, text_of(budget, d), _fetched(budget, _listed(budget, value), attribute))


def _map(budget: Budget, value: Any, *args: Any, attribute: str | int | None = None, default: Any = None) -> list[Any]:
    items = _listed(budget, value)
    if attribute is not None:
        found = _fetched(budget, items, attribute)
        return [default if default is not None and isinstance(each, Undefined) else each for each in found]
    name, rest = args[0], args[1:]
    run = _known(FILTERS, name)
    budget.spend(CALL * len(items))
    return [run(budget, item, *rest) for item in items]


def _chosen(*, is_kept: bool, has_field: bool) -> Run:
    def run(budget: Budget, value: Any, *args: Any) -> list[Any]:
        field, rest = (args[0], args[1:]) if has_field else (None, args)
        test = _known(TESTS, rest[0]) if rest else bool
        found = []
        items = _listed(budget, value)
        for item, one in zip(items, _fetched(budget, items, field), strict=True):
            budget.spend(CALL)
            if test is not bool:
                budget.weigh([one, *rest[1:]])
            if bool(test(one, *rest[1:])) is is_kept:
                found.append(item)
        return found

    return run


def _known(table: Mapping[str, Callable[..., Any]], name: object) -> Callable[..., Any]:
    if not isinstance(name, str) or name not in table:
        raise TemplateProblemError("chat_template_failed", f"{name if isinstance(name, str) else type(name).__name__:.60} is not known")
    return table[name]


def _key(value: Any, *, is_exact: bool) -> Any:
    return value.lower() if isinstance(value, str) and not is_exact else value


def _sorted(
    budget: Budget, value: Any, reverse: bool = False, case_sensitive: bool = False, attribute: str | int | None = None
) -> list[Any]:  # fmt: skip
    items = _listed(budget, value)
    keys = [_key(key, is_exact=case_sensitive) for key in _fetched(budget, items, attribute)]
    for _ in range(1 + len(items).bit_length()):  # so often each is compared
        budget.weigh(keys)
    order = sorted(range(len(items)), key=keys.__getitem__, reverse=bool(reverse))
    return [items[place] for place in order]


def _dictsort(budget: Budget, value: Any, case_sensitive: bool = False, by: str = "key", reverse: bool = False) -> list[Any]:
    place = {"key": 0, "value": 1}[by]
    return _sorted(budget, _items(budget, value), reverse, case_sensitive, place)


def _integer(budget: Budget, value: Any, default: int = 0) -> int:
    budget.weigh(value)
    if isinstance(value, str) and len(value) > _MAX_DIGITS:
        return default
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        return default
    check_number(found)
    return found


def _float(budget: Budget, value: Any, default: float = 0.0) -> float:
    budget.weigh(value)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _json(  # noqa: PLR0917 - as transformers has it
    budget: Budget, value: Any, ensure_ascii: bool = False, indent: int | str | None = None, separators: Any = None, sort_keys: bool = False
) -> str:  # fmt: skip
    """As transformers writes it, a piece at a time: depth times indent is more than what was weighed."""
    budget.weigh(value, is_plain=True)
    layout = [*(separators or ()), " " * indent if isinstance(indent, int) and 0 <= indent <= _LAYOUT else indent or ""]
    if any(not isinstance(each, str) or len(each) > _LAYOUT for each in layout):
        raise ValueError("layout of JSON")
    if indent is None and not separators and not ensure_ascii:
        found = json.dumps(value, ensure_ascii=False, sort_keys=bool(sort_keys))
        budget.make(len(found))
        return Traced.of(found, _code_in(value))
    pieces, size = [], 0
    encoder = json.JSONEncoder(ensure_ascii=bool(ensure_ascii), indent=indent, separators=separators, sort_keys=bool(sort_keys))
    for piece in encoder.iterencode(value):
        budget.make(len(piece))
        size += len(piece)
        pieces.append(piece)
    budget.make(size)
    return Traced.of("".join(pieces), _code_in(value))


def _code_in(value: Any) -> int:
    """Of the answer that a value holds, or `WORDS`."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Traced) and one and one.origin[0] > FRAME:
            return one.origin[0]
        if isinstance(one, Mapping):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
    return 0


def _range(budget: Budget, *bounds: int) -> range:
    for bound in bounds:
        check_number(bound)
    found = range(*bounds)
    budget.spend(1 + (found[-1] - found[0]) // found.step if found else 1)
    return found


def _namespace(budget: Budget, *args: Mapping[str, Any], **fields: Any) -> Namespace:
    for each in args:
        budget.spend(1 + len(each))
    made = dict(*args, **fields)
    if any(not isinstance(name, str) or name.startswith("_") for name in made):
        raise TypeError("a name that begins with _")
    budget.spend(4 * len(made))
    return Namespace(made)


def _dict(budget: Budget, *args: Any, **fields: Any) -> dict[Any, Any]:
    for each in args:
        budget.weigh(each)
    found = dict(*args, **fields)
    budget.weigh(found)
    return found


def _raise(budget: Budget, message: Any = "") -> Any:
    raise TemplateProblemError("chat_template_refused", text_of(budget, message))


def _now(budget: Budget, form: str) -> str:
    if not _CLOCK.fullmatch(form):
        raise ValueError("form of a time")
    return budget.now.strftime(form)


def _keys(budget: Budget, value: dict[Any, Any]) -> list[Any]:
    return _listed(budget, value)


def _values(budget: Budget, value: dict[Any, Any]) -> list[Any]:
    budget.spend(1 + len(value))
    return list(value.values())


def _get(_: Budget, value: dict[Any, Any], key: Any, default: Any = None) -> Any:
    return value.get(key, default) if isinstance(key, str | int) else default


DICT_METHODS: dict[str, Run] = {"items": _items, "keys": _keys, "values": _values, "get": _get}
FUNCTIONS: dict[str, Function] = {
    "range": Function(_range), "namespace": Function(_namespace), "dict": Function(_dict), "raise_exception": Function(_raise),
    "strftime_now": Function(_now),
}  # fmt: skip
FILTERS: dict[str, Run] = {
    "trim": trim, "upper": cased(str.upper), "lower": cased(str.lower), "capitalize": cased(str.capitalize), "title": cased(do_title),
    "replace": lambda budget, value, *args: replace(budget, text_of(budget, value), *args), "indent": indent, "string": text_of,
    "join": _joined, "length": lambda _, value: len(value), "count": lambda _, value: len(value), "first": _first, "last": _last,
    "list": _listed, "items": _items, "default": _default, "d": _default, "reverse": _reversed, "map": _map,
    "select": _chosen(is_kept=True, has_field=False), "reject": _chosen(is_kept=False, has_field=False),
    "selectattr": _chosen(is_kept=True, has_field=True), "rejectattr": _chosen(is_kept=False, has_field=True),
    "sort": _sorted, "dictsort": _dictsort, "int": _integer, "float": _float, "abs": lambda _, value: abs(value),
    "safe": lambda _, value: value, "tojson": cast("Run", _json),
}  # fmt: skip
