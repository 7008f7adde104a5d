"""The manifests of a remote run directory, copied into a local one.

All that decides anything, sequence numbers, free names, which run owns what, is in
the manifests, and the local store knows how. So a temporary local run directory holds
a directory with nothing but a manifest for each checkpoint that is committed remotely.
A process has one such mirror for a URL, and removes it when it ends; that of a process
that was killed is removed by the next.
"""

import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

from multiback.store.disk.files import Files
from multiback.store.disk.temporary import make_temporary
from multiback.store.format.manifest import (
    MANIFEST,
    MAX_MANIFEST,
    SAFETENSORS,
    parse_manifest,
)
from multiback.store.format.names import MAX_STORED_NAME, name_fault
from multiback.store.format.payload import FileEntry
from multiback.store.local.run_directory import RunDirectory
from multiback.store.remote.bucket import Bucket, ObjectInfo

CHECKPOINTS = "checkpoints"

Objects = dict[str, dict[str, ObjectInfo]]

_mirrors: dict[str, "Mirror"] = {}
_making = threading.Lock()


class _Scratch(Files):
    """Skip fsync: this directory is temporary."""

    def sync(self, descriptor: int) -> None:
        """Do nothing."""

    def sync_directory(self, path: Path) -> None:
        """Do nothing."""


class Mirror:
    """A local run directory with the manifests of a remote one.

    Get it from `mirror_of`.

    Args:
        bucket: The remote run directory.

    Attributes:
        bucket: The remote run directory.
        local: The local one.
        skipped: What the last refresh skipped: URLs and reasons.
        turn: A lock for several steps that belong together.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.local = RunDirectory(make_temporary(), _Scratch())
        self.skipped: list[tuple[str, str]] = []
        self.turn = threading.RLock()
        self._known: dict[str, tuple[str, Mapping[str, FileEntry]]] = {}

    def path_of(self, name: str) -> Path:
        """Return where a checkpoint's manifest is."""
        return self.local.path / CHECKPOINTS / name

    def forget(self, name: str) -> None:
        """Remove a checkpoint here; the next refresh lists it again."""
        self._known.pop(name, None)
        shutil.rmtree(self.path_of(name), ignore_errors=True)

    def keep_manifest(self, name: str) -> None:
        """Delete all but the manifest: the other files are uploaded."""
        for path in self.path_of(name).iterdir():
            if path.name != MANIFEST:
                path.unlink()

    def refresh(self) -> Objects:
        """Bring the mirror up to date, and return what is there remotely.

        A checkpoint is committed if its manifest is there and every file that it names
        has the size that it says. Others are skipped; one without a manifest is being
        written, or is garbage.
        """
        with self.turn:
            objects = self._listed()
            committed = {name for name, files in objects.items() if MANIFEST in files}
            for name in set(self._known) - committed:
                self.forget(name)
            self.skipped = []
            wanted = []
            for name in sorted(committed):
                info = objects[name][MANIFEST]
                if name in self._known and self._known[name][0] == info.stamp:
                    continue
                self.forget(name)
                if info.size > MAX_MANIFEST:
                    self._skip(name, f"its manifest has {info.size} bytes")
                else:
                    wanted.append(f"{CHECKPOINTS}/{name}/{MANIFEST}")
            for key, raw in self.bucket.read(wanted).items():
                name = key.split("/")[1]
                try:
                    manifest = parse_manifest(raw)
                except ValueError as error:
                    self._skip(name, f"its manifest is none that can be used: {error}")
                    continue
                if manifest.state_format != SAFETENSORS:
                    self._skip(
                        name,
                        f"its state is in the format {manifest.state_format!r}, which "
                        f"is read from a local directory only: copy it here first",
                    )
                    continue
                self.path_of(name).mkdir(parents=True, exist_ok=True)
                (self.path_of(name) / MANIFEST).write_bytes(raw)
                self._known[name] = objects[name][MANIFEST].stamp, manifest.files
            for name, (_, files) in list(self._known.items()):
                if why := _incomplete(files, objects[name]):
                    self.forget(name)
                    self._skip(name, why)
            return objects

    def _listed(self) -> Objects:
        objects: Objects = {}
        for key, info in self.bucket.list(CHECKPOINTS).items():
            _, name, file_name = [*key.split("/", 2), "", ""][:3]
            if file_name and name_fault(name, limit=MAX_STORED_NAME) is None:
                objects.setdefault(name, {})[file_name] = info
        return objects

    def _skip(self, name: str, why: str) -> None:
        self.skipped.append((self.bucket.url_of(f"{CHECKPOINTS}/{name}"), why))


def _incomplete(
    files: Mapping[str, FileEntry], there: Mapping[str, ObjectInfo]
) -> str | None:
    """Return which file of a checkpoint is missing or has another size."""
    for name, entry in files.items():
        if name not in there:
            return f"{name} is not there"
        if there[name].size != entry.size:
            return f"{name} has {there[name].size} bytes, not {entry.size}"
    return None


def mirror_of(url: str) -> Mirror:
    """Return this process's mirror of a remote run directory."""
    bucket = Bucket(url)
    with _making:
        if bucket.url not in _mirrors:
            _mirrors[bucket.url] = Mirror(bucket)
        return _mirrors[bucket.url]
