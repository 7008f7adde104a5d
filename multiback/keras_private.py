"""The private names of Keras that multiback needs, all of them, each with its reason.

A public name is used wherever Keras has one. `tests/checkpoint/test_keras_private.py`
and `tests/state/test_private.py` fail when one of these changes. What is used and why:

- masks (`get_keras_mask`, `set_keras_mask`): Keras attaches a mask to a tensor under a
  private name and has no public way to read it;
- scopes (`in_stateless_scope`, `in_symbolic_scope`): nothing public says that Keras
  tries a metric on made-up data;
- values (`held_value`): on PyTorch the public way to a variable's tensor takes longer
  than counting a small batch;
- `fit` (`set_first_epoch`, `fit_arguments`, `fit_callbacks`): no callback can move the
  first epoch, or learn how `fit` was called;
- one step's metrics (`updated_metrics`): only the list that `compile` makes gives all
  of them one batch with nothing in between;
- compiled metrics (`compile_metrics`, `compiled_metrics`, `names_asked_for`,
  `flatten_outputs`, `wrapped_function`, `automatic_mode`): only the container knows
  which metric belongs to which output, whether it is weighted and under which name it
  is logged, only the wrapper its function, and only the metric which way is better;
- what was compiled (`user_metrics`, `compile_loss`, `is_compile_metrics`,
  `compiled_pairs`): no public list says which metric object stands behind a name in
  the logs, or which loss and metrics an output has;
- generators (`is_seeded`, `global_seed_state`): the generator behind
  `keras.random.normal(shape)` is not public;
- the order of a `PyDataset` (`Length`, `keep_order`): Keras fixes the number of batches
  and the order before training begins;
- layers and configs (`layers_of`, `sharing`, `no_compile_config`): `Model.layers` stops
  at the first level, and no switch leaves the compile config out;
- a model as its own saving walks it (`parts_of`, `own_variables`, `seed_states`), and
  the state of one layer in a `.keras` file (`stores_of`).
"""

import contextlib
import functools
import inspect
import io
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple, Self

import keras
from keras.src.backend import get_keras_mask, set_keras_mask
from keras.src.backend.common import global_state
from keras.src.backend.common.stateless_scope import in_stateless_scope
from keras.src.backend.common.symbolic_scope import in_symbolic_scope
from keras.src.random import seed_generator
from keras.src.saving import saving_lib
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.saving.serialization_lib import ObjectSharingScope
from keras.src.trainers.compile_utils import CompileMetrics, MetricsList
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from keras.src.utils import rng_utils
from keras.src.utils.naming import to_snake_case

from multiback.errors import StateError

__all__ = [
    "KERAS_SOURCE",
    "Length",
    "Part",
    "automatic_mode",
    "compile_loss",
    "compile_metrics",
    "compiled_metrics",
    "compiled_pairs",
    "fit_arguments",
    "fit_callbacks",
    "flatten_outputs",
    "get_keras_mask",
    "global_seed_state",
    "has_output_mask",
    "held_value",
    "in_stateless_scope",
    "in_symbolic_scope",
    "is_compile_metrics",
    "is_seeded",
    "keep_order",
    "layers_of",
    "names_asked_for",
    "no_compile_config",
    "own_variables",
    "parts_of",
    "seed_states",
    "set_first_epoch",
    "set_keras_mask",
    "sharing",
    "steps_per_epoch",
    "stores_of",
    "updated_metrics",
    "user_metrics",
    "wrapped_function",
]

_UPDATES = MetricsList.update_state.__code__
# A part of a `.keras` file of fewer bytes may be compressed by any factor.
_SMALL = 1 << 28
_EXPANSION = 100

KERAS_SOURCE = "keras.src."
"""Where Keras's own classes live; `keras.layers.Dense.__module__` starts so."""


def held_value(variable: Any) -> Any:
    """Return the tensor of a variable, also inside a stateless scope."""
    return variable._value  # noqa: SLF001 - the only way, see above.


def set_first_epoch(model: keras.Model, epoch: int | None) -> None:
    """Set the first epoch of the `fit` that will start; None keeps it."""
    model._initial_epoch = epoch  # noqa: SLF001 - the only way, see above


def is_seeded() -> bool:
    """Return whether `keras.utils.set_random_seed` was called."""
    return rng_utils.get_random_seed() is not None


def steps_per_epoch() -> int | None:
    """Return the `steps_per_epoch` of the running `fit`; callbacks do not get it."""
    given: int | None = fit_arguments().get("steps_per_epoch")
    return given


def fit_arguments() -> Mapping[str, Any]:
    """Return the local names of the running `fit`, with its arguments.

    Empty outside of `fit`.
    """
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        if code.co_name == "fit" and "steps_per_epoch" in code.co_varnames:
            return frame.f_locals
        frame = frame.f_back
    return {}


def fit_callbacks() -> list[Any]:
    """Return the callbacks of the running `fit`, in their order; none outside."""
    return list(getattr(fit_arguments().get("callbacks"), "callbacks", ()))


def updated_metrics(depth: int) -> MetricsList | None:
    """Return the list of compiled metrics that updates one of them, if one does.

    The list has to be that many calls above the caller, so that no code of a user has
    come in between.
    """
    try:
        frame = sys._getframe(depth + 1)  # noqa: SLF001 - walking there takes as long as counting
    except ValueError:  # There are not so many.
        return None
    return frame.f_locals["self"] if frame.f_code is _UPDATES else None


def user_metrics(model: keras.Model) -> tuple[list[Any], list[Any], bool]:
    """Return the values of `metrics=` and `weighted_metrics=` as the user gave them.

    Returns:
        Both lists flattened, without None, and whether `weighted_metrics=` was given at
        all, were it empty.
    """
    compiled = compile_metrics(model)
    if compiled is None:
        return [], [], False
    given = compiled._user_metrics, compiled._user_weighted_metrics  # noqa: SLF001 - the only way, see above
    plain, weighted = (
        [one for one in keras.tree.flatten(each or []) if one is not None]
        for each in given
    )
    return plain, weighted, given[1] is not None


def compile_loss(model: keras.Model) -> Any | None:
    """Return the container of the compiled losses, or None."""
    return getattr(model, "_compile_loss", None)


def compiled_pairs(model: keras.Model) -> list[tuple[str, Any, Any, list[Any]]]:
    """Return the outputs that have a loss: `(name, symbolic output, loss, metrics)`.

    Empty where the outputs or the losses are not known yet.
    """
    losses = compile_loss(model)
    outputs = keras.tree.flatten(getattr(model, "outputs", None) or [])
    # A Sequential has no output_names.
    names = list(getattr(model, "output_names", None) or [])
    names = names or [one._keras_history.operation.name for one in outputs]  # noqa: SLF001 - the only way, see above
    if losses is None or not losses.built or len(names) != len(outputs):
        return []
    lists = [
        each
        for metrics in model.metrics
        if isinstance(metrics, CompileMetrics) and metrics.built
        for _, _, each in _metrics_lists(metrics)
        if isinstance(each, MetricsList)
    ]
    found = []
    for _, loss, _, name in losses._flat_losses:  # noqa: SLF001 - the only way, see above
        at = 0 if len(outputs) == 1 else names.index(name) if name in names else None
        if at is not None:
            here = [
                metric
                for each in lists
                if len(outputs) == 1 or each.output_name == name
                for metric in each.metrics
            ]
            found.append((names[at], outputs[at], loss, here))
    return found


def is_compile_metrics(metric: Any) -> bool:
    """Return whether a metric is Keras's container of the compiled metrics."""
    return isinstance(metric, CompileMetrics)


def has_output_mask(model: keras.Model) -> bool:
    """Return whether a symbolic output carries a mask."""
    outputs = getattr(model, "outputs", None) or []
    return any(get_keras_mask(one) is not None for one in keras.tree.flatten(outputs))


def global_seed_state(*, create: bool = False) -> Any:
    """Return the variable of the generator that Keras uses where no seed is given.

    None if there is no such generator yet and it should not be made.
    """
    name = seed_generator.GLOBAL_SEED_GENERATOR
    if not create and global_state.get_global_attribute(name) is None:
        return None
    return seed_generator.global_seed_generator().state


class Length(int):
    """A number of batches that knows when an epoch that was resumed is over.

    `EpochIterator` keeps the number from before training and asks `seen >= number`
    before each batch. Python lets the subclass answer that. An epoch that begins
    in its middle so ends without Keras's warning that the data ran out.
    """

    is_over: Callable[[int], bool]

    def __new__(cls, batches: int, is_over: Callable[[int], bool]) -> Self:
        """Make the number; `is_over` gets the number of batches that Keras has seen."""
        made = super().__new__(cls, batches)
        made.is_over = is_over
        return made

    def __le__(self, seen: int) -> bool:
        return self.is_over(seen)

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)


def keep_order(caller: FrameType | None) -> None:
    """Let the adapter that called the method keep the batches in their order."""
    adapter = caller.f_locals.get("self") if caller else None
    if isinstance(adapter, PyDatasetAdapter):
        adapter.shuffle = False


def layers_of(model: Any) -> list[Any]:
    """Return the model and every layer below it, each once.

    `Model.layers` is public but stops at the first level, and a plain layer
    that holds layers (`Bidirectional`, `TextVectorization`) has no such list.
    """
    layers: list[Any] = model._flatten_layers()  # noqa: SLF001 - see the docstring
    return layers


def sharing() -> contextlib.AbstractContextManager[None]:
    """Keep one object one object in (de)serialisation, as `.keras` files do.

    Without it a metric that is listed twice, or a layer that two parts of a
    subclassed model's config name, comes back as two.
    """
    scope: contextlib.AbstractContextManager[None] = ObjectSharingScope()
    return scope


@contextlib.contextmanager
def no_compile_config(model: keras.Model) -> Iterator[None]:
    """Serialise the model without how it, and each model inside, was compiled.

    Keras offers no switch, and one metric that does not serialise would take
    the architecture down with it. An instance attribute hides the method; it is
    written to the instance's dictionary, because Keras watches `setattr`.
    """
    models = [each for each in layers_of(model) if isinstance(each, keras.Model)]
    try:
        for each in models:
            vars(each)["get_compile_config"] = dict
        yield
    finally:
        for each in models:
            vars(each).pop("get_compile_config", None)


def compile_metrics(model: Any) -> Any | None:
    """Return the container of a compiled model's metrics, or None."""
    return next(filter(is_compile_metrics, model.metrics), None)


def _metrics_lists(container: Any) -> Iterator[tuple[bool, int, Any]]:
    """Yield (weighted, index of its output, list) in the order of the logs."""
    for weighted, per_output in (
        (False, container._flat_metrics),  # noqa: SLF001 - the only way, see above
        (True, container._flat_weighted_metrics),  # noqa: SLF001 - as before
    ):
        for output, metrics in enumerate(per_output):
            if metrics:
                yield weighted, output, metrics


def compiled_metrics(container: Any) -> list[tuple[Any, int, bool]]:
    """Return (metric, index of its output, weighted) in the order of the logs."""
    return [
        (metric, output, weighted)
        for weighted, output, metrics in _metrics_lists(container)
        for metric in metrics.metrics
    ]


def names_asked_for(container: Any) -> list[str]:
    """Return the log name of each metric, numbered as Keras numbers equal ones."""
    names: list[str] = []
    counts: dict[str, int] = {}
    for weighted, _, metrics in _metrics_lists(container):
        prefix = f"{metrics.output_name}_" if metrics.output_name else ""
        for metric in metrics.metrics:
            name = prefix + metric.name
            if weighted and name in counts:
                name = f"{prefix}weighted_{metric.name}"
            number = counts.get(name, 0)
            counts[name] = number + 1
            names.append(f"{name}_{number}" if number else name)
    return names


def flatten_outputs(container: Any, tree: Any) -> list[Any]:
    """List one value an output, in Keras's order."""
    return list(container._flatten_y(tree))  # noqa: SLF001 - the only way, see above


def wrapped_function(metric: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the function of a `MeanMetricWrapper` and its keyword arguments."""
    return metric._fn, metric._fn_kwargs  # noqa: SLF001 - the only way, see above


def automatic_mode(metric: Any) -> Literal["max", "min"] | None:
    """Return the direction that Keras's callbacks assume for a metric, if any."""
    said = getattr(metric, "_direction", None)
    return None if said is None else "max" if said == "up" else "min"


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


# Attributes that hold further parts. Metrics and losses stay in their own group.
_HOLDERS = ("Layer", "Functional", "Sequential", "Operation", "Cross", "Feature")
_KEPT = (*_HOLDERS, "Optimizer")


@functools.cache
def _skipped(kind: str) -> frozenset[str]:
    """Return the attributes that Keras's saving skips.

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
    """Yield the attributes that Keras's saving visits, in its order."""
    if kind in ("Sequential", "Functional"):
        yield "layers", value.layers
    for name in sorted(dir(value), key=saving_lib._name_key):  # noqa: SLF001 - see above
        if name.startswith("__") or name in _skipped(kind):
            continue
        # A property may raise any error; Keras skips it too.
        with contextlib.suppress(Exception):
            yield name, getattr(value, name)


def _below(
    part: Part, step: str, file: str, child: Any, *, listed: bool = False
) -> Part:
    """Return a child, with its name and its way from the parent."""
    given = _given_name(child)
    if given and not _given_name(part.value):
        # A name derived from its parent's name, which Keras has numbered.
        above = getattr(part.value, "name", None)
        given = "" if isinstance(above, str) and above in given else given
    return Part(
        child,
        f"{part.way}/{step}" if part.way else step,
        f"{part.path}/{file}" if part.path else file,
        "/".join(filter(None, (part.name, given))),
        part.listed or listed,
    )


def _given_name(value: Any) -> str:
    """Return the name that the user gave; "" for one that Keras made and numbered."""
    name = getattr(value, "name", None)
    if not isinstance(value, KerasSaveable) or not isinstance(name, str):
        return ""
    kind = re.escape(to_snake_case(type(value).__name__))
    # `Bidirectional` names its two copies of a layer forward_NAME and backward_NAME.
    made = rf"(forward_|backward_)?{kind}(_\d+)?"
    return "" if re.fullmatch(made, name) else name


def own_variables(layer: Any) -> list[Any]:
    """Return a layer's variables without those of layers inside."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]  # noqa: SLF001 - see above


def seed_states(layer: Any) -> list[Any]:
    """Return the state of each of a layer's own seed generators."""
    return [one.state for one in layer._seed_generators]  # noqa: SLF001 - see above


@contextlib.contextmanager
def stores_of(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open the stores of a `.keras` file for `load_own_variables` and `load_assets`.

    Yields:
        Two stores with `get(path)`, for variables and for assets; the second is None
        where the file has no assets.

    Raises:
        StateError: A part of the file would become a hundred times as large.
    """
    with zipfile.ZipFile(path) as archive, contextlib.ExitStack() as opened:
        _check_expansion(archive)
        name = saving_lib._VARS_FNAME_H5  # noqa: SLF001 - see above
        variables = saving_lib.H5IOStore(io.BytesIO(archive.read(name)), mode="r")
        opened.callback(variables.close)
        assets = None
        folder = saving_lib._ASSETS_DIRNAME  # noqa: SLF001 - see above
        if any(one.startswith(f"{folder}/") for one in archive.namelist()):
            assets = saving_lib.DiskIOStore(folder, archive=archive, mode="r")
            opened.callback(assets.close)
        yield variables, assets


def _check_expansion(archive: zipfile.ZipFile) -> None:
    """Raise for a file that fills memory or disk when read; Keras 3.13 does not."""
    for part in archive.infolist():
        if part.file_size > max(_SMALL, _EXPANSION * part.compress_size):
            raise StateError(
                f"{part.filename!r} in {archive.filename} has {part.compress_size} "
                f"bytes and would become {part.file_size}: it may be forged. Delete "
                "the checkpoint, or restore an earlier one."
            )
