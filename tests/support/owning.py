"""Processes that take a run and hold it, for the tests of who may write."""

import contextlib
import subprocess

from support.children import command


@contextlib.contextmanager
def started(run, timeout=600, how="here"):
    """Start a process that takes the run `shared`; it is killed in the end.

    `run` is a directory or a URL, `timeout` its claim's; `how` is "here", "elsewhere"
    or "no-locks".
    """
    program = command("storing.owning_writer", run, str(timeout), how)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(program, text=True, cwd="/", **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def writer(run, timeout=600, how="here"):
    """Start such a process, and wait until it has answered whether it has the run."""
    with started(run, timeout, how) as process:
        process.answer = process.stdout.readline().strip()
        yield process


def tell(process, word):
    """Send it a command, and return its answer."""
    process.stdin.write(word + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()
