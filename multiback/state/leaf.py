"""A tree's leaf on the disk: one array, and a word for its type.

A number or a tensor is its values. Text, large integers, keys of random generators and
similar leaves are bytes or numbers; the word says how to make them again.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from multiback.errors import ArgumentError
from multiback.state.fitting import StateDict, dtype_of
from multiback.state.host import framework_of, host_view, is_sharded

# The names and positions that lead to a leaf.
Parts = tuple[str | int, ...]
_INT64 = 1 << 63
BYTES = ("text", "bytes", "int", "none")
"""Words for leaves whose length may differ from a template's."""


def encoded(leaf: Any) -> tuple[np.ndarray, str] | None:
    """Return a leaf's array and its word; None if it cannot be stored.

    >>> encoded("min")
    (array([109, 105, 110], dtype=uint8), 'text')
    >>> encoded(2.5)
    (array(2.5), '')
    """
    data = _as_bytes(leaf)
    if data is not None:
        return np.frombuffer(data[0], np.uint8), data[1]
    framework = framework_of(leaf)
    word = "torch" if framework == "torch" else ""
    if framework in ("jax", "jaxlib") and str(leaf.dtype).startswith("key<"):
        from multiback.state.jax import key_data  # noqa: PLC0415 - optional

        array, name = key_data(leaf)
        return array, f"jax.key:{name}"
    if framework == "tensorflow" and type(leaf).__name__ == "Generator":
        return np.asarray(host_view(leaf.state)), f"tf.Generator:{int(leaf.algorithm)}"
    try:
        array = host_view(leaf.value if isinstance(leaf, keras.Variable) else leaf)
    except (TypeError, ValueError, RuntimeError, AttributeError):
        return None
    return None if array.dtype.kind in "OUSMm" else (array, word)


def _as_bytes(leaf: Any) -> tuple[bytes, str] | None:
    if leaf is None:
        return b"", "none"
    if isinstance(leaf, str):
        # Lone surrogates are valid text in Python, and must be restored.
        return leaf.encode("utf-8", "surrogatepass"), "text"
    if isinstance(leaf, bytes | bytearray):
        return bytes(leaf), "bytes"
    if isinstance(leaf, int) and not -_INT64 <= leaf < _INT64:
        return hex(leaf).encode(), "int"
    return None


def decoded(array: np.ndarray, word: str) -> Any:  # noqa: PLR0911 - one a kind
    """Return a leaf that needs no template, from its array and its word.

    >>> decoded(*encoded("min"))
    'min'
    """
    kind, _, name = word.partition(":")
    if kind == "none":
        return None
    if kind == "text":
        return array.tobytes().decode("utf-8", "surrogatepass")
    if kind == "bytes":
        return array.tobytes()
    if kind == "int":
        return int(array.tobytes(), 16)
    array = np.array(array)
    # Without the framework it stays an array.
    if kind == "torch" and "torch" in sys.modules:
        from multiback.state.torch import tensor  # noqa: PLC0415 - optional

        return tensor(array)
    if kind == "jax.key" and "jax" in sys.modules:
        from multiback.state.jax import key_from  # noqa: PLC0415 - optional

        return key_from(array, name)
    if kind == "tf.Generator" and "tensorflow" in sys.modules:
        from multiback.state.tensorflow import generator  # noqa: PLC0415 - optional

        return generator(array, int(name))
    return array


def branches_of(node: Any) -> Mapping[str, Any] | None:
    """Return the parts of a node that is several arrays; None for other nodes.

    Dataclasses by field; sparse tensors and slices by indices and values.
    """
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return {one.name: getattr(node, one.name) for one in dataclasses.fields(node)}
    framework, name = framework_of(node), type(node).__name__
    if framework == "torch" and str(getattr(node, "layout", "")) == "torch.sparse_coo":
        whole = node.detach().coalesce()
        return {
            "indices": whole.indices(),
            "values": whole.values(),
            "shape": np.array(whole.shape, "int64"),
        }
    if framework == "torch" and str(getattr(node, "layout", "")) == "torch.sparse_csr":
        return {
            "crow_indices": node.crow_indices(),
            "col_indices": node.col_indices(),
            "values": node.values(),
            "shape": np.array(node.shape, "int64"),
        }
    if framework == "tensorflow" and name == "SparseTensor":
        return {
            "indices": node.indices,
            "values": node.values,
            "dense_shape": node.dense_shape,
        }
    if framework == "tensorflow" and name == "IndexedSlices":
        found = {"indices": node.indices, "values": node.values}
        if node.dense_shape is not None:
            found["dense_shape"] = node.dense_shape
        return found
    return None


def put_together(like: Any, branches: Mapping[str, Any]) -> Any:
    """Make a node of several arrays, like another, from what `branches_of` gave."""
    if dataclasses.is_dataclass(like):
        made = object.__new__(type(like))
        for name, value in branches.items():
            # Frozen ones too, and without `__post_init__`, which has run once.
            object.__setattr__(made, name, value)
        return made
    if framework_of(like) == "torch":
        from multiback.state.torch import sparse  # noqa: PLC0415 - optional

        return sparse(like, branches)
    return type(like)(**branches)


def is_shape_only(leaf: Any) -> bool:
    """Return whether a template's leaf has a shape and no values (`jax.eval_shape`)."""
    return type(leaf).__name__ == "ShapeDtypeStruct"


def plain_name(leaf: Any) -> str:
    """Return a leaf's class name for an error."""
    with contextlib.suppress(Exception):
        return f"{type(leaf).__module__}.{type(leaf).__qualname__}".removeprefix(
            "builtins."
        )
    return "an object"


class LeafKind(NamedTuple):
    """The kind of an array's values."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    word: str = ""


def view_of(leaf: Any, parts: Parts) -> tuple[np.ndarray, str]:
    """Return one leaf as a host array of its own dtype, with the word for its type."""
    found = encoded(leaf)
    if found is None:
        raise _no_array(leaf, parts)
    return found


def kind_of(leaf: Any, parts: Parts) -> LeafKind:
    """Return the kind of value that a template's leaf needs."""
    if is_sharded(leaf) or is_shape_only(leaf):
        if str(leaf.dtype).startswith("key<"):
            raise _no_array(leaf, parts)
        return LeafKind(
            dtype_of(str(leaf.dtype).removeprefix("torch.")),
            tuple(map(int, leaf.shape)),
        )
    array, word = view_of(leaf, parts)
    return LeafKind(array.dtype, array.shape, word)


def _no_array(leaf: Any, parts: Parts) -> ArgumentError:
    """Return the error for a leaf that cannot be stored."""
    return ArgumentError(
        f"The leaf {'/'.join(map(str, parts))!r} must be an array, a tensor, a number "
        f"or text, but it is {plain_name(leaf)}. Take it out of the tree, or save what "
        "it is made of."
    )


def stored_leaf(
    entry: Mapping[str, Any], arrays: StateDict, *, frameworks: bool = True
) -> Any:
    """Return an entry's leaf; without its framework, a tensor becomes an array."""
    array, word = arrays[entry["key"]], str(entry.get("leaf", ""))
    if word in BYTES or frameworks:
        return decoded(array, word)
    return array


def alike(leaf: Any, array: np.ndarray, word: str) -> Any:
    """Convert a stored array to the type of a template's leaf."""
    if word in BYTES or word.partition(":")[0] in ("jax.key", "tf.Generator"):
        return decoded(array, word)
    if isinstance(leaf, bool | int | float):
        return array.item()
    if is_sharded(leaf):
        from multiback.state.torch import sharded  # noqa: PLC0415 - optional

        return sharded(array, leaf)
    if framework_of(leaf) == "torch":
        from multiback.state.torch import tensor  # noqa: PLC0415 - optional

        return tensor(array).to(leaf.device)
    return array
