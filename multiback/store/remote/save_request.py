"""A request from outside, where it takes a while to see whether there is one.

An object that anybody may put into the run directory. To ask for it is a round trip,
and minutes where the connection is cut; a training asks before each batch. So it is
looked for in the background, now and then, and the answer is that of the last look.
"""

import threading
import time
from contextlib import suppress

from multiback.errors import StoreError
from multiback.store.remote.bucket import Bucket

# Each look costs a request, which some object stores charge for.
LOOK_SECONDS = 15.0


class RemoteRequest:
    """Look for one object in the background.

    Args:
        url: The folder's URL.
        name: The object's name.
    """

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
        """Tell what the last look saw, and look again once it is time; never wait."""
        now = time.monotonic()
        with self._turn:
            is_idle = self._looking is None or not self._looking.is_alive()
            if is_idle and now >= self._looked_at + LOOK_SECONDS:
                self._looked_at = now
                self._looking = threading.Thread(
                    target=self._look, args=(self._looks,), daemon=True
                )
                # Without another thread there is no look, and training goes on.
                with suppress(RuntimeError):
                    self._looking.start()
            return self._is_there

    def _look(self, looks: int) -> None:
        with suppress(StoreError):
            is_there = self._name in self._bucket.list(self._name)
            with self._turn:
                # A look that began before it was taken away says nothing.
                if looks == self._looks:
                    self._is_there = is_there

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: ARG002 - Path's own
        """Take it away; where that fails it asks once more."""
        with suppress(StoreError):
            self._bucket.delete([self._name])
        with self._turn:
            self._looks += 1
            self._is_there = False
