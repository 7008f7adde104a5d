"""One checkpoint file that Lightning's own ModelCheckpoint wrote."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from multiback.adapters.lightning.own_files.archive import (
    Archive,
    dtype_of,
    open_archive,
)
from multiback.adapters.lightning.own_files.pickled import Tensor, read_pickle
from multiback.errors import CorruptCheckpointError

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)"
_PAIR = re.compile(rf"(?:^|-)([^\s=-][^=]*?)=({_NUMBER})(?=-|$)", re.ASCII)
_MODE = re.compile(r"'mode': '(min|max)'")


@dataclass(frozen=True)
class Opinion:
    """The state of one Lightning ModelCheckpoint when a file was written.

    Attributes:
        monitor: The name that it monitors.
        mode: Which way is better; "" if it does not say.
        folder: Its folder, as it wrote it.
        scores: By file name.
        best: The name of the best file.
        last: The name of the newest file.
    """

    monitor: str
    mode: str
    folder: tuple[str, ...]
    scores: Mapping[str, float]
    best: str
    last: str


@dataclass(frozen=True)
class LightningFile:
    """A checkpoint that Lightning wrote, as its file describes it.

    Its fields are named as those of `multiback.store.Checkpoint`, so that the command
    line lists both alike. Epochs and steps count as Lightning counts them.

    Attributes:
        path: The file.
        run_id: Its folder within the directory that is listed.
        sequence: The place among the files that are listed, oldest first.
        epoch: The epoch in which it was saved; the first is 0.
        step: The optimizer steps until then.
        metrics: The numbers in its name, and the exact monitored value.
        created: When it was written, in seconds since 1970.
        size: Bytes.
        versions: Lightning's version.
        variables: The name, shape and dtype of each tensor of the module's state.
        marks: "best" and "last", as Lightning sees it; filled by the listing.
        extra: Its scores, as in a manifest of multiback.
        opinions: The states of Lightning's callbacks.
    """

    path: Path
    run_id: str
    sequence: int
    epoch: int
    step: int
    metrics: Mapping[str, float] = field(compare=False)
    created: float
    size: int
    versions: Mapping[str, str] = field(compare=False)
    variables: tuple[Mapping[str, Any], ...] = field(compare=False, repr=False)
    marks: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False)
    opinions: tuple[Opinion, ...] = field(default=(), compare=False, repr=False)
    backend: str = "torch"
    architecture: None = None
    state_format: str = "lightning"

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def location(self) -> str:
        """The file's path."""
        return str(self.path)

    def judged(self, opinions: tuple[Opinion, ...]) -> "LightningFile":
        """Add the callbacks' records of this file, or of another of the same moment."""
        scores = {one.monitor: one.scores[self.name] for one in opinions}
        modes = {one.monitor: one.mode for one in opinions if one.mode}
        extra = {"scores": scores, "modes": modes, "ranking": list(modes)[:1]}
        return replace(self, metrics={**self.metrics, **scores}, extra=extra)

    def damage(self, progress: Callable[[int], None] | None = None) -> list[str]:
        """Read the file; yield an error for each part that differs from its CRC-32.

        The archive has a CRC-32 of each array and none of itself, so a file that was
        replaced by a whole other one shows no damage.
        """
        try:
            with open_archive(self.path) as archive:
                state = _state_of(archive)
                wrong = archive.damage(progress)
                lost = [k for k, v in _tensors(state) if archive.missing(v)]
        except (OSError, ValueError) as error:
            return [f"{self.path} cannot be read: {error}"]
        return [
            *(f"{self.path}: {name} differs from its CRC-32" for name in wrong),
            *(f"{self.path}: the bytes of {name} are not there" for name in lost),
        ]


def metrics_in(name: str) -> dict[str, float]:
    """Read the numbers in a file's name, as rounded there.

    >>> metrics_in("epoch=3-step=40-val_f1=0.91-v1.ckpt"), metrics_in("last.ckpt")
    ({'val_f1': 0.91}, {})
    >>> metrics_in("e-val-loss=-1.5e-05.ckpt")
    {'val-loss': -1.5e-05}
    """
    pairs = _PAIR.findall(name.removesuffix(".ckpt").removeprefix("e-"))
    found = {key: float(number) for key, number in pairs}
    return {key: x for key, x in found.items() if key not in ("epoch", "step")}


def read_file(path: Path, run_id: str = ".") -> LightningFile:
    """Read a regular file's description of itself, and no array."""
    try:
        status = path.stat()
        with open_archive(path) as archive:
            state = _state_of(archive)
            opinions = _opinions(archive, state.get("callbacks"))
    except (OSError, ValueError) as error:
        raise CorruptCheckpointError(
            f"{path} must be a checkpoint that Lightning wrote, but is not: {error}. "
            "Load it where it was written, or delete it."
        ) from error
    version = state.get("pytorch-lightning_version")
    return LightningFile(
        path=path,
        run_id=run_id,
        sequence=0,
        epoch=state["epoch"],
        step=state["global_step"],
        metrics=metrics_in(path.name),
        created=status.st_mtime,
        size=status.st_size,
        versions={"lightning": str(version)} if _is_name(version) else {},
        variables=tuple(
            {
                "key": name,
                "group": "weights",
                "path": name,
                "shape": list(tensor.shape),
                "dtype": dtype_of(tensor),
            }
            for name, tensor in _tensors(state)
        ),
        opinions=opinions,
    )


def _state_of(archive: Archive) -> dict[str, Any]:
    """Return the dictionary of a checkpoint, or raise a ValueError."""
    state = read_pickle(archive.pickle())
    if not isinstance(state, dict):
        raise ValueError("data.pkl holds no dictionary")  # noqa: TRY004 - a file, no argument
    for key in ("epoch", "global_step"):
        if type(state.get(key)) is not int or not 0 <= state[key] < 1 << 63:
            raise ValueError(f"data.pkl has no {key!r}, as Lightning writes it")
    return state


def _tensors(state: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    """Return the tensors of a module's state, with names safe in a terminal."""
    found = state.get("state_dict")
    pairs = found.items() if isinstance(found, dict) else ()
    return [
        (name if str(name).isprintable() else ascii(name), value)
        for name, value in pairs
        if isinstance(value, Tensor) and isinstance(name, str)
    ]


def _opinions(archive: Archive, callbacks: object) -> tuple[Opinion, ...]:
    """Return the state of each of Lightning's ModelCheckpoints."""
    found = []
    for key, state in callbacks.items() if isinstance(callbacks, dict) else ():
        if not isinstance(state, dict) or not _is_name(state.get("monitor")):
            continue
        kept = state.get("best_k_models")
        scores = {
            _parts(path)[-1]: score
            for path, value in (kept.items() if isinstance(kept, dict) else ())
            if isinstance(path, str) and (score := archive.scalar(value)) is not None
        }
        mode = _MODE.search(key[:1000]) if isinstance(key, str) else None
        opinion = Opinion(
            monitor=state["monitor"],
            mode=mode[1] if mode else "",
            folder=_parts(state.get("dirpath")),
            scores=scores,
            best=_parts(state.get("best_model_path"))[-1],
            last=_parts(state.get("last_model_path"))[-1],
        )
        found.append(opinion)
    return tuple(found)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) < 1000 and value.isprintable()  # noqa: PLR2004 - what a person would name


def _parts(path: object) -> tuple[str, ...]:
    """Split a path of any system; one empty part for None.

    >>> _parts("/runs/a/last.ckpt")[-2:], _parts(None)
    (('a', 'last.ckpt'), ('',))
    """
    return tuple(re.split(r"[\\/]", path)) if isinstance(path, str) else ("",)
