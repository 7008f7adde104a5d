"""Nested mappings of arrays (a torch `state_dict`, a JAX pytree) as flat keys."""

from multiback.state.tree.index import leaves, live_leaves
from multiback.state.tree.rebuild import restore_tree, tree
from multiback.state.tree.walk import changes_in_place, is_tree, keras_objects, key_of

__all__ = [
    "changes_in_place",
    "is_tree",
    "keras_objects",
    "key_of",
    "leaves",
    "live_leaves",
    "restore_tree",
    "tree",
]
