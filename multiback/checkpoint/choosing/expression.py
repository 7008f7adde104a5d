"""Arithmetic over log names, evaluated without `eval`.

A name that is not a Python identifier stands in backticks: "`val/f1` * 2". One element
of an array is indexed: "val_recall[1]". NaN stays NaN, also in comparisons, `max` and
`min`. Numbers that differ by at most four roundings of float32, in which metrics are
computed, are equal: a precision of 9 of 10 is 0.89999998, and for that
"val_precision >= 0.9" holds.
"""

import ast
import contextlib
import functools
import itertools
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from multiback.checkpoint.choosing.direction import Mode
from multiback.checkpoint.choosing.log_values import element
from multiback.checkpoint.choosing.names import Read
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
# Four roundings of float32, as in the metrics that choose a threshold.
_EQUAL_WITHIN = 2.0**-22


def _are_equal(left: float, right: float) -> bool:
    """Say whether two numbers are equal; whole ones, such as steps, are exact."""
    if float(left).is_integer() and float(right).is_integer():
        return left == right
    return math.isclose(left, right, rel_tol=_EQUAL_WITHIN)


_COMPARE: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Lt: lambda left, right: left < right and not _are_equal(left, right),
    ast.LtE: lambda left, right: left <= right or _are_equal(left, right),
    ast.Gt: lambda left, right: left > right and not _are_equal(left, right),
    ast.GtE: lambda left, right: left >= right or _are_equal(left, right),
    ast.Eq: _are_equal,
    ast.NotEq: lambda left, right: not _are_equal(left, right),
}
_ONE: Mapping[str, Callable[[float], float]] = {
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
}
_SEVERAL: Mapping[str, Callable[..., float]] = {"max": max, "min": min}
_QUOTED = re.compile(r"`([^`]+)`")
# No real monitor is longer or deeper; the limits protect Python's parser and stack.
_LONGEST = 1000
_DEEPEST = 50


class _NoAnswerError(ArithmeticError):
    """A NaN was read, so there is no answer."""


class Expression:
    """A parsed expression: which names it needs, and its value for some.

    Args:
        text: Numbers, names, elements such as `val_recall[1]`, `+ - * / **`,
            comparisons, `and or not`, parentheses, and abs, exp, log, max, min, sqrt.

    Attributes:
        text: The text it was parsed from.
        reads: The log names that it reads, each with the index of its element.
        names: The log names.

    Raises:
        ArgumentError: The text is not such an expression.

    Examples:
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
            self.reads = frozenset(self._check(self._tree, _DEEPEST))
            self.names = frozenset(name for name, _ in self.reads)
            if not self.names:
                raise ValueError("it reads no name")  # noqa: TRY301 - as the parser does
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ArgumentError(
                f"{text!r:.300} is neither a log name nor an expression of log names: "
                f"{error}. Wanted names, numbers, elements such as val_recall[1], "
                f"+ - * / **, comparisons, and, or, not, and "
                f"{', '.join((*_ONE, *_SEVERAL))}."
            ) from error

    def _unquote(self, match: re.Match[str]) -> str:
        stand_in = f"_quoted_{len(self._quoted)}_"
        while stand_in in match.string:
            stand_in += "_"
        self._quoted[stand_in] = match[1]
        return stand_in

    def _check(self, node: ast.AST, deepest: int) -> list[Read]:
        """Return what a node reads; raise for anything that is not allowed."""
        if not deepest:
            raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
        match node:
            case ast.Constant(value=bool() | int() | float()):
                return []
            case ast.Name() | ast.Subscript():
                return [self._read(node)]
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
        return [read for child in children for read in self._check(child, deepest - 1)]

    def _read(self, node: ast.AST) -> Read:
        """Return the name and the index of a node."""
        match node:
            case ast.Name(id=name):
                return self._quoted.get(name, name), ()
            case ast.Subscript(
                value=ast.Name() | ast.Subscript() as inner, slice=index
            ):
                name, before = self._read(inner)  # `x[1][2]` is `x[1,2]`.
                parts = index.elts if isinstance(index, ast.Tuple) else [index]
                with contextlib.suppress(ValueError):
                    numbers = tuple(ast.literal_eval(part) for part in parts)
                    if numbers and all(type(number) is int for number in numbers):
                        return name, (*before, *numbers)
        raise ValueError(
            f"{ast.unparse(node)!r} is not allowed: an index is a whole number"
        )

    @property
    def single(self) -> Read | None:
        """The name and the index, if the expression is a single element."""
        if isinstance(self._tree, ast.Name):
            # Not the tree's own: Python's parser changes some letters (NFKC).
            return self._quoted.get(self._tree.id, self.text.strip(" ()")), ()
        return self._read(self._tree) if isinstance(self._tree, ast.Subscript) else None

    def direction(self, of_name: Callable[[str], Mode | None]) -> Mode | None:
        """Return which way is better, or None where that depends on the values.

        A sum of terms that are better when higher is better when higher. Factors and
        divisors must be constants. `of_name` says which way is better by a log name.
        """
        sign = self._sign(self._tree, of_name)
        return None if not sign else "max" if sign > 0 else "min"

    def _sign(self, node: ast.AST, of_name: Callable[[str], Mode | None]) -> float:
        """Return 1 where more is better, -1 where less is, 0 if unknown."""
        sign = functools.partial(self._sign, of_name=of_name)
        found = 0.0
        match node:
            case ast.Name() | ast.Subscript():
                mode = of_name(self._read(node)[0])
                found = 0.0 if mode is None else 1.0 if mode == "max" else -1.0
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
                found = -sign(operand) if isinstance(op, ast.USub) else sign(operand)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                turned = -1.0 if isinstance(op, ast.Sub) else 1.0
                terms = [(left, 1.0), (right, turned)]
                found = _common([f * sign(n) for n, f in terms if _constant(n) is None])
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                if factor := _constant(left):
                    found = math.copysign(1.0, factor) * sign(right)
                elif factor := _constant(right):
                    found = math.copysign(1.0, factor) * sign(left)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                if factor := _constant(right):
                    found = math.copysign(1.0, factor) * sign(left)
            case ast.Call(func=ast.Name(id=name), args=args) if name != "abs":
                found = _common([sign(one) for one in args if _constant(one) is None])
        return found

    def __call__(self, values: Mapping[str, Any]) -> float:
        """Evaluate for values by name; NaN where the arithmetic has no answer."""
        try:
            return float(self._value(self._tree, values))
        except (ArithmeticError, ValueError):
            return math.nan

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Evaluate as a condition; without an answer it does not hold."""
        value = self(values)
        return not math.isnan(value) and bool(value)

    def _value(self, node: Any, values: Mapping[str, Any]) -> Any:
        value = functools.partial(self._value, values=values)
        result: Any
        match node:
            case ast.Constant():
                result = node.value
            case ast.Name() | ast.Subscript():
                name, index = self._read(node)
                result = element(values[name], index)
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


def _constant(node: ast.AST) -> float | None:
    """Return a node's number, with its sign; None for anything else."""
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1.0
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return sign * float(node.value)
    return None


def _common(signs: list[float]) -> float:
    """Return the sign that all share, or 0."""
    return signs[0] if signs and len(set(signs)) == 1 else 0.0
