"""Commits in the background: none lost, no error swallowed, no memory wasted."""

import errno
import gc
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from multiback.errors import ArgumentError, StoreError
from multiback.store import Files, Request, RunDirectory, SlowDiskWarning, Writer

SCHEDULED = Path("/proc/thread-self/schedstat")


class SlowFiles(Files):
    """A disk whose first fsync of each commit waits until it is released."""

    def __init__(self):
        self.reached, self.let_go = threading.Event(), threading.Event()

    def sync(self, descriptor):
        self.reached.set()
        assert self.let_go.wait(30)
        super().sync(descriptor)


class FailingFiles(Files):
    """A full disk, until it is not."""

    is_full = True

    def write(self, descriptor, data):
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(descriptor, data)


def request(step=0, **changes):
    """Return something to submit."""
    tensors = {"w": np.full(4, step, np.float32)}
    fields = {"run_id": "a", "tensors": tensors, "epoch": 0, "step": step}
    return Request(f"step={step}", **({"metrics": {"f1": 0.5}} | fields | changes))


def steps(path):
    return [one.step for one in RunDirectory(path).checkpoints()]


def test_a_submission_returns_before_the_disk_has_it(tmp_path):
    files = SlowFiles()
    writer = Writer(RunDirectory(tmp_path, files))
    writer.submit(request(1))
    assert files.reached.wait(30)
    assert writer.is_busy
    assert steps(tmp_path) == []
    files.let_go.set()
    saved = writer.wait()
    assert not writer.is_busy
    assert (saved.step, steps(tmp_path)) == (1, [1])
    saved.verify()
    writer.close()


def test_every_submission_is_committed_in_turn(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowDiskWarning)
        with Writer(RunDirectory(tmp_path)) as writer:
            for step in range(8):
                writer.submit(request(step))
    assert steps(tmp_path) == list(range(8))
    for one in RunDirectory(tmp_path).checkpoints():
        np.testing.assert_array_equal(one.tensors()["w"], np.full(4, one.step))


QUICK = "multiback.store.background.writer._WORTH_TELLING_SECONDS"


def test_a_second_submission_waits_for_the_first_and_says_so_once(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(QUICK, 0.1)
    files = SlowFiles()
    writer = Writer(RunDirectory(tmp_path, files))
    writer.submit(request(1))
    threading.Timer(0.2, files.let_go.set).start()
    with pytest.warns(SlowDiskWarning, match="waited .*: save less often") as told:
        writer.submit(request(2))
    assert steps(tmp_path)[0] == 1
    assert told[0].filename == __file__
    files.let_go.clear()
    threading.Timer(0.2, files.let_go.set).start()
    # Warnings are errors here: a second one would raise.
    writer.submit(request(3))
    writer.close()
    assert steps(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize("method", ["submit", "wait", "close", "with"])
def test_an_error_is_raised_at_the_next_call_once(tmp_path, method):
    files = FailingFiles()
    writer = Writer(RunDirectory(tmp_path, files))
    writer.submit(request(1))
    while writer.is_busy:
        time.sleep(0.001)
    call = {
        "submit": lambda: writer.submit(request(2)),
        "wait": writer.wait,
        "close": writer.close,
        "with": lambda: writer.__exit__(None, None, None),
    }[method]
    with pytest.raises(StoreError, match="No space left") as caught:
        call()
    assert caught.value.errno == errno.ENOSPC
    files.is_full = False
    assert steps(tmp_path) == []
    if method in ("submit", "wait"):
        # The next save works once there is room.
        writer.submit(request(3))
        assert writer.wait().step == 3
    writer.close()


def test_an_error_on_its_way_stays_and_carries_ours_as_a_note(tmp_path):
    def training_that_fails():
        with Writer(RunDirectory(tmp_path, FailingFiles())) as writer:
            writer.submit(request())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        training_that_fails()
    assert "No space left" in caught.value.__notes__[0]


def test_what_cannot_be_stored_is_an_error_of_the_caller_at_once(tmp_path):
    with Writer(RunDirectory(tmp_path)) as writer:
        with pytest.raises(ArgumentError, match="NumPy array"):
            writer.submit(request(tensors={"w": [1.0]}))
        with pytest.raises(ArgumentError, match="documents"):
            writer.submit(request(documents={"d": object()}))
    assert not list(tmp_path.iterdir())


def test_documents_may_change_once_they_are_submitted(tmp_path):
    files, document = SlowFiles(), {"loss": [1]}
    with Writer(RunDirectory(tmp_path, files)) as writer:
        writer.submit(request(documents={"d": document}))
        document["loss"].append(2)
        files.let_go.set()
        assert writer.wait().document("d") == {"loss": [1]}


def test_a_closed_writer_takes_nothing_more(tmp_path):
    writer = Writer(RunDirectory(tmp_path))
    writer.close()
    writer.close()
    assert writer.wait() is None
    with pytest.raises(ArgumentError, match="closed"):
        writer.submit(request())
    with pytest.raises(ArgumentError, match="closed"):
        writer.buffer({})


def test_what_follows_a_commit_runs_after_it_and_its_errors_are_kept(tmp_path):
    runs = RunDirectory(tmp_path)
    writer = Writer(runs)
    for step in range(3):
        writer.submit(
            request(step), then=lambda saved: runs.prune(lambda _: [saved], run_id="a")
        )
        writer.wait()
    assert steps(tmp_path) == [2]
    writer.submit(request(3), then=lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        writer.wait()
    assert steps(tmp_path) == [2, 3]
    writer.close()


def test_an_error_that_was_not_asked_for_is_reported_when_the_writer_closes(
    tmp_path, monkeypatch
):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda call: told.append(call.exc_value))
    writer = Writer(RunDirectory(tmp_path, FailingFiles()))
    writer.submit(request())
    writer._thread.join()
    del writer
    gc.collect()
    assert len(told) == 1
    assert "No space left" in str(told[0])


KINDS = {
    "wide": (np.float64, (3, 5)),
    "half": (ml_dtypes.bfloat16, (7,)),
    "flag": (np.bool_, ()),
    "none": (np.float32, (0, 2)),
}


def filled(arrays, value):
    """Put one value into all arrays."""
    for array in arrays.values():
        array[...] = value
    return arrays


def test_buffers_hold_every_dtype_and_shape(tmp_path):
    with Writer(RunDirectory(tmp_path)) as writer:
        arrays = filled(writer.buffer(KINDS), 1)
        assert {k: (a.dtype, a.shape) for k, a in arrays.items()} == {
            k: (np.dtype(d), s) for k, (d, s) in KINDS.items()
        }
        assert all(a.ctypes.data % a.itemsize == 0 for a in arrays.values())
        writer.submit(request(tensors=arrays))
        for name, array in writer.wait().tensors().items():
            np.testing.assert_array_equal(array, arrays[name])


def test_the_next_state_is_copied_while_the_last_is_being_written(tmp_path):
    files = SlowFiles()
    writer = Writer(RunDirectory(tmp_path, files))
    first = filled(writer.buffer(KINDS), 1)
    assert writer.buffer(KINDS) is first
    # Even where the caller added an array of its own.
    writer.submit(request(1, tensors={**first, "mine": np.ones(1)}))
    second = filled(writer.buffer(KINDS), 2)
    assert not any(np.shares_memory(first[k], second[k]) for k in KINDS if k != "none")
    assert writer.is_busy
    files.let_go.set()
    saved = writer.wait()
    assert saved.tensors()["wide"].max() == 1
    writer.submit(request(2, tensors=second))
    assert writer.wait().tensors()["wide"].min() == 2
    writer.close()


def test_a_wait_of_less_than_a_second_or_a_tenth_of_the_time_is_no_warning(
    tmp_path, monkeypatch
):
    files = SlowFiles()
    writer = Writer(RunDirectory(tmp_path, files))
    for step, share in ((1, 0.0), (2, 1.1)):
        # The wait is shorter than a second; then no share of the time is too long.
        monkeypatch.setattr(
            "multiback.store.background.writer._WORTH_TELLING_SHARE", share
        )
        files.let_go.clear()
        writer.submit(request(step))
        threading.Timer(0.2, files.let_go.set).start()
        writer.wait()  # Warnings are errors here.
        monkeypatch.setattr(QUICK, 0.1)
    writer.close()


def test_a_single_buffer_is_handed_out_only_when_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(QUICK, 0.1)
    files = SlowFiles()
    writer = Writer(RunDirectory(tmp_path, files), buffers=1)
    arrays = filled(writer.buffer(KINDS), 1)
    writer.submit(request(1, tensors=arrays))
    threading.Timer(0.2, files.let_go.set).start()
    with pytest.warns(SlowDiskWarning):
        again = writer.buffer(KINDS)
    assert steps(tmp_path) == [1]
    assert again is arrays
    writer.close()


def test_steady_saving_allocates_nothing(tmp_path):
    kinds = {f"w{i}": (np.float32, (256, 1024)) for i in range(8)}
    asked = []

    def allocate(size):
        asked.append(size)
        return np.empty(size, np.uint8)

    writer = Writer(RunDirectory(tmp_path))
    for step in range(6):
        if step == 2:
            tracemalloc.start()
        writer.submit(
            request(step, tensors=filled(writer.buffer(kinds, allocate), step))
        )
        writer.buffer(kinds, allocate)
        writer.wait()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    writer.close()
    # One buffer is enough for a disk that is faster than training.
    assert asked == [8 << 20, 8 << 20]
    assert peak < 1 << 20
    assert steps(tmp_path) == list(range(6))


def test_a_state_of_another_size_gets_other_buffers(tmp_path):
    writer = Writer(RunDirectory(tmp_path))
    for size in (3, 300, 2):
        arrays = filled(writer.buffer({"w": (np.float32, (size,))}), size)
        writer.submit(request(size, tensors=arrays))
        np.testing.assert_array_equal(writer.wait().tensors()["w"], [size] * size)
    writer.close()


@pytest.mark.parametrize("buffers", [0, -1, 1.5, None])
def test_buffers_must_be_a_positive_number(tmp_path, buffers):
    with pytest.raises(ArgumentError, match="buffers must be"):
        Writer(RunDirectory(tmp_path), buffers=buffers)


CHILD = """
import sys, types, importlib.util as u
package = types.ModuleType("multiback")
package.__path__ = u.find_spec("multiback").submodule_search_locations
sys.modules["multiback"] = package
import numpy as np
from multiback.store import Files, Request, RunDirectory, Writer

class SlowFiles(Files):
    def sync(self, descriptor):
        import time
        time.sleep(0.05)
        if sys.argv[2] == "full":
            raise OSError(28, "No space left on device")
        super().sync(descriptor)

writer = Writer(RunDirectory(sys.argv[1], SlowFiles()))
tensors = {"w": np.ones(1 << 20)}
writer.submit(Request("last", run_id="a", tensors=tensors, epoch=0, step=0, metrics={}))
assert writer.is_busy
if sys.argv[2] == "raise":
    raise SystemExit(7)
"""


@pytest.mark.parametrize(("ending", "code"), [("return", 0), ("raise", 7)])
def test_a_pending_commit_finishes_when_the_interpreter_exits(tmp_path, ending, code):
    child = [sys.executable, "-c", CHILD, tmp_path, ending]
    assert subprocess.run(child, check=False, timeout=60).returncode == code
    [saved] = RunDirectory(tmp_path).checkpoints()
    saved.verify()
    assert not list(tmp_path.rglob(".tmp-*"))


def test_an_error_after_the_last_line_of_a_program_is_printed(tmp_path):
    child = [sys.executable, "-c", CHILD, tmp_path, "full"]
    result = subprocess.run(
        child, check=False, timeout=60, capture_output=True, text=True
    )
    assert "StoreError" in result.stderr
    assert "No space left" in result.stderr
    assert steps(tmp_path) == []


def share_runnable(is_over):
    """Run Python until something is over; return the share without GIL waits.

    To wait for a processor counts as running, so that other processes do not matter.
    """

    def runnable():
        ran, waited, _ = SCHEDULED.read_text().split()
        return int(ran) + int(waited)

    start, before, rounds = time.perf_counter_ns(), runnable(), 0
    while not is_over():
        for _ in range(1000):
            rounds += 1
    return (runnable() - before) / (time.perf_counter_ns() - start)


def share_beside_a_rival():
    stop = threading.Event()
    rival = threading.Thread(target=share_runnable, args=(stop.is_set,))
    rival.start()
    end = time.perf_counter() + 0.1
    share = share_runnable(lambda: time.perf_counter() > end)
    stop.set()
    rival.join()
    return share


@pytest.mark.skipif(
    not SCHEDULED.exists(), reason="only Linux reports what is measured"
)
def test_a_busy_python_thread_keeps_its_speed_while_a_state_is_written(tmp_path):
    # On a busy machine the rival may not get to run beside it at the first try.
    beside_python = min(share_beside_a_rival() for _ in range(5))
    data = np.ones(16 << 20)
    with Writer(RunDirectory(tmp_path)) as writer:
        writer.submit(request(tensors={"w": data}))
        share = share_runnable(lambda: not writer.is_busy)
    assert share > 0.8
    # Otherwise this measures nothing.
    assert beside_python < share
    assert beside_python < 0.9
