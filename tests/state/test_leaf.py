"""What frameworks make of a training's state is saved as it is."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
from support.backends import BACKEND

from multiback.errors import ArgumentError
from multiback.state import restore_tree, snapshot, tree


class Pair(NamedTuple):
    a: object
    b: object


@dataclasses.dataclass(frozen=True)
class TrainState:
    params: object
    step: object


def back(source, template=None):
    """Save a tree and restore it, by the tree itself or by another template."""
    taken = snapshot(source)
    return restore_tree(
        source if template is None else template, taken.arrays, taken.index
    )


@pytest.mark.parametrize(
    "leaf", ["min", "", "\udc80 ä", b"\x00\xff", None, 2**200, -(2**200), True, 3, 0.5]
)
def test_text_and_other_plain_data_come_back_as_they_were(leaf):
    taken = snapshot({"one": [leaf, 1.0]})
    assert tree(taken.arrays, taken.index) == {"one": [leaf, 1.0]}
    other = {"one": ["other" if isinstance(leaf, str) else leaf, 0.0]}
    again = restore_tree(other, taken.arrays, taken.index)["one"][0]
    assert again == leaf
    assert type(again) is type(leaf)


@pytest.mark.parametrize(
    "source",
    [
        Pair(np.ones(2), 1),
        [np.ones(2), "text"],
        (np.ones(2), None),
        TrainState({"w": np.ones(2)}, 3),
        {"state": TrainState({"w": np.ones(2)}, [Pair(1, 2)])},
    ],
    ids=["a named tuple", "a list", "a tuple", "a dataclass", "a dataclass within"],
)
def test_any_structure_may_be_at_the_top(source):
    again = back(source)
    assert type(again) is type(source)
    assert str(again) == str(source)


@pytest.mark.parametrize("leaf", [object(), len, {1, 2}, TrainState])
def test_what_cannot_be_data_is_named(leaf):
    with pytest.raises(ArgumentError, match="'a/b' must be an array"):
        snapshot({"a": {"b": leaf}})


@pytest.mark.skipif(BACKEND != "torch", reason="what torch makes")
class TestTorch:
    def parts(self):
        import torch

        net = torch.nn.Linear(3, 2)
        named = torch.optim.AdamW(net.named_parameters(), lr=0.1)
        net(torch.ones(1, 3)).sum().backward()
        named.step()
        return torch, net, named

    def test_an_optimizer_of_named_parameters_and_its_schedules(self):
        torch, net, named = self.parts()
        schedules = torch.optim.lr_scheduler
        made = [
            lambda: schedules.ReduceLROnPlateau(named),
            lambda: schedules.OneCycleLR(named, 0.1, total_steps=9),
            lambda: schedules.CosineAnnealingLR(named, 5),
        ]
        for make in made:
            state = {"opt": named.state_dict(), "schedule": make().state_dict()}
            again = back(state)
            assert again["schedule"] == state["schedule"]
            other = torch.optim.AdamW(net.named_parameters(), lr=0.5)
            other.load_state_dict(again["opt"])
            assert other.param_groups[0]["lr"] == state["opt"]["param_groups"][0]["lr"]
            make().load_state_dict(again["schedule"])

    @pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
    @pytest.mark.parametrize("layout", ["coo", "csr"])
    def test_sparse_tensors(self, layout):
        torch, _, _ = self.parts()
        whole = torch.tensor([[0.0, 2.0], [0.0, 3.0]])
        leaf = whole.to_sparse() if layout == "coo" else whole.to_sparse_csr()
        again = back({"w": leaf})["w"]
        assert again.layout == leaf.layout
        assert torch.equal(again.to_dense(), whole)

    def test_conjugate_and_narrow_tensors(self):
        torch, _, _ = self.parts()
        conjugate = torch.tensor([1 + 2j], dtype=torch.complex64).conj()
        assert torch.equal(back({"w": conjugate})["w"], conjugate.resolve_conj())
        for name in ("float8_e4m3fn", "float8_e5m2", "bfloat16"):
            leaf = torch.tensor([1.5, -2.0]).to(getattr(torch, name))
            again = back({"w": leaf})["w"]
            assert again.dtype == leaf.dtype
            assert torch.equal(again.float(), leaf.float())


@pytest.mark.skipif(BACKEND != "jax", reason="what JAX makes")
class TestJax:
    @pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
    def test_typed_keys(self, implementation):
        import jax

        key = jax.random.key(7, impl=implementation)
        other = jax.random.key(8, impl=implementation)
        again = back({"rng": key}, {"rng": other})["rng"]
        assert again.dtype == key.dtype
        assert jax.random.normal(again) == jax.random.normal(key)

    def test_a_template_may_hold_shapes_in_place_of_arrays(self):
        import jax
        import jax.numpy as jnp

        source = {"w": jnp.ones((2, 3)), "n": jnp.zeros(4, "int32")}
        again = back(source, jax.eval_shape(lambda: source))
        np.testing.assert_array_equal(again["w"], np.ones((2, 3)))
        assert again["n"].dtype == np.int32

    def test_a_registered_dataclass(self):
        import jax
        import jax.numpy as jnp

        kind = jax.tree_util.register_dataclass(
            dataclasses.make_dataclass("Registered", ["params", "step"]),
            data_fields=["params", "step"],
            meta_fields=[],
        )
        again = back(kind({"w": jnp.ones(2)}, 3))
        assert isinstance(again, kind)
        assert jax.tree.leaves(again)[0].tolist() == [1.0, 1.0]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="what TensorFlow makes")
class TestTensorFlow:
    def test_sparse_tensors_and_slices(self):
        import tensorflow as tf

        again = back({"w": tf.sparse.eye(2)})["w"]
        np.testing.assert_array_equal(tf.sparse.to_dense(again), np.eye(2))
        for shape in (None, tf.constant([3, 2])):
            values, indices = tf.ones((1, 2)), tf.constant([1])
            slices = tf.IndexedSlices(values, indices, shape)
            again = back({"w": slices})["w"]
            assert isinstance(again, tf.IndexedSlices)
            np.testing.assert_array_equal(again.values, values)

    def test_a_generator(self):
        import tensorflow as tf

        made = tf.random.Generator.from_seed(1)
        made.normal([3])
        again = back({"rng": made}, {"rng": tf.random.Generator.from_seed(2)})["rng"]
        np.testing.assert_array_equal(again.normal([3]), made.normal([3]))
