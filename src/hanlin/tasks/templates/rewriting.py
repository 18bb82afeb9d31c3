"""A template's tree before it is compiled: parts that are not allowed are refused, all that costs is made to pay.

Every text of the template's own becomes a number of `Budget.frames`; turns of loops and calls of macros pay for their whole bodies, so that
what is not watched one by one is bounded by the source.
"""

from __future__ import annotations

from typing import Any, cast

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from hanlin.tasks.templates.budget import TemplateProblemError, check_number
from hanlin.tasks.templates.filters import DEEP_TESTS, FILTERS, TESTS
from hanlin.tasks.templates.traced import FRAME, Traced

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Assign, nodes.AssignBlock, nodes.Macro, nodes.Break,
    nodes.Continue, nodes.Name, nodes.NSRef, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr,
    nodes.Filter, nodes.Test, nodes.Call, nodes.Getitem, nodes.Getattr, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.And,
    nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow,
)  # fmt: skip
_NO_NAMES = frozenset({"self", "super", "caller", "varargs", "kwargs", "lipsum", "cycler", "joiner"})
_TURN = 6
_MAX_DEPTH = 12  # of loops within loops
# Filters that only the rewritten tree knows; the names cannot be written in a template.
_OWN = ("frame", "say", "link", "make", "slice", "weigh", "turn", "search")
FRAMED, SAID, LINKED, MADE, SLICED, WEIGHED, TURNED, SEARCHED = (f"!{name}" for name in _OWN)


class Rewriter(NodeTransformer):
    """Rewrites one tree; `frames` are its texts afterwards.

    Raises:
        TemplateProblemError: `chat_template_failed`, naming the part that is not allowed.
    """

    def __init__(self) -> None:
        self.frames: list[Traced] = []
        self._depth = 0

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """Check one node, then rewrite it."""
        if type(node) not in _ALLOWED:
            raise _refused(type(node).__name__)
        if isinstance(node, nodes.Name | nodes.Macro) and node.name in _NO_NAMES:
            raise _refused(node.name)
        if isinstance(node, nodes.Getattr | nodes.NSRef) and node.attr.startswith("_"):
            raise _refused(node.attr)
        if getattr(node, "dyn_args", None) is not None or getattr(node, "dyn_kwargs", None) is not None:
            raise _refused("*")
        return super().visit(node, *args, **kwargs)

    def _frame(self, text: str) -> nodes.Expr:
        self.frames.append(Traced.of(text, FRAME))
        return _through(nodes.Const(len(self.frames) - 1), FRAMED)

    def visit_Const(self, node: nodes.Const) -> nodes.Expr:  # noqa: N802 - names of the base, here and below
        """A text of the template's own, or a number."""
        check_number(node.value)
        return self._frame(node.value) if isinstance(node.value, str) else node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802
        """What is written pays for its size."""
        found = [self._frame(each.data) if isinstance(each, nodes.TemplateData) else self.visit(each) for each in node.nodes]
        node.nodes = [_through(each, SAID) for each in found]
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802
        """`~` goes through us."""
        return _through(nodes.List(cast("nodes.Concat", self.generic_visit(node)).nodes), LINKED)

    def _container(self, node: Any) -> nodes.Expr:
        self.generic_visit(node)
        return cast("nodes.Expr", node) if getattr(node, "ctx", "load") != "load" else _through(node, MADE)

    visit_List = visit_Dict = visit_Tuple = _container  # noqa: N815

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802
        """Slices go through us; single items do anyway."""
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        bounds = [bound or nodes.Const(None) for bound in (node.arg.start, node.arg.stop, node.arg.step)]
        return _through(node.node, SLICED, *bounds)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        """Each turn pays, and so does each question whether there is a turn."""
        if node.recursive:
            raise _refused("recursive")
        toll = self._toll(node)
        node.body.insert(0, nodes.Output([toll]))
        if node.test is not None:
            node.test = nodes.Or(toll, node.test)
        return node

    def _toll(self, node: nodes.Node) -> nodes.Expr:
        """What a turn or a call costs, when the whole body is rewritten."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise TemplateProblemError("chat_template_too_costly")
        self.generic_visit(node)
        self._depth -= 1
        return _through(nodes.Const(_TURN + sum(1 for _ in node.find_all(nodes.Node))), TURNED)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        """Each call pays."""
        node.body.insert(0, nodes.Output([self._toll(node)]))
        return node

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:  # noqa: N802
        """A block that is kept as text."""
        if node.filter is not None:
            raise _refused("set |")
        return self.generic_visit(node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        """What is compared pays for all that it holds."""
        self.generic_visit(node)
        node.expr = _weighed(node.expr)
        for operand in node.ops:
            operand.expr = _through(operand.expr, SEARCHED) if operand.op in ("in", "notin") else _weighed(operand.expr)
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        """Only what is known."""
        if node.name not in FILTERS or node.node is None:
            raise _refused(f"|{node.name}")
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        """Only what is known."""
        if node.name not in TESTS:
            raise _refused(f"is {node.name}")
        self.generic_visit(node)
        if node.name in DEEP_TESTS:
            node.node = _weighed(node.node)
            node.args = [_weighed(each) for each in node.args]
        return node


def _through(node: nodes.Expr, name: str, *args: nodes.Expr) -> nodes.Expr:
    return nodes.Filter(node, name, [*args], [], None, None)


def _weighed(node: nodes.Expr) -> nodes.Expr:
    is_small = isinstance(node, nodes.Const) or (isinstance(node, nodes.Filter) and node.name == FRAMED)
    return node if is_small else _through(node, WEIGHED)


def _refused(what: str) -> TemplateProblemError:
    return TemplateProblemError("chat_template_failed", f"{what:.60} is not allowed")
