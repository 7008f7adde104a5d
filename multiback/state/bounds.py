"""What a description may ask Keras for, before Keras allocates it.

Keras allocates the weights of a layer, and the state of a metric, before anything can
be compared with what was saved. So the sizes are read in the config: a size of a layer
is one of the saved weights' sizes, and metrics have a limit of their own. For layers
and metrics of the user's own, whose configs may say anything, `Room` counts: nothing
public comes between a class and its variable, so the constructor of `keras.Variable`
counts while a model is rebuilt, in the thread that rebuilds it.
"""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import keras

from multiback.errors import StateError
from multiback.keras_private import KERAS_SOURCE
from multiback.state.portable import Config, objects_in

MAX_METRICS = 2 << 30
"""Bytes of all metrics. An AUROC of 1000 classes takes a quarter of it."""

_LAYER_SIZES = ("filters", "input_dim", "key_dim", "num_heads", "output_dim", "units")
# No layer of this size is worth refusing.
_SMALL = 1 << 13
# Metrics that keep a number for each pair of classes.
_PAIRS = (
    "CohenKappa",
    "ConfusionMatrix",
    "IoU",
    "MatthewsCorrelation",
    "MeanIoU",
    "OneHotIoU",
    "OneHotMeanIoU",
)
_COLUMNS = ("num_classes", "num_labels", "num_outputs")
_DEPTHS = ("capacity", "n_bins", "num_bins", "num_thresholds")

# What a variable takes; it need not be exact.
_ITEM_BYTES = 4
# Quantized layers allocate their floats first, optimizers several slots a weight.
_FACTOR = 16
_SMALLEST = 64 << 20

_lock = threading.Lock()
_rooms: dict[int, "Room"] = {}
_original: Any = None


def check_bounds(config: Mapping[str, Any], index: Sequence[Mapping[str, Any]]) -> None:
    """Raise where a description asks for more memory than its checkpoint is worth.

    The index has the entries of the checkpoint's variables.
    """
    architecture = {k: v for k, v in config.items() if k != "compile_config"}
    saved = max((size for entry in index for size in entry.get("shape", [])), default=0)
    for name, size in _sizes_of_layers(architecture):
        if size > max(2 * saved, _SMALL):  # int4 packs two into one.
            raise StateError(
                f"The checkpoint's architecture has a {name} of size {size}, but no "
                f"saved weight has more than {saved} in any axis: it may be forged. "
                "Pass bounded=False to load it all the same."
            )
    metrics = sorted(_bytes_of_metrics(config.get("compile_config")), reverse=True)
    total = sum(size for size, _ in metrics)
    if total > MAX_METRICS:
        raise StateError(
            f"The compiled metrics of the checkpoint ask for {total / 2**30:.1f} GiB, "
            f"most of it for {metrics[0][1]}. Pass compile=False to leave them out, or "
            "bounded=False to load it all the same."
        )


def check_holes(size: int, taken: int) -> None:
    """Raise where files have far more bytes than they take on the disk.

    Such a file has holes, which read as zeros. No save leaves any; but a disk that
    compresses may make them of zeros, so only a large difference is refused.
    """
    if size > _FACTOR * taken + _SMALLEST:
        raise StateError(
            f"The checkpoint's files have {size / 2**30:.2f} GiB and take {taken} "
            "bytes on the disk: they may be forged. Pass bounded=False to read them "
            "all the same."
        )


def _sizes_of_layers(architecture: Config) -> Iterator[tuple[str, int]]:
    for node in objects_in(architecture):
        module, inner = str(node.get("module") or ""), node.get("config")
        if module.startswith((KERAS_SOURCE, "keras.")) and isinstance(inner, Mapping):
            for key in _LAYER_SIZES:
                if type(inner.get(key)) is int:
                    yield f"{node['class_name']}", inner[key]


def _bytes_of_metrics(compilation: Any) -> Iterator[tuple[int, str]]:
    for node in objects_in(compilation):
        inner, name = node.get("config"), str(node["class_name"]).rpartition(">")[2]
        if not isinstance(inner, Mapping):
            continue
        columns, depth = (
            math.prod(max(inner[key], 1) for key in keys if type(inner.get(key)) is int)
            for keys in (_COLUMNS, _DEPTHS)
        )
        if name in _PAIRS:
            columns *= columns
        yield 8 * columns * depth, name


class Room:
    """While the block runs, refuse more than a checkpoint's files are worth.

    Args:
        size: Bytes of the checkpoint's files.

    Raises:
        StateError: In the block: a variable goes beyond the limit.

    Examples:
        >>> import keras
        >>> with Room(0):
        ...     keras.Variable("zeros", shape=(100_000, 100_000))
        Traceback (most recent call last):
        ...
        multiback.errors.StateError: The checkpoint has 0 bytes, and asks for a ...
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = _FACTOR * size + _SMALLEST

    def add(self, size: int) -> None:
        """Allow so many bytes more."""
        self._left += size

    def take(self, shape: Any) -> None:
        """Note a variable."""
        if not all(isinstance(one, int) for one in shape):
            return
        self._left -= _ITEM_BYTES * math.prod(shape)
        if self._left < 0:
            raise StateError(
                f"The checkpoint has {self._size} bytes, and asks for a variable of "
                f"shape {tuple(shape)}: it may be forged. Pass bounded=False to load "
                "it all the same."
            )

    def __enter__(self) -> Self:
        """Begin to count in this thread."""
        global _original  # noqa: PLW0603 - one constructor for all threads
        with _lock:
            if not _rooms:
                _original = keras.Variable.__init__
                keras.Variable.__init__ = _counted
            _rooms[threading.get_ident()] = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to count."""
        with _lock:
            _rooms.pop(threading.get_ident(), None)
            if not _rooms:
                keras.Variable.__init__ = _original


def _counted(
    self: Any, initializer: Any, shape: Any = None, *rest: Any, **more: Any
) -> None:
    room = _rooms.get(threading.get_ident())
    if room is not None and isinstance(shape, tuple | list):
        room.take(shape)
    _original(self, initializer, shape, *rest, **more)
