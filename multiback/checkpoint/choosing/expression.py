"""Arithmetic over log names, evaluated without `eval`.

A name that is no Python identifier stands in backticks: "`val/f1` * 2".
NaN goes through: no comparison, `max` or `min` makes a number of it.
"""

import ast
import functools
import itertools
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from multiback.errors import ArgumentError

_BINARY: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}
_UNARY: Mapping[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_COMPARE: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ONE: Mapping[str, Callable[[float], float]] = {
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
}
_SEVERAL: Mapping[str, Callable[..., float]] = {"max": max, "min": min}
_QUOTED = re.compile(r"`([^`]+)`")
# Nobody's monitor is longer or deeper; the limits keep Python's parser and stack safe.
_LONGEST = 1000
_DEEPEST = 50


class _NoAnswerError(ArithmeticError):
    """A NaN came in, so there is no answer."""


class Expression:
    """A parsed expression: which names it needs, and its value for some.

    Args:
        text: Numbers, names, `+ - * / **`, comparisons, `and or not`,
            parentheses, and abs, exp, log, max, min, sqrt.

    Attributes:
        text: The text it was parsed from.
        names: The log names that it reads.

    Raises:
        ArgumentError: The text is no such expression.

    Example:
    >>> f1 = Expression("2 * p * r / (p + r)")
    >>> sorted(f1.names), f1({"p": 0.5, "r": 1.0})
    (['p', 'r'], 0.6666666666666666)
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._quoted: dict[str, str] = {}
        try:
            if len(text) > _LONGEST:
                raise ValueError(f"it has more than {_LONGEST} characters")  # noqa: TRY301 - as the parser does
            self._tree = ast.parse(
                _QUOTED.sub(self._unquote, text).strip(), mode="eval"
            ).body
            self.names = frozenset(self._check(self._tree, _DEEPEST))
            if not self.names:
                raise ValueError("it reads no name")  # noqa: TRY301 - as the parser does
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ArgumentError(
                f"{text!r:.300} is neither a log name nor an expression of log names: "
                f"{error}. Wanted names, numbers, + - * / **, comparisons, and, or, "
                f"not, and {', '.join((*_ONE, *_SEVERAL))}."
            ) from error

    def _unquote(self, match: re.Match[str]) -> str:
        stand_in = f"_quoted_{len(self._quoted)}_"
        while stand_in in match.string:
            stand_in += "_"
        self._quoted[stand_in] = match[1]
        return stand_in

    def _check(self, node: ast.AST, deepest: int) -> list[str]:
        """Return the names below a node; raise on anything that is not allowed."""
        if not deepest:
            raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
        match node:
            case ast.Constant(value=bool() | int() | float()):
                return []
            case ast.Name(id=name):
                return [self._quoted.get(name, name)]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                children = [left, right]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                children = [operand]
            case ast.BoolOp(values=values):
                children = list(values)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(
                type(op) in _COMPARE for op in ops
            ):
                children = [left, *others]
            case ast.Call(func=ast.Name(id=name), args=[one], keywords=[]) if (
                name in _ONE
            ):
                children = [one]
            case ast.Call(func=ast.Name(id=name), args=[_, _, *_], keywords=[]) if (
                name in _SEVERAL
            ):
                children = list(node.args)
            case _:
                raise ValueError(f"{ast.unparse(node)!r} is not allowed")
        return [name for child in children for name in self._check(child, deepest - 1)]

    @property
    def single(self) -> str | None:
        """The name, where the expression is nothing but one."""
        if not isinstance(self._tree, ast.Name):
            return None
        # Not the tree's own: Python's parser changes some letters (NFKC).
        return self._quoted.get(self._tree.id, self.text.strip(" ()"))

    def __call__(self, values: Mapping[str, float]) -> float:
        """Evaluate for values by name; NaN where the arithmetic has no answer."""
        try:
            return float(self._value(self._tree, values))
        except (ArithmeticError, ValueError):
            return math.nan

    def holds(self, values: Mapping[str, float]) -> bool:
        """Evaluate as a condition; what has no answer does not hold."""
        value = self(values)
        return not math.isnan(value) and bool(value)

    def _value(self, node: Any, values: Mapping[str, float]) -> Any:
        value = functools.partial(self._value, values=values)
        result: Any
        match node:
            case ast.Constant():
                result = node.value
            case ast.Name(id=name):
                result = float(values[self._quoted.get(name, name)])
            case ast.BinOp():
                result = _BINARY[type(node.op)](value(node.left), value(node.right))
            case ast.UnaryOp():
                result = _UNARY[type(node.op)](value(node.operand))
            case ast.BoolOp():
                parts = [value(child) for child in node.values]
                result = all(parts) if isinstance(node.op, ast.And) else any(parts)
            case ast.Call(func=ast.Name(id=name)):
                result = {**_ONE, **_SEVERAL}[name](*map(value, node.args))
            case ast.Compare():
                operands = [value(child) for child in (node.left, *node.comparators)]
                result = all(
                    _COMPARE[type(op)](left, right)
                    for op, (left, right) in zip(
                        node.ops, itertools.pairwise(operands), strict=True
                    )
                )
        if math.isnan(result):
            raise _NoAnswerError
        return result
