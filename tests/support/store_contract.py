"""What every run directory must do: subclass `StoreContract` with a fixture `place`."""

import copy
import pickle
import time

import numpy as np
import pytest

from multiback.errors import ArgumentError, NoCheckpointError, StoreError
from multiback.store import Request, Runs


def request(name="one", *, run_id="a", value=1.0, **changes):
    """Return a small checkpoint with every kind of file."""
    fields = {
        "tensors": {"kernel": np.full((4, 3), value, np.float32)},
        "documents": {"trainer": {"epoch": 3, "loss": float("nan")}},
        "epoch": 3,
        "step": 70,
        "metrics": {"val_f1": value},
        "architecture": {"class_name": "Sequential", "layers": [1, 2]},
    }
    return Request(name, run_id=run_id, **(fields | changes))


class StoreContract:
    """The promises of `Runs`. `place` opens the same empty place again and again."""

    @pytest.fixture
    def runs(self, place):
        return place()

    def test_it_is_a_run_directory(self, runs):
        assert isinstance(runs, Runs)
        assert runs.checkpoints() == []
        assert (runs.latest_run(), runs.run_ids(), runs.history()) == (None, [], [])

    def test_a_commit_is_listed_verified_and_read_by_others(self, runs, place):
        saved = runs.commit(request())
        [found] = place().checkpoints()
        assert (found.location, found.sequence) == (saved.location, saved.sequence)
        assert place().skipped == []
        found.verify()
        assert (found.tensors()["kernel"] == 1).all()
        assert found.document("trainer")["epoch"] == 3
        assert found.architecture_document()["layers"] == [1, 2]

    def test_commits_are_numbered_and_names_never_taken_twice(self, runs, place):
        for value, run_id in enumerate("aba"):
            place().commit(request("best", run_id=run_id, value=float(value)))
        found = runs.checkpoints()
        for value, one in enumerate(found):
            one.verify()
            assert (one.tensors()["kernel"] == value).all()
        assert [one.name for one in found] == ["best", "best-v2", "best-v3"]
        assert [one.sequence for one in found] == [1, 2, 3]
        assert [one.name for one in runs.checkpoints("b")] == ["best-v2"]
        assert runs.commit(request("best", run_id="c")).name == "best-v4"

    def test_the_latest_run_is_the_last_started_that_has_a_checkpoint(self, runs):
        for run_id in ("a", "b"):
            runs.start_run(run_id, {"why": "test"})
            runs.commit(request(run_id, run_id=run_id))
        runs.start_run("empty", {})
        assert runs.latest_run() == "b"
        runs.start_run("a", {"resumed": True})
        assert runs.latest_run() == "a"
        assert runs.run_ids() == ["a", "empty", "b"]
        for run_id in ("a", "b", "empty"):
            runs.end_run(run_id)

    def test_a_clock_that_steps_back_changes_no_order(self, place, monkeypatch):
        real, back = time.time, [0.0, 3600.0, 7200.0]
        for run_id, seconds in zip(("a", "b", "a"), back, strict=True):
            monkeypatch.setattr(time, "time", lambda s=seconds: real() - s)
            monkeypatch.setattr(time, "time_ns", lambda: int(time.time() * 1e9))
            runs = place()
            runs.start_run(run_id, {})
            runs.commit(request(run_id, run_id=run_id))
            runs.append_history({"run_id": run_id, "epoch": seconds})
            runs.end_run(run_id)
        found = place().checkpoints()
        assert [one.name for one in found] == ["a", "b", "a-v2"]
        assert [one.sequence for one in found] == [1, 2, 3]
        assert place().latest_run() == "a"
        assert [one["epoch"] for one in place().history()] == back

    def test_a_run_has_a_writer_from_its_start_to_its_end(self, runs, place):
        runs.start_run("a", {})
        [writer] = place().writers()
        assert writer.is_me
        assert writer.run_id == "a"
        runs.end_run("a")
        runs.end_run("a")
        assert place().writers() == []

    def test_history_comes_back_in_order(self, runs, place):
        values = (0.5, float("inf"), "two\nlines")
        records = [{"run_id": run, "x": x} for x in values for run in "ab"]
        for record in records:
            runs.append_history(record)
        assert place().history() == records
        assert place().history("b") == records[1::2]

    def test_a_removal_touches_its_own_run_only(self, runs, place):
        saved = runs.commit(request())
        other = runs.commit(request("two"))
        with pytest.raises(StoreError, match=r"of the run 'b', but is commit 1 .* 'a'"):
            runs.remove(saved, run_id="b")
        saved.verify()
        runs.remove(saved, run_id="a")
        runs.remove(saved, run_id="a")
        assert [one.location for one in place().checkpoints()] == [other.location]

    def test_pruning_keeps_what_is_chosen_and_other_runs(self, runs, place):
        for number in range(3):
            runs.commit(request(f"n{number}"))
        runs.commit(request("other", run_id="b"))
        planned = runs.prune(lambda found: found[-1:], run_id="a", dry_run=True)
        assert len(place().checkpoints()) == 4
        gone = runs.prune(lambda found: found[-1:], run_id="a")
        assert [one.name for one in gone] == [one.name for one in planned]
        assert not any(one.path.exists() for one in gone)
        assert [one.name for one in place().checkpoints()] == ["n2", "other"]
        for run_id in ("c", "A"):
            with pytest.raises(NoCheckpointError, match=f"'{run_id}'"):
                runs.prune(list, run_id=run_id)

    def test_nothing_that_is_needed_is_garbage(self, runs, place):
        runs.start_run("a", {})
        runs.commit(request())
        assert list(runs.collect_garbage()) == []
        [found] = place().checkpoints()
        found.verify()
        runs.end_run("a")

    def test_a_label_is_checked_and_points(self, runs):
        saved = runs.commit(request())
        runs.point("best", saved)
        with pytest.raises(ArgumentError, match="label must"):
            runs.point("../x", saved)

    def test_a_published_file_can_be_asked_for(self, runs):
        runs.commit(request())
        (runs.path / "best.keras").write_bytes(b"x")
        runs.publish("best.keras")
        assert not runs.save_request.exists()
        runs.save_request.unlink(missing_ok=True)

    def test_it_can_be_copied_and_pickled(self, runs):
        runs.start_run("a", {})
        saved = runs.commit(request())
        for other in (copy.deepcopy(runs), pickle.loads(pickle.dumps(runs))):  # noqa: S301 - our own bytes
            assert other.location == runs.location
            assert other.checkpoints() == [saved]
            other.start_run("a", {})
        runs.end_run("a")
        for one in (copy.deepcopy(saved), pickle.loads(pickle.dumps(saved))):  # noqa: S301 - as above
            one.verify()
