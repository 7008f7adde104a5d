"""A bootstrap while the data come: many states, each of rows drawn again.

Each row counts a random number of times in each of the states, as often as it would in
a data set drawn with replacement from endless data: Poisson of mean 1 (Oza and Russell,
Online bagging and boosting, 2001; Chamandy, Muralidharan, Najmi and Naidu, Estimating
uncertainty for massive data streams, Google 2012).

The number is a hash of the seed, the row's place in the stream and the state's number.
So it is the same on every backend, for every size of batch and after a resumed
epoch; and two epochs, whose rows come in one order, are drawn alike.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.replicas import this_replica
from multiback.metrics.inputs.arguments import as_integer
from multiback.metrics.inputs.batch import INT32, Given, to_tensor, value_batch
from multiback.metrics.statistics.statistic import (
    CountsCauses,
    PairStatistic,
    State,
    Tensor,
)
from multiback.metrics.statistics.sums import ValueStatistic

if keras.backend.backend() == "jax":
    from multiback.metrics.base import jax as backend
elif keras.backend.backend() == "tensorflow":
    from multiback.metrics.base import tensorflow as backend  # type: ignore[no-redef]
else:
    from multiback.metrics.base import torch as backend  # type: ignore[no-redef]

Intervals = Literal["bootstrap"] | Mapping[str, int] | None

REPLICATES = 200
# Keys of a state: those of the states of drawn rows, and how many rows there were.
DRAWN, ROWS = "drawn_", "drawn_rows"
UNUSABLE = "unusable"
MOST_MB = 256.0
_GOLDEN = 0x9E3779B1
INT32_BYTES = 4
# The hash keeps this many of its 32 bits.
_BITS = 24


def _thresholds() -> tuple[int, ...]:
    """Return from which hash on a row counts once, twice, and so on."""
    shares = np.cumsum([math.exp(-1.0) / math.factorial(k) for k in range(10)])
    return tuple(int(share * 2**_BITS + 0.5) for share in shares)


THRESHOLDS = _thresholds()


def bootstrap_of(
    statistic: Any, intervals: Any, never: str | None
) -> "BootstrapStates | None":
    """Return what `intervals=` of a metric asks for, if anything.

    `never` says why the metric cannot draw its rows again, which then raises.
    """
    if intervals is None:
        return None
    given = {} if intervals == "bootstrap" else intervals
    if not isinstance(given, Mapping) or not set(given) <= {"replicates", "seed"}:
        raise ArgumentError(
            'intervals= wants "bootstrap", a mapping such as {"replicates": 200, '
            f'"seed": 0}}, or None, not {intervals!r}.'
        )
    if never is not None:
        raise ArgumentError(f"intervals= wants None here: {never}.")
    replicates = as_integer("replicates", given.get("replicates", REPLICATES), 2)
    found = BootstrapStates(
        statistic, replicates, as_integer("seed", given.get("seed", 0), 0)
    )
    megabytes = found.megabytes
    if megabytes > MOST_MB:
        raise ArgumentError(
            f"intervals= would take {megabytes:,.0f} MB, more than {MOST_MB:,.0f}: "
            f"{replicates} states. Give a smaller num_bins=, capacity= or replicates, "
            "or use multiback.metrics.bootstrap() on arrays."
        )
    return found


@dataclasses.dataclass(frozen=True)
class BootstrapStates(CountsCauses):
    """A statistic, and beside its state many states of rows drawn again.

    The state has the keys of the statistic, and for each but the causes one more that
    holds those of all drawn states, with the number of the draw as first axis; and the
    number of rows, int32.
    """

    statistic: PairStatistic | ValueStatistic
    replicates: int = REPLICATES
    seed: int = 0

    @property
    def adds(self) -> bool:  # type: ignore[override]  # As the statistic does.
        """Whether adding two states element by element is a valid `merge`."""
        return self.statistic.adds

    @property
    def megabytes(self) -> float:
        """The size of the drawn states."""
        sizes = [math.prod(value.shape) for value in self.statistic.init().values()]
        return float(4.0 * self.replicates * sum(sizes) / 1e6)

    def init(self) -> State:
        """Return the state of no data."""
        own = self.statistic.init()
        drawn = {
            DRAWN + key: ops.zeros((self.replicates, *value.shape), dtype=value.dtype)
            for key, value in own.items()
            if key != UNUSABLE
        }
        return {**own, **drawn, ROWS: ops.zeros((1,), dtype="int32")}

    def update(
        self,
        state: State,
        *batch: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""
        given = (batch, sample_weight, mask)
        update = self._update
        tensors = _tensors(given)
        if tensors is not None:
            given, update = tensors, _compiled_update(self)
        after: State = update(state, this_replica(), *given)
        return after

    def _update(
        self,
        state: State,
        replica: Any,
        batch: tuple[Tensor, ...],
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> State:
        own, drawn = self.apart(state)
        statistic: Any = self.statistic
        own = statistic.update(own, *batch, sample_weight=sample_weight, mask=mask)
        first = to_tensor(batch[0], "y_true", labels=False)
        number = ops.shape(first)[0] if len(first.shape) else 1
        places = state[ROWS] + ops.arange(number, dtype="int32")
        rows = _mixed(ops.bitwise_xor(_mixed(places), _as_int32(self.seed * _GOLDEN)))
        rows = _mixed(ops.bitwise_xor(rows, _mixed(replica + ops.zeros_like(rows))))
        weights = None
        if sample_weight is not None:
            weights = to_tensor(sample_weight, "sample_weight", labels=False)
            weights = ops.cast(weights, "float32")
        axes = 0 if weights is None else max(len(weights.shape) - 1, 0)

        def with_batch(pair: tuple[Tensor, State]) -> State:
            each = times_drawn(ops.bitwise_xor(rows, pair[0]))
            each = ops.reshape(each, (-1, *(1,) * axes) if len(first.shape) else ())
            each = each if weights is None else each * weights
            return self._added(pair[1], batch, each, mask)

        numbers = _mixed(1 + ops.arange(self.replicates, dtype="int32"))
        drawn = backend.mapped(with_batch, (numbers, drawn), number)
        return self.together(own, drawn, state[ROWS] + number)

    def _added(
        self, state: State, batch: tuple[Tensor, ...], weights: Tensor, mask: Any
    ) -> State:
        """Return a drawn state with a batch in it, without counting causes again."""
        statistic, given = self.statistic, {**state, UNUSABLE: self.no_causes()}
        if isinstance(statistic, PairStatistic):
            y_true, y_pred = batch
            after, _ = statistic.add(given, Given(y_true, y_pred, weights, mask))
        else:
            after, _ = statistic.add(given, value_batch(batch, weights, mask))
        return {key: after[key] for key in state}

    def merge(self, a: State, b: State) -> State:
        """Return the state of all data, from the states of two parts."""
        (own_a, drawn_a), (own_b, drawn_b) = self.apart(a), self.apart(b)
        merge, no_causes = self.statistic.merge, {UNUSABLE: self.no_causes()}

        def merged(pair: tuple[State, State]) -> State:
            found = merge({**pair[0], **no_causes}, {**pair[1], **no_causes})
            return {key: found[key] for key in pair[0]}

        drawn = backend.mapped(merged, (drawn_a, drawn_b), 1)
        return self.together(merge(own_a, own_b), drawn, a[ROWS] + b[ROWS])

    def apart(self, state: State) -> tuple[State, State]:
        """Return the state of the data, and those of drawn rows."""
        own = {k: v for k, v in state.items() if not k.startswith(DRAWN)}
        return own, {k: state[DRAWN + k] for k in own if k != UNUSABLE}

    def together(self, own: State, drawn: State, rows: Tensor) -> State:
        """Return one state of what `apart` returns."""
        return {**own, **{DRAWN + k: v for k, v in drawn.items()}, ROWS: rows}

    def all_states(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the state itself and behind it the drawn ones, for NumPy arrays.

        The causes are those of the data: a draw cannot use more.
        """
        own, drawn = self.apart(state)
        repeated = np.stack([own[UNUSABLE]] * (1 + self.replicates))
        return {
            UNUSABLE: repeated,
            **{k: np.concatenate([own[k][None], v]) for k, v in drawn.items()},
        }

    def causes(self, given: Any) -> Tensor:
        """Count the elements of a batch that have each cause."""
        return self.statistic.causes(given)

    def unusable(self, state: dict[str, Any]) -> dict[str, int]:
        """Return the number of elements by cause, for host arrays."""
        return self.statistic.unusable(state)

    def explain(self, name: str, cause: str, count: int) -> str:
        """Return the sentence of a warning about a cause."""
        return self.statistic.explain(name, cause, count)

    def explain_labels(self) -> str:
        """Describe the labels or targets that can be used."""
        return self.statistic.explain_labels()


def times_drawn(hashed: Tensor) -> Tensor:
    """Return how often rows with these random int32 count: Poisson of mean 1."""
    uniform = ops.bitwise_and(ops.right_shift(_mixed(hashed), 8), 2**_BITS - 1)
    reached = [ops.cast(ops.greater_equal(uniform, t), "float32") for t in THRESHOLDS]
    return sum(reached[1:], reached[0])


def _mixed(words: Tensor) -> Tensor:
    """Return words whose every bit depends on all bits: "lowbias32" of C. Wellons.

    int32 throughout, which all backends have and which wraps around on all.
    """
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, None)):
        kept = 2 ** (32 - shift) - 1  # A shift of int32 repeats the sign.
        moved = ops.bitwise_and(ops.right_shift(words, shift), kept)
        words = ops.bitwise_xor(words, moved)
        if factor is not None:
            words = words * _as_int32(factor)
    return words


def _as_int32(number: int) -> Any:
    number %= 2**32
    return np.int32(number - 2**32 if number >= 2**31 else number)


def _tensors(given: tuple[Any, Any, Any]) -> Any:
    """Return the inputs of an update as tensors; None if a backend would change one."""
    batch, weights, mask = given
    flat = (*batch, weights, mask)
    found = [None if each is None else _tensor(each) for each in flat]
    if any(a is None and b is not None for a, b in zip(found, flat, strict=True)):
        return None
    return tuple(found[:-2]), found[-2], found[-1]


def _tensor(values: Any) -> Tensor | None:
    if ops.is_tensor(values):
        return values
    array = np.asarray(values)
    wide = array.dtype.kind in "iu" and array.dtype.itemsize > INT32_BYTES
    if array.dtype.kind not in "biuf" or (wide and not _fits(array)):
        return None
    return ops.convert_to_tensor(values)


def _fits(array: Any) -> bool:
    return not array.size or INT32[0] <= array.min() <= array.max() <= INT32[1]


@functools.lru_cache
def _compiled_update(states: BootstrapStates) -> Any:
    """Return `states._update` as one call: else a backend would run it bit by bit."""
    return backend.compiled(states._update)  # noqa: SLF001 - of this module


def compiled_mapped(function: Callable[[State], Tensor]) -> Any:
    """Return `function` of each state along the first axis, as one compiled call."""
    return backend.compiled(functools.partial(ops.map, function))
