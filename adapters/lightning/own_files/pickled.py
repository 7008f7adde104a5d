"""A pickle read as data: nothing in it is ever imported or called.

`torch.save` writes a pickle, and unpickling may run any code of its author. Only
numbers, texts, dictionaries and the shapes of tensors are needed, so this file carries
out its few operations: a class is a name, its objects are `OPAQUE`, and each operation
makes at most one small object. The number of operations is limited.
"""

import itertools
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Sixteen thousand parameters under Adam need two million operations.
MAX_OPERATIONS = 4_000_000


class _Opaque:
    """An object that is not inspected."""

    def __repr__(self) -> str:
        return "OPAQUE"


OPAQUE = _Opaque()
_MARK = object()


@dataclass(frozen=True)
class Global:
    """The name of a class or a function."""

    name: str


@dataclass(frozen=True)
class Storage:
    """The bytes of tensors, in the separate file `key`; a kind is as "FloatStorage"."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A tensor's description; the offset is the index of its first element."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _storage(given: Any) -> Any:
    """Return the storage of a persistent id of `torch.save`."""
    if not isinstance(given, tuple) or len(given) < 5 or given[0] != "storage":  # noqa: PLR2004 - ("storage", kind, key, place, count)
        return OPAQUE
    _, kind, key, _, count = given[:5]
    if isinstance(kind, Global) and isinstance(key, str) and _is_count(count):
        return Storage(kind.name.rpartition(".")[2], key, count)
    return OPAQUE


def _tensor(given: tuple[Any, ...]) -> Any:
    storage, offset, shape = (*given, None, None, None)[:3]
    if not isinstance(storage, Storage) or not _is_count(offset):
        return OPAQUE
    if not isinstance(shape, tuple) or not all(map(_is_count, shape)):
        return OPAQUE
    return Tensor(storage, offset, shape)


def _parameter(given: tuple[Any, ...]) -> Any:
    return given[0] if given and isinstance(given[0], Tensor) else OPAQUE


def _dictionary(given: tuple[Any, ...]) -> Any:
    # With content it would be copied, and a short pickle can request many copies.
    return OPAQUE if given else {}


_MAKERS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _dictionary,
    "collections.defaultdict": lambda _: {},
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PASSED_OVER = {"PROTO", "FRAME", "STOP"}
# The number of stack entries that an operation replaces by an opaque object.
_TAKES = {
    "NEWOBJ": 2,
    "NEWOBJ_EX": 3,
    "PERSID": 0,
    "EMPTY_SET": 0,
    "EXT1": 0,
    "EXT2": 0,
    "EXT4": 0,
}


class _Machine:
    """The stack and the memory of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def take(self) -> Any:
        """Pop the top of the stack."""
        top = self.stack.pop()
        if top is _MARK:
            raise ValueError("a mark where a value is needed")
        return top

    def since_mark(self) -> list[Any]:
        """Return everything on the stack since the last mark."""
        taken = []
        while (top := self.stack.pop()) is not _MARK:
            taken.append(top)
        taken.reverse()
        return taken

    def top(self) -> Any:
        """Return the top of the stack."""
        return self.stack[-1]

    def set_items(self, flat: list[Any]) -> None:
        """Fill a dictionary from alternating keys and values."""
        target = self.top()
        if isinstance(target, dict):
            for key, value in zip(flat[::2], flat[1::2], strict=True):
                # The hash of nested tuples can take extremely long.
                if isinstance(key, str | int | float | bytes | None):
                    target[key] = value

    def append(self, items: list[Any]) -> None:
        """Extend a list."""
        if isinstance(self.top(), list):
            self.top().extend(items)

    def reduce(self) -> None:
        """Make the objects of a few known functions; others become opaque."""
        given, function = self.take(), self.take()
        maker = _MAKERS.get(function.name) if isinstance(function, Global) else None
        known = maker is not None and isinstance(given, tuple)
        self.stack.append(maker(given) if maker and known else OPAQUE)

    def step(self, name: str, argument: Any) -> None:  # noqa: C901, PLR0912, PLR0915 - a table of operations
        """Carry out one operation."""
        push = self.stack.append
        match name:
            case "MARK":
                push(_MARK)
            case "EMPTY_DICT":
                push({})
            case "EMPTY_LIST":
                push([])
            case "DICT":
                flat = self.since_mark()
                push({})
                self.set_items(flat)
            case "LIST":
                push(self.since_mark())
            case "TUPLE":
                push(tuple(self.since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                taken = [self.take() for _ in range(int(name[-1]))]
                push(tuple(reversed(taken)))
            case "APPEND":
                self.append([self.take()])
            case "APPENDS":
                self.append(self.since_mark())
            case "SETITEM":
                value, key = self.take(), self.take()
                self.set_items([key, value])
            case "SETITEMS":
                self.set_items(self.since_mark())
            case "GET" | "BINGET" | "LONG_BINGET":
                push(self.memory[argument])
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memory[argument] = self.top()
            case "MEMOIZE":
                self.memory[len(self.memory)] = self.top()
            case "GLOBAL":
                push(Global(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                last, module = self.take(), self.take()
                push(Global(f"{module:.200}.{last:.200}"))
            case "REDUCE":
                self.reduce()
            case "BINPERSID":
                push(_storage(self.take()))
            case "BUILD":
                self.take()  # Attributes of an OrderedDict, which nothing reads.
            case "POP":
                self.stack.pop()
            case "POP_MARK" | "ADDITEMS":
                self.since_mark()
            case "DUP":
                push(self.top())
            case "INST" | "OBJ" | "FROZENSET":
                self.since_mark()
                push(OPAQUE)
            case _ if name in _TAKES:
                for _ in range(_TAKES[name]):
                    self.take()
                push(OPAQUE)
            case _ if name in _CONSTANTS:
                push(_CONSTANTS[name])
            case _ if name not in _PASSED_OVER:
                if argument is None:
                    raise ValueError(f"the operation {name}")
                push(argument)


def read_pickle(data: bytes, limit: int = MAX_OPERATIONS) -> Any:
    """Read a pickle as plain values, in so many operations at most.

    Return numbers, texts, lists, tuples, dictionaries, tensors' descriptions, names of
    classes, and `OPAQUE` for anything else; or raise a ValueError.

    >>> import pickle
    >>> read_pickle(pickle.dumps({"epoch": 3, "f": print, "x": [(0.5, None)]}))
    {'epoch': 3, 'f': Global(name='builtins.print'), 'x': [(0.5, None)]}
    >>> read_pickle(pickle.dumps({"when": __import__("datetime").date(2020, 1, 1)}))
    {'when': OPAQUE}
    """
    machine = _Machine()
    operations = pickletools.genops(data)
    try:
        for operation, argument, _ in itertools.islice(operations, limit):
            machine.step(operation.name, argument)
        if next(operations, None) is not None:
            raise ValueError(f"more than {limit} operations")  # noqa: TRY301 - as others
        (value,) = machine.stack
    except (IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"no readable pickle ({error})") from error
    return value
