"""What differs between two checkpoints, array by array.

Both files are read once, side by side, so that the comparison of two large states
takes the memory of two arrays; unless the arrays lie in another order, which
happens where a shape or a dtype differs.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

import numpy as np

from multiback.store.checkpoint import Checkpoint
from multiback.store.format.tensor_file import Array

Verdict = Literal["same", "changed", "reshaped", "only in a", "only in b"]
_ABSENT = "(absent)"


@dataclass(frozen=True)
class ArrayDifference:
    """How one array differs.

    Attributes:
        name: The array's name.
        verdict: "same" means bit for bit, with one dtype.
        dtypes: The dtypes in a and in b; "" where it is absent.
        shapes: The shapes; None where it is absent.
        norms: The Euclidean norms, in float64; None where it is absent.
        change: The norm of b minus a; None without such a difference.
        largest: The largest absolute difference of two elements; None as above.
    """

    name: str
    verdict: Verdict
    dtypes: tuple[str, str]
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    norms: tuple[float | None, float | None]
    change: float | None = None
    largest: float | None = None


@dataclass(frozen=True)
class Difference:
    """How two checkpoints differ.

    Attributes:
        arrays: Every array of either, in the order of their names.
        fields: What differs of run, epoch, step, backend and versions: pairs of a's
            and b's value.
        metrics: Every metric of either; None where it is absent.
        architecture: The places where the architectures differ, such as
            `config.layers[1].config.units`, with both values.
    """

    arrays: tuple[ArrayDifference, ...]
    fields: Mapping[str, tuple[Any, Any]]
    metrics: Mapping[str, tuple[float | None, float | None]]
    architecture: Mapping[str, tuple[Any, Any]]

    @property
    def same_state(self) -> bool:
        """Whether all arrays are the same, bit for bit."""
        return all(one.verdict == "same" for one in self.arrays)


def compare(a: Checkpoint, b: Checkpoint) -> Difference:
    """Compare two checkpoints of any runs, directories and backends.

    Args:
        a: The one to compare with.
        b: The one that is compared.

    Raises:
        CorruptCheckpointError: A file is not what its manifest says.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from multiback.store import Request, RunDirectory
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     runs = RunDirectory(folder)
        ...     saved = [
        ...         runs.commit(
        ...             Request(
        ...                 "c",
        ...                 run_id="r",
        ...                 tensors={"w": np.array(w)},
        ...                 epoch=0,
        ...                 step=0,
        ...                 metrics={},
        ...             )
        ...         )
        ...         for w in ([3.0, 4.0], [3.0, 6.0])
        ...     ]
        ...     [array] = compare(*saved).arrays
        >>> array.norms[0], array.change, array.largest
        (5.0, 2.0, 2.0)
    """
    # First, because it is small: a damaged one shows before gigabytes are read.
    architecture = document_difference(
        a.architecture_document(), b.architecture_document()
    )
    pairs = (_compared(*pair) for pair in _side_by_side(a, b))
    arrays = tuple(sorted(pairs, key=lambda one: one.name))
    return Difference(
        arrays=arrays,
        fields={
            name: (getattr(a, name), getattr(b, name))
            for name in ("run_id", "epoch", "step", "backend", "versions")
            if getattr(a, name) != getattr(b, name)
        },
        metrics={
            name: (a.metrics.get(name), b.metrics.get(name))
            for name in sorted({*a.metrics, *b.metrics})
        },
        architecture=architecture,
    )


def document_difference(a: Any, b: Any) -> dict[str, tuple[Any, Any]]:
    """Return the places where two JSON documents differ, and what stands there.

    >>> document_difference({"units": [4, 1], "on": 1}, {"units": [8, 1]})
    {'on': (1, '(absent)'), 'units[0]': (4, 8)}
    """
    return {place.lstrip("."): values for place, values in _places(a, b, "")}


def _places(a: Any, b: Any, at: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Walk two documents side by side, down to where they differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            yield from _places(a.get(key, _ABSENT), b.get(key, _ABSENT), f"{at}.{key}")
    elif isinstance(a, list) and isinstance(b, list):
        for index, (mine, other) in enumerate(zip_longest(a, b, fillvalue=_ABSENT)):
            yield from _places(mine, other, f"{at}[{index}]")
    elif a != b and not (_is_nan(a) and _is_nan(b)):
        yield at, (a, b)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _side_by_side(
    a: Checkpoint, b: Checkpoint
) -> Iterator[tuple[str, Array | None, Array | None]]:
    """Read both states at once; keep an array only until its partner is read."""
    waiting: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    for pair in zip_longest(a.stream_tensors(), b.stream_tensors()):
        for side, item in enumerate(pair):
            if item is None:
                continue
            name, array = item
            partner = waiting[1 - side].pop(name, None)
            if partner is None:
                waiting[side][name] = array
            else:
                yield (name, partner, array) if side else (name, array, partner)
    for name, array in waiting[0].items():
        yield name, array, None
    for name, array in waiting[1].items():
        yield name, None, array


def _compared(name: str, a: Array | None, b: Array | None) -> ArrayDifference:
    """Compare two arrays; one may be absent."""
    both = (a, b)
    dtypes = tuple("" if one is None else one.dtype.name for one in both)
    shapes = tuple(None if one is None else one.shape for one in both)
    wide = tuple(None if one is None else _wide(one) for one in both)
    norms = tuple(None if one is None else _norm(one) for one in wide)
    verdict: Verdict
    change = largest = None
    if a is None or b is None:
        verdict = "only in a" if b is None else "only in b"
    elif a.shape != b.shape:
        verdict = "reshaped"
    else:
        same = a.dtype == b.dtype and np.array_equal(_bytes(a), _bytes(b))
        verdict = "same" if same else "changed"
        change = largest = 0.0
        if not same:
            # Infinity minus infinity is NaN, which is the right answer.
            with np.errstate(invalid="ignore", over="ignore"):
                step = wide[1] - wide[0]  # type: ignore[operator]  # both are there
            change, largest = _norm(step), float(np.abs(step).max(initial=0.0))
    return ArrayDifference(
        name,
        verdict,
        dtypes,  # type: ignore[arg-type]  # a pair, as `both` is
        shapes,  # type: ignore[arg-type]  # as above
        norms,  # type: ignore[arg-type]  # as above
        change,
        largest,
    )


def _bytes(array: Array) -> Array:
    return array.reshape(-1).view(np.uint8)


def _wide(array: Array) -> Array:
    """Widen an array so that its differences neither overflow nor round to zero."""
    return array.astype(
        np.complex128 if "complex" in array.dtype.name else np.float64, copy=False
    )


def _norm(array: Array) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.linalg.norm(array.reshape(-1)))
