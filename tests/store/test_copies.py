import copy
import pickle

from multiback.store import RunDirectory


def test_a_run_directory_can_be_copied_and_pickled(tmp_path):
    runs = RunDirectory(tmp_path)
    runs.start_run("a", {})
    for other in (copy.deepcopy(runs), pickle.loads(pickle.dumps(runs))):  # noqa: S301 - our own bytes
        other.start_run("b", {})
        assert other.path == runs.path
