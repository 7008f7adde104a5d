"""A directory of checkpoints that Lightning's own ModelCheckpoint wrote."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from multiback.adapters.lightning.own_files.file import (
    LightningFile,
    Opinion,
    read_file,
)
from multiback.errors import CorruptCheckpointError
from multiback.store import Owner

SUFFIX = ".ckpt"
# `lightning_logs/version_0/checkpoints` is three deep, and a logger may add its own.
_DEPTH = 5
_MAX_ENTRIES = 100_000


class LightningDirectory:
    """The checkpoints under a directory, as the command line lists them.

    A run is a folder with checkpoints; its id is the folder's relative path. No file is
    unpickled, and neither Lightning nor torch is needed.

    Args:
        path: Such as `lightning_logs`, one version of it, or a `dirpath=`.

    Attributes:
        path: The directory.
        skipped: What the last listing skipped: paths and reasons.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     LightningDirectory(folder).checkpoints()
        []
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).resolve()
        self.skipped: list[tuple[Path, str]] = []

    @property
    def location(self) -> str:
        """The path as text."""
        return str(self.path)

    def is_empty(self) -> bool:
        """Return whether no file here has a checkpoint's name."""
        return next(self._candidates(), None) is None

    def _candidates(self) -> Iterator[Path]:
        """Walk over files with a checkpoint's name, within bounds."""
        seen = 0
        for folder, folders, files in os.walk(self.path):
            depth = len(Path(folder).relative_to(self.path).parts)
            shards = [name for name in folders if name.endswith(SUFFIX)]
            folders[:] = sorted(
                name
                for name in folders
                if depth < _DEPTH and name not in shards and not name.startswith(".")
            )
            for name in sorted([*files, *shards]):
                if name.endswith(SUFFIX):
                    yield Path(folder, name)
            seen += len(files) + len(folders)
            if seen > _MAX_ENTRIES:
                return

    def checkpoints(self, run_id: str | None = None) -> list[LightningFile]:
        """List the readable checkpoints of a run or all, oldest first."""
        self.skipped = []
        folders: dict[str, list[LightningFile]] = {}
        links: dict[str, list[Path]] = {}
        for path in self._candidates():
            run = path.parent.relative_to(self.path).as_posix()
            if run_id is not None and run != run_id:
                continue
            if path.is_symlink() and path.resolve().parent == path.parent:
                links.setdefault(run, []).append(path)
                continue
            if reason := _unreadable(path):
                self.skipped.append((path, reason))
                continue
            try:
                one = read_file(path, run)
            except CorruptCheckpointError as error:
                self.skipped.append((path, str(error)))
            else:
                folders.setdefault(run, []).append(one)
        found = [
            one
            for run, files in folders.items()
            for one in _judged(files, links.get(run, []))
        ]
        found.sort(key=_age)
        return [replace(one, sequence=i) for i, one in enumerate(found, start=1)]

    def writers(self) -> Sequence[Owner]:
        """Return an empty list: Lightning does not record its writers."""
        return ()

    def latest_run(self) -> str | None:
        """Return the run of the newest file, or None."""
        found = self.checkpoints()
        return found[-1].run_id if found else None


def _age(one: LightningFile) -> tuple[float, int, str]:
    return one.created, one.step, one.name


def _unreadable(path: Path) -> str | None:
    """Return why a file is not even opened, or None."""
    if path.is_symlink():
        return "it is a symbolic link to elsewhere"
    if path.is_dir():
        return "it is a directory, as strategies that divide a model write"
    if not path.is_file():
        return "it is no regular file"
    return None if path.name.isprintable() else "its name cannot be printed"


def _judged(
    files: Sequence[LightningFile], links: Sequence[Path]
) -> Iterator[LightningFile]:
    """Yield one folder's files with their scores and Lightning's labels."""
    ordered = sorted(files, key=_age)
    judged = [
        one.judged(own)
        for one in ordered
        if (own := tuple(x for x in _nearest(one) if one.name in x.scores))
    ]
    newest = _nearest(ordered[-1])
    aliases = {path.name: path.resolve().name for path in links}
    marks = {
        mark: {aliases.get(name, name) for name in names}
        for mark, names in {
            "best": {x.best for x in newest},
            "last": {x.last for x in newest},
        }.items()
    }
    for one in ordered:
        twin = _twin(one, judged)
        yield replace(
            one,
            metrics={**one.metrics, **twin.metrics},
            extra=twin.extra,
            marks=tuple(mark for mark, names in marks.items() if one.name in names),
        )


def _twin(one: LightningFile, judged: Sequence[LightningFile]) -> LightningFile:
    """Return the file with this one's scores: itself, or one of the same moment.

    Callbacks record no score of `last.ckpt`, but of the file that was saved with it.
    Two trainings may have left files of one step in one folder.
    """
    same = [x for x in judged if (x.epoch, x.step) == (one.epoch, one.step)]
    own = [x for x in same if x.name == one.name]
    return min(own or same, key=lambda x: abs(x.created - one.created), default=one)


def _nearest(one: LightningFile) -> list[Opinion]:
    """Return the records of callbacks that write into this file's folder.

    Each file holds all callbacks' states. A directory may have been moved since, so the
    records whose folder shares the longest end with this one's count.
    """
    here = one.path.parent.parts

    def common(folder: tuple[str, ...]) -> int:
        same = 0
        for a, b in zip(reversed(here), reversed(folder), strict=False):
            if a != b:
                break
            same += 1
        return same

    most = max((common(x.folder) for x in one.opinions), default=0)
    return [x for x in one.opinions if common(x.folder) == most]
