"""A model's chat template as a program: Jinja's immutable sandbox, narrowed to what templates need and bounded in all that it does.

A template is a stranger's program. It sees messages, tools, two marks and a clock, nothing of this process; it makes texts, lists and
mappings, each paid for (`budget.py`); whatever is not on a list of ours is refused before it runs (`rewriting.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes, pass_context
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from hanlin.tasks.chat_form import MAX_TEMPLATE_BYTES
from hanlin.tasks.templates import rewriting
from hanlin.tasks.templates.budget import CALL, Budget, TemplateProblemError, check_number
from hanlin.tasks.templates.filters import DICT_METHODS, FILTERS, FUNCTIONS, TESTS, Function
from hanlin.tasks.templates.rewriting import Rewriter
from hanlin.tasks.templates.traced import Traced, joined
from hanlin.tasks.templates.words import METHODS, Run, text_of

_BUDGET = "!budget"  # no name that a template can write
_COMPILED = ("_loop_vars", "_block_vars")  # of Jinja's compiler, beside the arguments of a call
_MAX_POWER = 64
_SEARCHES = 4  # a text in which another is sought pays so often
_LOOP = frozenset({
    "index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem", "depth", "depth0",
})  # fmt: skip
_BOUND = 2**40  # of slices


class _Generation(Extension):
    """`{% generation %}` around what the assistant says: transformers learns by it, here it says nothing."""

    tags = {"generation"}  # noqa: RUF012 - as the base has it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)
    concat = staticmethod(joined)  # texts that are captured keep their origins

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._find(obj, attribute, is_item=False)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self._find(obj, argument, is_item=True)

    def _find(self, obj: Any, name: Any, *, is_item: bool) -> Any:
        """A field, an item, or a method of ours; nothing else of any object can be reached."""
        if isinstance(obj, jinja2.Undefined):
            return obj[name]  # says what is missing
        method = _method(obj, name)
        if method is not None and not (is_item and isinstance(obj, dict) and name in obj):
            return method
        if isinstance(obj, LoopContext):
            return getattr(obj, name) if name in _LOOP else self.undefined(obj=obj, name=name)
        if isinstance(obj, Namespace):
            is_field = isinstance(name, str) and not name.startswith("_")
            return getattr(obj, name, self.undefined(obj=obj, name=name)) if is_field else self.undefined(obj=obj, name=str(name))
        is_known = isinstance(obj, dict) or (isinstance(obj, str | list | tuple | range) and isinstance(name, int))
        if is_known and isinstance(name, str | int):
            try:
                return obj[name]
            except LookupError:
                pass
        return self.undefined(obj=obj, name=name if isinstance(name, str) else "item")

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as the base has it
        budget = _budget(__context)
        budget.spend(CALL)
        for name in _COMPILED:
            kwargs.pop(name, None)
        if isinstance(__obj, Function):
            return __obj.run(budget, *__obj.owner, *args, **kwargs)
        if isinstance(__obj, Macro):
            budget.enter()
            said = __obj(*args, **kwargs)
            budget.depth -= 1
            return said
        if isinstance(__obj, jinja2.Undefined):
            return __obj()
        raise TemplateProblemError("chat_template_failed", f"{type(__obj).__name__} is not callable")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        budget = _budget(context)
        for each in (left, right):
            check_number(each)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            budget.make(len(left) + len(right))
            return joined((left, right))
        if operator == "+" and isinstance(left, list | tuple) and type(left) is type(right):
            budget.weigh([left, right])
            return super().call_binop(context, operator, left, right)
        if operator == "*" and not all(isinstance(each, int | float) for each in (left, right)):
            return _repeated(budget, left, right)
        for each in (left, right):
            if not isinstance(each, int | float | jinja2.Undefined):
                raise TypeError(f"{operator} of {type(each).__name__}")
        if operator == "**" and isinstance(right, int) and abs(right) > _MAX_POWER:
            raise TemplateProblemError("chat_template_too_costly")
        found = super().call_binop(context, operator, left, right)
        check_number(found)
        return found


def _method(obj: object, name: object) -> Function | None:
    table: Mapping[str, Run] = METHODS if isinstance(obj, str) else DICT_METHODS if isinstance(obj, dict) else {}
    return Function(table[name], (obj,)) if isinstance(name, str) and name in table else None


def _budget(context: Context) -> Budget:
    found = context.parent[_BUDGET]
    assert isinstance(found, Budget), "put there by `run`"
    return found


def _repeated(budget: Budget, left: Any, right: Any) -> Any:
    value, count = (left, right) if isinstance(right, int) else (right, left)
    if not isinstance(count, int) or not isinstance(value, str | list | tuple):
        raise TypeError("* of what is no number")
    count = max(0, count)
    if isinstance(value, str):
        budget.make(len(value) * count)
        return Traced(str.__mul__(value, count), value.origin * count) if isinstance(value, Traced) else value * count
    budget.spend(len(value) * count)
    found = value * count
    budget.weigh(found)
    return found


def _sliced(budget: Budget, value: Any, *bounds: int | None) -> Any:
    if isinstance(value, jinja2.Undefined):
        return value[0]  # says what is missing
    if not isinstance(value, str | list | tuple | range) or any(not isinstance(each, int | None) for each in bounds):
        raise TypeError("a slice of what has none")
    kept = slice(*(each if each is None else max(-_BOUND, min(_BOUND, each)) for each in bounds))
    if isinstance(value, str):
        budget.make(len(value))
    else:
        budget.spend(1 + len(value))
    return value[kept]


def _said(budget: Budget, value: Any) -> str:
    found = text_of(budget, value)
    budget.make(len(found))
    return found


def _made(budget: Budget, value: Any) -> Any:
    budget.weigh(value)
    return value


def _searched(budget: Budget, value: Any) -> Any:
    for _ in range(_SEARCHES if isinstance(value, str) else 1):
        budget.weigh(value)
    return value


def _turned(budget: Budget, steps: int) -> str:
    budget.spend(steps)
    return ""


def _linked(budget: Budget, values: list[Any]) -> str:
    texts = [text_of(budget, value) for value in values]
    budget.make(sum(map(len, texts)))
    return joined(texts)


def _paying(run: Run) -> Run:
    """A filter of Jinja's of one that pays. It is given the context: so it is never run when a template is compiled."""

    @pass_context
    def filtered(context: Context, *args: Any, **kwargs: Any) -> Any:
        budget = _budget(context)
        budget.spend(CALL)
        return run(budget, *args, **kwargs)

    return filtered


@pass_context
def _framed(context: Context, number: int) -> Traced:
    return _budget(context).frames[number]


def _environment() -> _Environment:
    made = _Environment(trim_blocks=True, lstrip_blocks=True, optimized=False, extensions=[_Generation, loopcontrols], cache_size=0)
    own: dict[str, Run] = {
        rewriting.SAID: _said, rewriting.LINKED: _linked, rewriting.MADE: _made, rewriting.SLICED: _sliced, rewriting.WEIGHED: _made,
        rewriting.TURNED: _turned, rewriting.SEARCHED: _searched,
    }  # fmt: skip
    made.filters = {name: _paying(run) for name, run in {**FILTERS, **own}.items()} | {rewriting.FRAMED: _framed}
    made.tests = dict(TESTS)
    made.globals = {}
    return made


@dataclass(frozen=True, slots=True)
class Program:
    """A template that may run, on any thread.

    Attributes:
        frames: its own texts, by the numbers that stand for them in `template`.
    """

    template: jinja2.Template
    frames: tuple[Traced, ...]

    def run(self, values: Mapping[str, object], *, now: datetime, messages: int, tools: int, size: int) -> Traced:
        """What it writes of these values.

        Args:
            now: what its clock shows.
            messages, tools, size: how many it is given, and the characters in them: they widen the bounds.

        Raises:
            TemplateProblemError: `chat_template_refused` by itself, `chat_template_failed`, `chat_template_too_costly`.
        """
        budget = Budget.of(self.frames, now, messages=messages, tools=tools, size=size)
        context = self.template.new_context({**FUNCTIONS, **values, _BUDGET: budget}, shared=True)
        with _told():
            return joined([*self.template.root_render_func(context)])


@contextmanager
def _told() -> Iterator[None]:
    """What a template does wrong as a problem of ours."""
    try:
        yield
    except RecursionError as error:
        raise TemplateProblemError("chat_template_too_costly") from error
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, SyntaxError, MemoryError) as error:
        raise TemplateProblemError("chat_template_failed", str(error)) from error


def compiled(source: str) -> Program:
    """The program of a source, kept for the next talk.

    Raises:
        TemplateProblemError: `chat_template_failed`, naming what is not allowed; `chat_template_too_costly` for one that is too long.
    """
    found = _compiled(source)
    if isinstance(found, TemplateProblemError):
        raise TemplateProblemError(found.code, found.problem) from found
    return found


@lru_cache(maxsize=64)
def _compiled(source: str) -> Program | TemplateProblemError:
    """What is wrong is kept too: to find it may take longer than a run."""
    try:
        return _compile(source)
    except TemplateProblemError as error:
        return error.with_traceback(None)


def _compile(source: str) -> Program:
    if len(source.encode("utf-8", "replace")) > MAX_TEMPLATE_BYTES:
        raise TemplateProblemError("chat_template_too_costly")
    environment, rewriter = _environment(), Rewriter()
    with _told():
        tree = rewriter.visit(environment.parse(source))
        tree.set_lineno(1)
        tree.set_environment(environment)
        code = environment.compile(tree)
        return Program(jinja2.Template.from_code(environment, code, {}), tuple(rewriter.frames))
