"""What a description may ask Keras for, before Keras allocates it.

Keras allocates the weights of a layer, and the state of a metric, before anything can
be compared with what was saved. So the sizes are read in the config: a size of a layer
is one of the saved weights' sizes, and metrics have a limit of their own. Layers and
metrics of the user's own are not known here; `Room` counts what they allocate.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from multiback.errors import StateError
from multiback.keras_private import KERAS_SOURCE
from multiback.state.portable import Config, objects_in

MAX_METRICS = 2 << 30
"""Bytes of all metrics. An AUROC of 1000 classes takes a quarter of it."""

_LAYER_SIZES = ("filters", "input_dim", "key_dim", "num_heads", "output_dim", "units")
# No layer of this size is worth refusing.
_SMALL = 1 << 13
# These keep a number for each pair of classes.
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


def check_bounds(config: Mapping[str, Any], index: Sequence[Mapping[str, Any]]) -> None:
    """Raise where a description asks for more memory than its checkpoint is worth.

    Args:
        config: `describe(model).config`.
        index: The entries of the checkpoint's variables.

    Raises:
        StateError: With what asks for it, and how to load it all the same.
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
