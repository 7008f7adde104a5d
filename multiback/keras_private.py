"""The private names of Keras that metrics need, in one place.

Keras attaches a mask to a tensor under a private name and offers no public way
to read it; and nothing public tells that Keras is trying a metric on made-up
data. On PyTorch the public way to a variable's tensor takes longer than counting a
small batch. `tests/metrics/test_bad_input.py` and `test_kernels.py` notice when one of
these changes.

Nor does Keras offer a public way to walk a model as its own saving does, or to read the
state of one layer from a `.keras` file. `tests/state/test_private.py` notices.
"""

import contextlib
import functools
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
from keras.src.backend import get_keras_mask
from keras.src.backend.common.stateless_scope import in_stateless_scope
from keras.src.saving import saving_lib
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.utils.naming import to_snake_case

__all__ = [
    "Part",
    "get_keras_mask",
    "held_value",
    "in_stateless_scope",
    "own_variables",
    "parts_of",
    "seed_states",
    "stores_of",
]


def held_value(variable: Any) -> Any:
    """Return the tensor that a variable holds, whatever scope this is in."""
    return variable._value  # noqa: SLF001 - see above.


class Part(NamedTuple):
    """A layer or an optimizer of a model, and how it is reached.

    Attributes:
        value: The layer or optimizer.
        way: Attributes, keys of mappings and places in lists, from the model on.
        path: Where Keras's own file has its state.
        name: The names that the user gave on the way, or "".
        listed: Whether a place in a list is on the way.
    """

    value: Any
    way: str
    path: str
    name: str
    listed: bool


# What holds further parts. Metrics and losses are left to their own group.
_HOLDERS = ("Layer", "Functional", "Sequential", "Operation", "Cross", "Feature")
_KEPT = (*_HOLDERS, "Optimizer")


@functools.cache
def _skipped(kind: str) -> frozenset[str]:
    """Return the attributes that Keras's saving passes over.

    Cached: Keras makes a new layer each time to find them.
    """
    return frozenset(saving_lib.get_attr_skipset(kind))


def parts_of(model: keras.Model) -> list[Part]:  # noqa: C901 - one walk, as Keras's
    """Walk a model as Keras's saving does, each layer and optimizer once."""
    found: list[Part] = []
    seen: set[int] = set()

    def visit(part: Part) -> None:
        kind = part.value._obj_type()  # noqa: SLF001 - see above
        if id(part.value) in seen or kind not in _KEPT:
            return
        seen.add(id(part.value))
        found.append(part)
        if kind not in _HOLDERS:
            return
        for name, child in _attributes(part.value, kind):
            reached = _below(part, name, name, child)
            if isinstance(child, KerasSaveable):
                visit(reached)
            elif isinstance(child, list | dict | tuple):
                visit_all(reached, set())

    def visit_all(box: Part, opened: set[int]) -> None:
        if id(box.value) in opened:
            return
        opened.add(id(box.value))
        by_key = isinstance(box.value, dict)
        items = box.value.items() if by_key else enumerate(box.value)
        used: Counter[str] = Counter()
        for key, child in items:
            if isinstance(child, KerasSaveable):
                name = to_snake_case(type(child).__name__)
            elif isinstance(child, list | dict | tuple):
                name = "container"
            else:
                continue
            number = f"_{used[name]}" if used[name] else ""
            used[name] += 1
            reached = _below(box, str(key), name + number, child, listed=not by_key)
            if name == "container":
                visit_all(reached, opened)
            else:
                visit(reached)

    visit(Part(model, "", "", "", listed=False))
    return found


def _attributes(value: Any, kind: str) -> Iterator[tuple[str, Any]]:
    """Yield what Keras's saving looks at, in its order."""
    if kind in ("Sequential", "Functional"):
        yield "layers", value.layers
    for name in sorted(dir(value), key=saving_lib._name_key):  # noqa: SLF001 - see above
        if name.startswith("__") or name in _skipped(kind):
            continue
        # A property may raise anything; Keras passes over it too.
        with contextlib.suppress(Exception):
            yield name, getattr(value, name)


def _below(
    part: Part, step: str, file: str, child: Any, *, listed: bool = False
) -> Part:
    """Return a child, as it is reached from its parent."""
    given = ""
    name = getattr(child, "name", None)
    if isinstance(child, KerasSaveable) and isinstance(name, str):
        made = rf"{re.escape(to_snake_case(type(child).__name__))}(_\d+)?"
        given = "" if re.fullmatch(made, name) else name
    return Part(
        child,
        f"{part.way}/{step}" if part.way else step,
        f"{part.path}/{file}" if part.path else file,
        "/".join(filter(None, (part.name, given))),
        part.listed or listed,
    )


def own_variables(layer: Any) -> list[Any]:
    """Return a layer's variables without those of layers inside."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]  # noqa: SLF001 - see above


def seed_states(layer: Any) -> list[Any]:
    """Return the state of each seed generator that a layer has itself."""
    return [one.state for one in layer._seed_generators]  # noqa: SLF001 - see above


@contextlib.contextmanager
def stores_of(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a `.keras` file: what `load_own_variables` and `load_assets` read from.

    Yields:
        Two stores with `get(path)`, for variables and for assets; the second is None
        where the file has no assets.
    """
    with zipfile.ZipFile(path) as archive, contextlib.ExitStack() as opened:
        name = saving_lib._VARS_FNAME_H5  # noqa: SLF001 - see above
        saving_lib._reject_zip_bomb(archive, name)  # noqa: SLF001 - see above
        variables = saving_lib.H5IOStore(io.BytesIO(archive.read(name)), mode="r")
        opened.callback(variables.close)
        assets = None
        folder = saving_lib._ASSETS_DIRNAME  # noqa: SLF001 - see above
        if any(one.startswith(f"{folder}/") for one in archive.namelist()):
            assets = saving_lib.DiskIOStore(folder, archive=archive, mode="r")
            opened.callback(assets.close)
        yield variables, assets
