"""The files of a remote checkpoint, each downloaded, verified and deleted again."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from multiback.errors import CorruptCheckpointError
from multiback.store.checkpoint import too_large
from multiback.store.format.jsontext import MAX_DOCUMENT
from multiback.store.format.payload import FileEntry, verify_file
from multiback.store.remote.mirror import CHECKPOINTS, Mirror, mirror_of

_DOWNLOADS = 2


@dataclass(frozen=True)
class RemoteSource:
    """Where a remote checkpoint's files are; it can be copied and pickled.

    Attributes:
        run: The run directory's URL.
        name: The checkpoint's name.
    """

    run: str
    name: str

    @property
    def url(self) -> str:
        """The checkpoint's URL."""
        return f"{self.run}/{CHECKPOINTS}/{self.name}"

    @contextmanager
    def borrow(self, name: str, entry: FileEntry) -> Iterator[Path]:
        """Download a file, verify it, and delete it at the end."""
        mirror = mirror_of(self.run)
        scratch = mirror.local.path / f".borrowed-{secrets.token_hex(8)}"
        scratch.mkdir(parents=True)
        try:
            _download(
                mirror, f"{CHECKPOINTS}/{self.name}/{name}", scratch / name, entry
            )
            yield scratch / name
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def architecture(self, name: str, checksum: str) -> bytes:
        """Read the architecture, verified."""
        bucket = mirror_of(self.run).bucket
        info = bucket.list(name).get(name)
        if info is not None and info.size > MAX_DOCUMENT:
            fault = f"at most {MAX_DOCUMENT} bytes, not {info.size}"
            raise too_large(Path(name), fault)
        content = bucket.read([name]).get(name) if info is not None else None
        if content is None or FileEntry.of(content).xxh3 != checksum:
            raise CorruptCheckpointError(
                f"{bucket.url_of(name)} must hold the architecture with the xxh3 "
                f"checksum {checksum}, but "
                f"{'is not there' if content is None else 'holds another content'}. "
                f"Load another checkpoint, or restore this file from a copy."
            )
        return content


def _download(mirror: Mirror, name: str, target: Path, entry: FileEntry) -> None:
    """Download a file that must be as its manifest says; once more if it is not."""
    url = mirror.bucket.url_of(name)
    for attempt in range(1, _DOWNLOADS + 1):
        try:
            mirror.bucket.download(name, target)
            verify_file(target, entry)
        except FileNotFoundError as error:
            raise CorruptCheckpointError(
                f"{url} must be a file of {entry.size} bytes, but is not there. Load "
                f"another checkpoint, or restore this file from a copy."
            ) from error
        except CorruptCheckpointError as error:
            if attempt == _DOWNLOADS:
                raise CorruptCheckpointError(
                    f"{url} is not what its manifest says. As downloaded: {error}"
                ) from error
        else:
            return
