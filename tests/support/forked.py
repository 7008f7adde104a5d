"""Processes that are forked from one that has imported their program already.

To import Keras takes seconds, in which nothing is tested. The first process imports
a program of this package and runs nothing of it: after one operation of its own JAX and
TensorFlow hang in a fork. Each child is a process of its own, with its own number.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings

from support.children import command


class Child:
    """A process that `children` started."""

    def __init__(self, server, errors, pid):
        self._server, self._errors, self.pid = server, errors, pid
        self.returncode = None

    def poll(self):
        """Return how it ended, as `subprocess` says it; None while it runs."""
        if self.returncode is None:
            self.returncode = _answer(self._server, {"look": self.pid})
        return self.returncode

    def wait(self, timeout=300):
        """Wait until it ends, and return what `poll` says."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise TimeoutError(self.errors())
            time.sleep(0.005)
        return self.returncode

    def kill(self):
        """Kill it at once, if it runs, and wait until it is gone."""
        if self.poll() is None:  # Only then does the number belong to it.
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def errors(self):
        """Return the end of what it wrote to stderr."""
        return self._errors.read_text()[-3000:]


@contextlib.contextmanager
def children(program, folder):
    """Yield a function that starts `main` of a program in a process of its own."""
    begun = []

    def start(*arguments):
        errors = folder / f"stderr-{len(begun)}"
        wanted = {"start": [*map(str, arguments)], "stderr": str(errors)}
        begun.append(Child(server, errors, _answer(server, wanted)))
        return begun[-1]

    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command("forked", program), **pipes) as server:
        try:
            yield start
        finally:
            for each in begun:
                each.kill()
            server.stdin.close()  # It ends.


def _answer(server, wanted):
    """Ask the process that forks, and return what it says."""
    print(json.dumps(wanted), file=server.stdin, flush=True)
    return json.loads(server.stdout.readline())


def main(program):
    """Do what each line asks for until there are no more."""
    # JAX warns of each fork: its threads would be lost. None was started.
    warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
    called = importlib.import_module(f"support.{program}").main
    for line in sys.stdin:
        wanted = json.loads(line)
        if "look" in wanted:
            pid, status = os.waitpid(wanted["look"], os.WNOHANG)
            said = os.waitstatus_to_exitcode(status) if pid else None
        elif (said := os.fork()) == 0:
            _run(called, wanted)
        print(json.dumps(said), flush=True)


def _run(called, wanted):
    """Run the program in a forked process, which ends here."""
    code = 1
    try:
        errors = os.open(wanted["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        nothing = os.open(os.devnull, os.O_RDWR)
        for old, new in ((nothing, 0), (nothing, 1), (errors, 2)):
            os.dup2(old, new)
        called(*wanted["start"])
        code = 0
    except BaseException:  # noqa: BLE001 - the parent's code must not run here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
