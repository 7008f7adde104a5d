"""One interface for third-party loaders whose position can be saved.

torch's `StatefulDataLoader` has `state_dict()` of its latest iterator, and the next
iterator begins where `load_state_dict` says. Grain's iterators have `get_state()` and
`set_state()`.
"""

from collections.abc import Iterator
from typing import Any

from multiback.errors import ArgumentError, StateError


class Source:
    """An iterator over a loader that restarts when it is exhausted.

    The loader, or its iterators, have `state_dict` and `load_state_dict`.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._iterator: Iterator[Any] | None = None
        self._begun: list[Any] = []
        # Whether the iterator has given a batch, and whether it is exhausted.
        self._given = self._ended = False
        self.of_loader = _has(loader, "state_dict", "load_state_dict")
        if not hasattr(loader, "__iter__"):
            raise ArgumentError(_UNUSABLE.format(type(loader).__name__))
        if not self.of_loader:
            self._open()
            if not _has(self._iterator, "get_state", "set_state"):
                raise ArgumentError(_UNUSABLE.format(type(loader).__name__))

    def state(self, *, through: bool) -> dict[str, Any]:
        """Return the position of the next batch.

        With `through` the next batch is of a new iterator. The last one is then read to
        its end: a sampler may draw a last time there, and its state does not show that.
        """
        if self._iterator is None:
            self._open()
        if through and self._given and not self._ended:
            for _ in self._iterator:  # type: ignore[union-attr]
                raise ArgumentError(_LENGTH.format("continued after"))
            self._ended = True
        at: Any = self._loader if self.of_loader else self._iterator
        return {
            "loader": at.state_dict() if self.of_loader else at.get_state(),
            "begun": self._begun,
            "generators": [one.get_state() for one in _generators(self._loader)],
            "given": self._given,
            "ended": self._ended,
        }

    def _open(self) -> None:
        self._begun = [one.get_state() for one in _generators(self._loader)]
        self._iterator = iter(self._loader)
        self._given = self._ended = False

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state.

        torch's own samplers draw from their generators once more when the iterator is
        made, from the generators' state at its first creation. And `StatefulDataLoader`
        then draws a seed, which is not in its state: with a generator that it shares
        with its sampler the next epoch would differ.
        """
        generators = _generators(self._loader)
        if len(generators) != len(state["generators"]):
            raise StateError(
                f"The loader has {len(generators)} generators and had "
                f"{len(state['generators'])} when it was saved. Make it as then."
            )
        try:
            _set(generators, state["begun"])
            if self.of_loader:
                self._loader.load_state_dict(state["loader"])
            self._open()
            if not self.of_loader:
                self._iterator.set_state(state["loader"])  # type: ignore[union-attr]
            _set(generators, state["generators"])
            if state["ended"]:
                self._open()
        except Exception as error:
            raise StateError(
                f"{type(self._loader).__name__} does not take the state that it was "
                f"saved with: {error!r}. Make it as it was made then."
            ) from error
        if not state["ended"]:
            self._begun, self._given = state["begun"], state["given"]

    def read(self, *, restart: bool) -> Any:
        """Return the next batch; with `restart`, the first one after the last."""
        if self._iterator is None or self._ended:
            self._open()
        try:
            batch = next(self._iterator)  # type: ignore[arg-type]
        except StopIteration:
            if not self._given:
                name = type(self._loader).__name__
                raise ArgumentError(_EMPTY.format(name)) from None
            if not restart:
                raise ArgumentError(_LENGTH.format("ended before")) from None
            self._open()
            return self.read(restart=False)
        self._given = True
        return batch


_LENGTH = "The loader {} its len(). Pass batches= to say how many are an epoch."
_EMPTY = "loader= has a {} without a batch, or one that can be gone through only once."
_UNUSABLE = (
    "loader= has a {}, which cannot say where it stands. Wanted: torchdata's "
    "StatefulDataLoader, a Grain dataset or loader, or what has state_dict() and "
    "load_state_dict(), or iterators with get_state() and set_state(). Pass arrays as "
    "mb.data.Resumable; a run with other data, such as tf.data, resumes at an epoch's "
    "end."
)


def _has(one: Any, *names: str) -> bool:
    return all(callable(getattr(one, name, None)) for name in names)


def _generators(loader: Any) -> list[Any]:
    """Return the random generators of a torch data loader, each once."""
    batch_sampler = getattr(loader, "batch_sampler", None)
    owners = [
        loader,
        getattr(loader, "sampler", None),
        batch_sampler,
        getattr(batch_sampler, "sampler", None),
    ]
    found = [getattr(owner, "generator", None) for owner in owners]
    return list({id(g): g for g in found if _has(g, "get_state", "set_state")}.values())


def _set(generators: list[Any], states: list[Any]) -> None:
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
