"""Start several processes that train together, and wait for all of them."""

import signal

from support.children import command, together, under

import multiback as mb
from multiback.store import RunDirectory

# The library that writes a process's part of an array.
WRITERS = {"jax": "orbax", "tensorflow": "tensorflow", "torch": "torch"}


def run(backend, program, *arguments, ranks=1):
    """Run a program of this folder in so many processes at once."""
    environment = under(backend, WRITERS[backend])
    return together(
        *(
            (command(f"distributed.{program}", rank, *arguments), environment)
            for rank in range(ranks)
        )
    )


def fewer_and_fewer(backend, root, meeting):
    """Train in four processes and kill one in a commit; then in two; then in one.

    Args:
        backend: "torch" or "jax".
        root: A folder.
        meeting: Returns where the processes meet, another place each time.

    Returns:
        What the last process printed.
    """
    first = run(*(backend, "fewer_child", root, 4, 2, meeting(), 2), ranks=4)
    assert first[3].returncode == -signal.SIGKILL, first[3].output
    # JAX ends the others when process 0 has ended.
    for child in first[: 1 if backend == "jax" else 3]:
        assert child.told["error"]
    # What was saved before is whole, and the next start removes the rest.
    [checkpoint] = RunDirectory(root / "run").checkpoints()
    assert checkpoint.epoch == 1
    checkpoint.verify()
    run_ids = {checkpoint.run_id}
    second = run(backend, "fewer_child", root, 2, 3, meeting(), 0, ranks=2)
    assert len({tuple(child.told["losses"]) for child in second}) == 1
    [third] = run(backend, "fewer_child", root, 1, 4, "alone", 0)
    rows = mb.history(root / "run")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert {row["run_id"] for row in rows} == run_ids
    left = [one.name for one in (root / "run/checkpoints").iterdir()]
    assert not [name for name in left if name.startswith(".")]
    return third.told


def both(ranks, name):
    """Return what both printed, after checking that it is the same."""
    zero, one = (rank[name] for rank in ranks)
    assert zero == one
    return zero
