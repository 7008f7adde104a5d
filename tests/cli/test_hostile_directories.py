"""Every command on directories that were made to harm: in bounds, and without harm.

MULTIBACK_HOSTILE is their size: 1 in a torture session, a tenth of it here.
"""

import json
import os
import subprocess
import time
import tracemalloc
import warnings

import pytest
from support.hostile import sealed

from multiback.store import RunDirectory

SIZE = float(os.environ.get("MULTIBACK_HOSTILE", "0.1"))
# Above what the same command takes for a small sound directory.
SECONDS, BYTES = 2.0, 256 << 20
pytestmark = pytest.mark.torture

COMMANDS = (
    ("ls", "RUN"),
    ("ls", "RUN", "--json"),
    ("show", "BAD"),
    ("best", "RUN", "--monitor", "val_f1", "--mode", "max"),
    ("history", "RUN"),
    ("verify", "RUN"),
    ("diff", "ONE", "BAD"),
    ("prune", "RUN", "--keep", "Last(1)", "--dry-run"),
    ("gc", "RUN"),
)


def forge_manifest(**changes):
    def change(_run, bad):
        manifest = bad / "manifest.json"
        fields = json.loads(manifest.read_bytes())
        del fields["checksum"]
        manifest.write_bytes(sealed(fields | changes))

    return change


def many_entries(run, _bad):
    for number in range(int(60_000 * SIZE)):
        (run / "checkpoints" / f"x{number}").touch()


def deep_tree(run, _bad):
    """Make it by its last folder's descriptor: the path is longer than any may be."""
    here = os.open(run / "checkpoints", os.O_RDONLY)
    name = ".tmp-0123456789abcdef"
    for _ in range(int(1500 * SIZE)):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, name = below, "d" * 200
    os.close(here)


def sparse(name):
    def change(run, _bad):
        with (run / name).open("ab") as stream:
            stream.truncate(int((3 << 30) * SIZE))

    return change


def long_lines(run, _bad):
    line = json.dumps({"run_id": "a", "epoch": 1, "step": 1, "metrics": {}})
    with (run / "history.jsonl").open("a") as stream:
        stream.write("{" * int((20 << 20) * SIZE) + "\n")
        stream.writelines([line[:-1] + "\x1b[2J}\n"] * int(1000 * SIZE))


HOSTILE = {
    "a run id of 20 MB": forge_manifest(run_id="x" * int((20 << 20) * SIZE)),
    "300,000 metrics": forge_manifest(
        metrics={f"m{n}": 0.0 for n in range(int(300_000 * SIZE))}
    ),
    "numbers beyond floats": forge_manifest(metrics={"val_f1": 10**400}),
    "60,000 entries": many_entries,
    "a tree of 1,500 levels": deep_tree,
    "a history of 3 GiB": sparse("history.jsonl"),
    "starts of 3 GiB": sparse("runs.jsonl"),
    "lines of nothing": long_lines,
}


def cost(call, command, places):
    """Run a command; return its seconds, its bytes and what it printed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tracemalloc.start()
        began = time.perf_counter()
        try:
            result = call(*(places.get(word, word) for word in command))
            seconds = time.perf_counter() - began
            size = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    texts = [result.out, result.err, *(str(one.message) for one in caught)]
    return seconds, size, "".join(texts)


def seen(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_each_command_stays_in_its_bounds(call, save, tmp_path, hostile):
    for epoch in (1, 2):
        save(epoch, metrics={"val_f1": 0.5})
    run, outside = tmp_path / "run", tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    RunDirectory(run).append_history(
        {"run_id": "a", "epoch": 1, "step": 1, "time": 0.0, "metrics": {"val_f1": 0.5}}
    )
    one, bad = (each.path for each in RunDirectory(run).checkpoints())
    places = {"RUN": run, "ONE": one, "BAD": bad}
    sound = {command: cost(call, command, places) for command in COMMANDS}
    HOSTILE[hostile](run, bad)
    before = seen(outside)
    for command in COMMANDS:
        seconds, size, printed = cost(call, command, places)
        # Twice, since what is measured takes longer.
        assert seconds - sound[command][0] < 2 * SECONDS, command
        assert size - sound[command][1] < BYTES, command
        assert [c for c in printed if not c.isprintable() and c != "\n"] == [], command
        assert len(printed) < 100_000, command
        assert (one / "manifest.json").exists(), command
    assert seen(outside) == before
    # What pytest would remove by recursion, deeper than Python's limit.
    subprocess.run(["rm", "-rf", str(run)], check=True)
