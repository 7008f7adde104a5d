"""A model's state as plain host arrays, and its architecture as plain JSON.

`snapshot` and `restore` carry every variable; `describe` and `rebuild` carry what
the variables belong to. What one backend wrote, any other reads. A metric,
optimizer or layer is never pickled.
"""

from multiback.state.describe import Description, describe
from multiback.state.fitting import DeviceValue
from multiback.state.host import host_view, is_sharded, page_locked_for
from multiback.state.rebuild import (
    custom_classes,
    rebuild,
    rebuild_from_keras_file,
    write_keras_file,
)
from multiback.state.restore import RestoreReport, restore, without_frozen_slots
from multiback.state.snapshot import Snapshot, snapshot, values
from multiback.state.tree import restore_tree, tree

__all__ = [
    "Description",
    "DeviceValue",
    "RestoreReport",
    "Snapshot",
    "custom_classes",
    "describe",
    "host_view",
    "is_sharded",
    "page_locked_for",
    "rebuild",
    "rebuild_from_keras_file",
    "restore",
    "restore_tree",
    "snapshot",
    "tree",
    "values",
    "without_frozen_slots",
    "write_keras_file",
]
