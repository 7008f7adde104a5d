"""Loaders of others: read once, in order, and resumed by their own state."""

import json
import random

import keras
import numpy as np
import pytest
import torch
from torchdata.stateful_dataloader import StatefulDataLoader

import multiback as mb
from multiback.errors import ArgumentError, StateError

X = np.random.default_rng(0).normal(size=(10, 2)).astype("float32")
Y = X.sum(axis=1)
ROWS = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))


def torch_loader(**arguments):
    """Make four batches, in another order each epoch."""
    generator = torch.Generator().manual_seed(1)
    arguments = {"batch_size": 3, "shuffle": True, "generator": generator, **arguments}
    return StatefulDataLoader(ROWS, **arguments)


def plain_sampler():
    """Use torch's own sampler: it has no state, and draws when it is first read."""
    generator = torch.Generator().manual_seed(2)
    sampler = torch.utils.data.RandomSampler(ROWS, generator=generator)
    return torch_loader(shuffle=False, sampler=sampler, generator=None)


def even_batches():
    """Leave the sampler one draw that it makes only at its end."""
    generator = torch.Generator().manual_seed(2)
    sampler = torch.utils.data.RandomSampler(ROWS, num_samples=8, generator=generator)
    return torch_loader(
        shuffle=False, sampler=sampler, generator=generator, batch_size=2
    )


def replacing_sampler():
    """Draw from a generator during an epoch."""
    generator = torch.Generator().manual_seed(2)
    sampler = torch.utils.data.RandomSampler(
        ROWS, replacement=True, num_samples=10, generator=generator
    )
    return torch_loader(shuffle=False, sampler=sampler, generator=generator)


class Grainlike:
    """A loader as Grain's are: the state is the iterator's, and JSON in bytes."""

    def __init__(self, batches=4):
        self.batches = batches
        self.read = []

    def __len__(self):
        return self.batches

    def __iter__(self):
        return GrainlikeIterator(self)


class GrainlikeIterator:
    def __init__(self, loader):
        self.loader = loader
        self.at = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.at == self.loader.batches:
            raise StopIteration
        rows = random.Random(self.at).sample(range(10), 3)
        self.loader.read.append(self.at)
        self.at += 1
        return X[rows], Y[rows]

    def get_state(self):
        return json.dumps({"at": self.at}).encode()

    def set_state(self, state):
        self.at = json.loads(state)["at"]


MAKERS = [torch_loader, plain_sampler, even_batches, replacing_sampler, Grainlike]


def of(make, batches=None):
    return mb.data.ResumableLoader(make(), batches)


def targets(made, epochs=1):
    return [y.tolist() for _ in range(epochs) for _, y in made]


def kept(state):
    return json.loads(json.dumps(state))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("batch", [0, 3, 4, 6])
def test_a_loop_continues_where_it_was(make, batch):
    expected = targets(of(make), 3)
    first = of(make)
    for _ in range(batch // 4):
        targets(first)
    for _ in zip(range(batch % 4), first, strict=False):
        pass
    again = of(make)
    again.load_state_dict(kept(first.state_dict()))
    assert targets(again, 3 - batch // 4) == expected[batch:]
    # To ask for the state changes nothing.
    assert targets(first, 3 - batch // 4) == expected[batch:]


def test_the_epochs_of_a_loader_differ_as_its_own_do():
    loader = torch_loader()
    own = [y.tolist() for _ in range(3) for _, y in loader]
    assert targets(of(torch_loader), 3) == own
    assert own[:4] != own[4:8]


@pytest.mark.parametrize("make", [torch_loader, Grainlike])
def test_an_epoch_of_so_many_batches_continues_in_the_next(make):
    expected = targets(of(make), 3)
    made = of(make, batches=3)
    assert targets(made, 2) == expected[:6]
    again = of(make, batches=3)
    again.load_state_dict(kept(made.state_dict()))
    assert targets(again, 2) == expected[6:]


def weights(train):
    """Return the weights after training: those of Adam tell every order apart."""
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse", jit_compile=False)
    train(model)
    return np.concatenate([np.ravel(each) for each in model.get_weights()])


def loop(model, made, epochs):
    for _ in range(epochs):
        for batch in made:
            model.train_on_batch(*batch)


@pytest.mark.parametrize("make", [torch_loader, Grainlike])
def test_fit_reads_each_batch_once_and_in_order(make):
    source = make()
    made = mb.data.ResumableLoader(source)
    found = weights(lambda model: model.fit(made, epochs=3, verbose=0))
    expected = weights(lambda model: loop(model, of(make), 3))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    if make is Grainlike:
        assert source.read == [0, 1, 2, 3] * 3
    assert (made.state_dict()["epoch"], made.state_dict()["batch"]) == (3, 0)


def test_fewer_steps_an_epoch_go_through_it_in_turn():
    made = of(torch_loader)
    found = weights(
        lambda model: model.fit(made, epochs=4, steps_per_epoch=2, verbose=0)
    )
    expected = weights(lambda model: loop(model, of(torch_loader), 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_no_more_is_kept_than_training_has_before_it():
    made = mb.data.ResumableLoader(Grainlike(batches=40))
    most = []

    class Counts(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
            most.append((len(made._kept), len(made._states)))

    weights(lambda model: model.fit(made, verbose=0, callbacks=[Counts()]))
    # TensorFlow reads ahead.
    ahead = 25 if keras.backend.backend() == "tensorflow" else 3
    assert max(max(each) for each in most) <= ahead


def test_a_second_reader_gets_the_same_batches():
    source = Grainlike()
    made = mb.data.ResumableLoader(source)
    made.on_epoch_begin()
    first = [made[i][1].tolist() for i in range(4)]
    assert [made[i][1].tolist() for i in range(4)] == first
    # A batch that Keras has passed, and that was dropped, is read again.
    assert made._is_over(3) is False
    made[3]
    assert [made[i][1].tolist() for i in range(4)] == first
    assert source.read[:4] == [0, 1, 2, 3]


def test_an_epoch_that_a_loop_left_is_passed_over():
    made = of(torch_loader)
    expected = targets(of(torch_loader), 2)
    next(iter(made))
    made.begin_epoch(7)
    assert made.state_at(7, 0) is None or made.state_dict()["epoch"] == 7
    assert targets(made) == expected[4:]
    assert made.state_dict()["epoch"] == 8


@pytest.mark.parametrize(
    "batch", [X, {"a": X, "b": (X, X)}, [X, torch.from_numpy(Y)], (X, Y, Y)]
)
def test_batches_become_what_every_backend_takes(batch):
    ((x, *_),) = mb.data.ResumableLoader(one_batch(batch))
    leaves = keras.tree.flatten(x)
    assert all(type(leaf) is np.ndarray for leaf in leaves)
    np.testing.assert_array_equal(leaves[0], X)


def one_batch(batch):
    class Once(Grainlike):
        def __iter__(self):
            made = GrainlikeIterator(self)
            return type(
                "I",
                (),
                {
                    "__next__": lambda _: (next(made), batch)[1],
                    "get_state": lambda _: made.get_state(),
                    "set_state": lambda _, s: made.set_state(s),
                },
            )()

    return Once(1)


@pytest.mark.parametrize(
    ("loader", "batches", "text"),
    [
        (torch.utils.data.DataLoader(ROWS), None, "DataLoader, which cannot say where"),
        (X, None, "ndarray, which cannot say where.*mb.data.Resumable"),
        (3, None, "int, which cannot say where"),
        (Grainlike(), 0, "0 batches"),
        (Grainlike(), 2.0, "batches= wants an integer"),
        (Grainlike(2**60), None, "Pass how many batches are an epoch"),
        (GrainlikeIterator(Grainlike()), None, "does not say how many batches"),
    ],
)
def test_what_cannot_be_used_is_refused(loader, batches, text):
    with pytest.raises(ArgumentError, match=text):
        mb.data.ResumableLoader(loader, batches)


def test_a_loader_that_ends_early_or_is_empty_is_an_error():
    class Wrong(Grainlike):
        def __len__(self):
            return 6

    with pytest.raises(ArgumentError, match="ended before its len"):
        targets(mb.data.ResumableLoader(Wrong()))
    with pytest.raises(ArgumentError, match="continued after its len"):
        targets(mb.data.ResumableLoader(Wrong(7)), 2)
    with pytest.raises(ArgumentError, match="without a batch"):
        targets(mb.data.ResumableLoader(Grainlike(0), 2))


def test_a_state_that_is_not_data_is_refused():
    class Odd(Grainlike):
        def __iter__(self):
            made = super().__iter__()
            made.get_state = lambda: {"rng": random.Random(3)}
            return made

    with pytest.raises(ArgumentError, match=r"state\['loader'\]\['rng'\] is of type"):
        targets(mb.data.ResumableLoader(Odd()))


def test_a_position_in_other_data_is_refused():
    made = of(torch_loader)
    with pytest.raises(StateError, match="batches was 4, is 3"):
        of(torch_loader, 3).load_state_dict(made.state_dict())
    with pytest.raises(StateError, match="of_loader was True, is False"):
        of(Grainlike).load_state_dict(made.state_dict())
    with pytest.raises(StateError, match="no loader's state"):
        made.load_state_dict(mb.data.Resumable(X, batch_size=3).state_dict())
    with pytest.raises(StateError, match="has 1 generators and had 2"):
        made.load_state_dict(
            of(
                lambda: torch_loader(
                    shuffle=False,
                    sampler=torch.utils.data.RandomSampler(
                        ROWS, generator=torch.Generator()
                    ),
                )
            ).state_dict()
        )


def test_a_state_that_the_loader_does_not_take_is_refused():
    made = of(Grainlike)
    state = made.state_dict()
    state["source"]["loader"] = {"$bytes": ""}
    with pytest.raises(StateError, match="Grainlike does not take the state"):
        made.load_state_dict(state)
