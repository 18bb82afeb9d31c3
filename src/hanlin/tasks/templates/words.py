"""What templates may do with texts: methods of `str`, and the filters that are made of them. Each pays for what it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hanlin.tasks.templates.budget import Budget
from hanlin.tasks.templates.traced import changed, joined, located, replaced, split, stripped

Run = Callable[..., Any]
_STEPS_A_PIECE = 8
_MAX_INDENT = 64
_MAX_STRIPPED = 64


def text_of(budget: Budget, value: Any) -> str:
    """A value as text. Raises TemplateProblemError for what has none."""
    from jinja2 import Undefined

    if isinstance(value, str):
        return value
    if isinstance(value, Undefined):
        return str(value)
    budget.weigh(value, is_plain=True)
    found = str(value)
    budget.make(len(found))
    return found


def _strip(budget: Budget, text: str, chars: str | None = None, *, left: bool = True, right: bool = True) -> str:
    if chars is not None and len(chars) > _MAX_STRIPPED:
        raise ValueError(f"strip of more than {_MAX_STRIPPED} characters")
    budget.make(len(text))
    return stripped(text, chars, left=left, right=right)


def _lstrip(budget: Budget, text: str, chars: str | None = None) -> str:
    return _strip(budget, text, chars, right=False)


def _rstrip(budget: Budget, text: str, chars: str | None = None) -> str:
    return _strip(budget, text, chars, left=False)


def _split(budget: Budget, text: str, sep: str | None = None, maxsplit: int = -1) -> list[str]:
    return _pieces(budget, text, sep, maxsplit, is_right=False)


def _rsplit(budget: Budget, text: str, sep: str | None = None, maxsplit: int = -1) -> list[str]:
    return _pieces(budget, text, sep, maxsplit, is_right=True)


def _pieces(budget: Budget, text: str, sep: str | None, most: int, *, is_right: bool) -> list[str]:
    budget.search(text, sep)
    bound = budget.steps // _STEPS_A_PIECE + 1
    pieces = split(text, sep, bound if most < 0 else min(most, bound), is_right=is_right)
    budget.spend(_STEPS_A_PIECE * len(pieces))
    return pieces


def _splitlines(budget: Budget, text: str) -> list[str]:
    budget.make(len(text))
    pieces = str.splitlines(text)
    budget.spend(_STEPS_A_PIECE * len(pieces))
    return located(text, pieces)


def replace(budget: Budget, text: str, old: str, new: str, count: int | None = None) -> str:
    """`str.replace`."""
    most = -1 if count is None else count
    budget.search(text, old)
    found = str.count(text, old)
    found = found if most < 0 else min(found, most)
    budget.spend(_STEPS_A_PIECE * found)
    budget.make(len(text) + found * max(0, len(new) - len(old)))
    return replaced(text, old, new, most)


def join(budget: Budget, between: str, pieces: Any) -> str:
    """`str.join`, of values that are no texts too."""
    kept = []
    size = 0
    for piece in pieces:
        kept.append(text_of(budget, piece))
        size += len(kept[-1]) + len(between)
        budget.make(len(kept[-1]))
    budget.make(size)
    return joined(kept, between)


def indent(budget: Budget, value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """Jinja's filter."""
    text = text_of(budget, value)
    before = width if isinstance(width, str) else " " * min(width, _MAX_INDENT + 1)
    if len(before) > _MAX_INDENT:
        raise ValueError(f"indent of more than {_MAX_INDENT}")
    lines = _splitlines(budget, joined((text, "\n")))
    budget.make(len(text) + len(lines) * len(before))
    is_moved = [first, *(bool(line) or blank for line in lines[1:])]
    return joined((joined((before, line)) if moves else line for line, moves in zip(lines, is_moved, strict=True)), "\n")


def _measured(method: Callable[..., Any]) -> Run:
    """A method that makes no text."""

    def run(budget: Budget, text: str, *args: Any) -> Any:
        budget.search(text, args[0] if args else None)
        return method(text, *args)

    return run


def cased(change: Callable[[str], str]) -> Run:
    """A change of case."""

    def run(budget: Budget, value: Any) -> str:
        text = text_of(budget, value)
        budget.make(4 * len(text))
        return changed(text, change)

    return run


def _removeprefix(budget: Budget, text: str, prefix: str) -> str:
    budget.make(len(text))
    return text[len(prefix) :] if str.startswith(text, prefix) else text


def _removesuffix(budget: Budget, text: str, suffix: str) -> str:
    budget.make(len(text))
    return text[: len(text) - len(suffix)] if suffix and str.endswith(text, suffix) else text


def trim(budget: Budget, value: Any, chars: str | None = None) -> str:
    """Jinja's filter."""
    return _strip(budget, text_of(budget, value), chars)


_MEASURING = ("startswith", "endswith", "find", "rfind", "index", "count", "isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower")
METHODS: dict[str, Run] = {
    "strip": _strip, "lstrip": _lstrip, "rstrip": _rstrip, "split": _split, "rsplit": _rsplit, "splitlines": _splitlines,
    "replace": replace, "join": join, "removeprefix": _removeprefix, "removesuffix": _removesuffix,
    "upper": cased(str.upper), "lower": cased(str.lower), "title": cased(str.title), "capitalize": cased(str.capitalize),
    **{name: _measured(getattr(str, name)) for name in _MEASURING},
}  # fmt: skip
