"""A request for a checkpoint, looked for in the background.

Any process may put an object into the run directory to request a checkpoint. To look
for it takes a round trip, and minutes where the connection is cut; training asks before
each batch. So a background thread looks periodically, and the answer is that of the
last look.
"""

import threading
import time
from contextlib import suppress

from multiback.errors import StoreError
from multiback.store.remote.bucket import Bucket

# Each look costs a request, and some object stores charge for it.
LOOK_SECONDS = 15.0


class RemoteRequest:
    """Look for one object in a folder, in the background."""

    def __init__(self, url: str, name: str) -> None:
        self._bucket = Bucket(url)
        self._name = name
        self._turn = threading.Lock()
        self._is_there = False
        self._looks = 0
        self._looked_at = time.monotonic()
        self._looking: threading.Thread | None = None

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Let a copy look for itself."""
        return type(self), (self._bucket.url, self._name)

    def exists(self) -> bool:
        """Return what the last look saw and look again when it is due; do not block."""
        now = time.monotonic()
        with self._turn:
            is_idle = self._looking is None or not self._looking.is_alive()
            if is_idle and now >= self._looked_at + LOOK_SECONDS:
                self._looked_at = now
                self._looking = threading.Thread(
                    target=self._look, args=(self._looks,), daemon=True
                )
                # Without another thread there is no look, and training continues.
                with suppress(RuntimeError):
                    self._looking.start()
            return self._is_there

    def _look(self, looks: int) -> None:
        with suppress(StoreError):
            is_there = self._name in self._bucket.list(self._name)
            with self._turn:
                # A look that began before the object was deleted proves nothing.
                if looks == self._looks:
                    self._is_there = is_there

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: ARG002 - Path's own
        """Delete the object; if that fails, one more checkpoint is saved."""
        with suppress(StoreError):
            self._bucket.delete([self._name])
        with self._turn:
            self._looks += 1
            self._is_there = False
