"""Let a signal end the training after the step, not in the middle of it."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Note SIGINT and SIGTERM while training; a second one leaves at once.

    Handlers are installed in the main thread only, where Python allows it, and never
    over ignored signals; the previous handlers are restored and called.

    Attributes:
        received: The signal that waits, if any.
        holding: Whether a first signal waits for the step; else it acts at once.
        hurried: A second signal came: there is no time to save.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.holding = False
        self.hurried = False
        self._previous: dict[int, Any] = {}

    def install(self) -> None:
        """Install the signal handlers."""
        self.received, self.hurried = None, False
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            previous = signal.getsignal(number)
            # None: the handler was not installed from Python.
            if previous not in (signal.SIG_IGN, None):
                self._previous[number] = previous
                signal.signal(number, self._note)

    def restore(self) -> None:
        """Restore the previous signal handlers."""
        while self._previous:
            signal.signal(*self._previous.popitem())

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.holding and self.received is None:
            self.received = number
            return
        previous = self._previous[number]
        self.received, self.hurried = None, True
        self.restore()
        if callable(previous):
            previous(number, frame)
        else:
            os.kill(os.getpid(), number)

    def leave(self, text: str) -> NoReturn:
        """Call the previous handler with this last message for the user, then leave.

        By KeyboardInterrupt for SIGINT, as Python's own handler does, else by
        SystemExit with the status that a shell gives to the signal.
        """
        number = self.received or signal.SIGTERM
        previous = self._previous.get(number)
        self.received = None
        self.restore()
        if previous is signal.default_int_handler:
            # As the last line of the traceback.
            raise KeyboardInterrupt(text)
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the process ends here
        if callable(previous):
            previous(number, None)
        raise SystemExit(128 + number)
