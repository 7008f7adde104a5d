"""The same promises at a URL, in fsspec's own memory; test_s3.py has a real server."""

import json
import pickle
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
from safetensors.numpy import load

from multiback.errors import (
    ArgumentError,
    CorruptCheckpointError,
    MissingPackageError,
    NoCheckpointError,
    StoreError,
)
from multiback.store import (
    Request,
    RunDirectory,
    Writer,
    is_run_directory,
    open_checkpoint,
    open_run_directory,
)
from multiback.store.remote import bucket as buckets
from multiback.store.remote import journal as journals
from multiback.store.remote import mirror
from multiback.store.remote import ownership as remote_ownership
from multiback.store.remote import run_directory as remote


def forget():
    """Empty fsspec's memory, and let this process be in no run."""
    remote_ownership.forget()
    fsspec.filesystem("memory").store.clear()
    mirror._mirrors.clear()


@pytest.fixture
def memory(monkeypatch):
    """Give an empty memory, and no pauses between attempts."""
    monkeypatch.setattr(buckets, "FIRST_PAUSE", 0)
    fs = fsspec.filesystem("memory")
    forget()
    yield fs
    forget()


@pytest.fixture
def there(memory):  # noqa: ARG001 - it must be empty
    return open_run_directory("memory://bucket/run")


def elsewhere():
    """Open the run as another process would: with a mirror of its own."""
    mirror._mirrors.clear()
    return open_run_directory("memory://bucket/run")


def names(memory):
    return sorted(path.removeprefix("/bucket/run/") for path in memory.find("/bucket"))


def test_downloads_are_gone_once_they_were_read(there, commit):
    saved = commit(there)
    runs = elsewhere()
    [one] = runs.checkpoints()
    assert one.location == saved.location == "memory://bucket/run/checkpoints/one"
    one.verify()
    assert (dict(one.stream_tensors())["kernel"] == 1).all()
    assert one.architecture_document()["layers"] == [1, 2]
    assert {path.name for path in runs.path.rglob("*")} <= {
        *("checkpoints", "one", "manifest.json", "lock")
    }


def test_nothing_but_the_manifest_stays_here_after_a_commit(there, commit):
    saved = commit(there)
    assert [path.name for path in saved.path.iterdir()] == ["manifest.json"]
    saved.verify()


def test_the_manifest_is_uploaded_last_and_removed_first(
    there, memory, commit, monkeypatch
):
    calls = []
    for name in ("upload", "delete"):
        done = getattr(buckets.Bucket, name)

        def noted(self, what, *rest, name=name, done=done):
            what = list(what) if name == "delete" else what
            calls.extend([rest[0]] if name == "upload" else what)
            return done(self, what, *rest)

        monkeypatch.setattr(buckets.Bucket, name, noted)
    saved = commit(there)
    uploads = [call for call in calls if ".tmp-" not in call]
    assert uploads[-1] == "checkpoints/one/manifest.json"
    assert len(uploads) == 4
    calls.clear()
    there.remove(saved, run_id="a")
    assert calls[0] == "checkpoints/one/manifest.json"
    assert [name for name in names(memory) if "one" in name] == []


def test_a_checkpoint_is_committed_iff_its_manifest_and_all_sizes_are_right(
    there, memory, commit
):
    commit(there)
    root = "/bucket/run/checkpoints/one"
    for name in ("state.safetensors", "trainer.json", "manifest.json"):
        whole = memory.cat(f"{root}/{name}")
        memory.pipe(f"{root}/{name}", whole[:-1])
        for runs in (there, elsewhere()):
            assert runs.checkpoints() == []
            assert [place for place, _ in runs.skipped] == [f"memory:/{root}"]
        memory.rm(f"{root}/{name}")
        assert elsewhere().checkpoints() == []
        memory.pipe(f"{root}/{name}", whole)
        for runs in (there, elsewhere()):
            [one] = runs.checkpoints()
            one.verify()


def test_a_changed_bit_is_noticed_by_verifying_and_by_reading(there, memory, commit):
    saved = commit(there)
    for name in ("state.safetensors", "trainer.json"):
        path = f"/bucket/run/checkpoints/one/{name}"
        whole = memory.cat(path)
        memory.pipe(path, bytes([*whole[:-3], whole[-3] ^ 1, *whole[-2:]]))
        [one] = elsewhere().checkpoints()
        [fault] = one.damage()
        assert f"memory:/{path}" in str(fault)
        with pytest.raises(CorruptCheckpointError, match="memory://bucket"):
            one.document("trainer") if "trainer" in name else one.tensors()
        memory.pipe(path, whole)
    memory.pipe(f"/bucket/run/{saved.architecture}", b"{}")
    with pytest.raises(CorruptCheckpointError, match="another content"):
        saved.verify()


def test_two_writers_never_share_a_name(there, memory, commit, monkeypatch):
    other = elsewhere()
    written = buckets.Bucket.write
    first = iter([True])

    def interrupted(self, name, content):
        if ".tmp-" in name and next(first, False):
            # Between our look around and our claim.
            assert commit(other, "one", run_id="b", value=2.0).name == "one"
        written(self, name, content)

    monkeypatch.setattr(buckets.Bucket, "write", interrupted)
    assert commit(there, "one").name == "one-v2"
    assert {one.name: one.run_id for one in elsewhere().checkpoints()} == {
        "one": "b",
        "one-v2": "a",
    }
    for one in elsewhere().checkpoints():
        one.verify()
    assert not [name for name in names(memory) if ".tmp-" in name]


@pytest.mark.usefixtures("memory")
def test_history_in_several_objects_comes_back_in_order(monkeypatch):
    monkeypatch.setattr(remote, "_HISTORY_RECORDS", 3)
    runs = elsewhere()
    for run in ("a", "b"):
        runs.start_run(run, {"x": 1})
        for epoch in range(5):
            runs.append_history({"run_id": run, "epoch": epoch})
    wanted = [{"run_id": run, "epoch": epoch} for run in "ab" for epoch in range(5)]
    assert elsewhere().history() == wanted
    assert elsewhere().history("b") == wanted[5:]


def test_what_a_dead_writer_left_goes_when_its_run_starts_again_or_after_a_day(
    there, memory, commit, monkeypatch
):
    class Died(BaseException):
        pass

    def die(self, source, name):
        if name.endswith("trainer.json"):
            raise Died
        return uploaded(self, source, name)

    uploaded = buckets.Bucket.upload
    monkeypatch.setattr(buckets.Bucket, "upload", die)
    monkeypatch.setattr(remote.RemoteRunDirectory, "_withdraw", lambda *_: None)
    for run in ("a", "b"):
        with pytest.raises(Died):
            commit(there, f"by-{run}", run_id=run)
    monkeypatch.undo()
    monkeypatch.setattr(buckets, "FIRST_PAUSE", 0)
    runs = elsewhere()
    assert runs.checkpoints() == []
    assert runs.skipped == []
    left = [name for name in names(memory) if name.startswith("checkpoints/")]
    assert len(left) == 4
    runs.start_run("a", {})
    left = [name for name in names(memory) if name.startswith("checkpoints/")]
    assert {name.split("/")[1] for name in left} == {"by-b"}
    runs.start_run("c", {})
    assert {*left} < {*names(memory)}
    assert runs.collect_garbage() == []
    runs.end_run("a")
    # As a process that is killed leaves its run.
    remote_ownership.forget()
    tomorrow = time.time() + 25 * 3600
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    assert len(runs.garbage()) == 4
    assert len(runs.collect_garbage(dry_run=True)) == 4
    assert len(runs.collect_garbage()) == 4
    assert [name for name in names(memory) if not name.startswith("runs/")] == []


def test_failures_that_pass_are_tried_again_and_others_are_raised(
    there, memory, commit, monkeypatch
):
    calls = {"failing": 3, "error": ConnectionResetError("cut")}
    put, get = type(memory).put_file, type(memory).get_file

    def flaky(done):
        def call(self, *arguments, **keywords):
            if calls["failing"]:
                calls["failing"] -= 1
                raise calls["error"]
            return done(self, *arguments, **keywords)

        return call

    monkeypatch.setattr(type(memory), "put_file", flaky(put))
    monkeypatch.setattr(type(memory), "get_file", flaky(get))
    saved = commit(there)
    assert calls["failing"] == 0
    calls["failing"] = 3
    saved.tensors()
    calls["failing"] = 10**6
    with pytest.raises(
        StoreError, match=r"memory://bucket/run/\S+ \(6 attempts\): cut"
    ):
        commit(there, "two")
    calls |= {"failing": 1, "error": PermissionError("no")}
    with pytest.raises(StoreError, match=r"memory://bucket/run/\S+: no"):
        commit(there, "two")
    calls["failing"] = 0
    assert [one.name for one in elsewhere().checkpoints()] == ["one"]
    assert not [name for name in names(memory) if "two" in name]
    commit(there, "two").verify()


def test_a_download_that_was_cut_short_is_made_again(
    there, memory, commit, monkeypatch
):
    get = type(memory).get_file
    cuts = iter([True])

    def cut(self, source, target, **keywords):
        get(self, source, target, **keywords)
        if next(cuts, False):
            with open(target, "r+b") as stream:  # noqa: PTH123 - a text
                stream.truncate(10)

    saved = commit(there)
    monkeypatch.setattr(type(memory), "get_file", cut)
    assert (saved.tensors()["kernel"] == 1).all()


def test_the_background_writer_writes_there_too(there):
    with Writer(there) as writer:
        for number in range(3):
            arrays = writer.buffer({"w": ("float32", (2, 3))})
            arrays["w"][:] = number
            fields = {"epoch": number, "step": 0, "metrics": {}}
            writer.wait()
            writer.submit(Request(f"n{number}", run_id="a", tensors=arrays, **fields))
    values = [one.tensors()["w"][0, 0] for one in elsewhere().checkpoints()]
    assert values == [0, 1, 2]


def test_one_checkpoint_opens_by_its_url(there, commit):
    saved = commit(there)
    assert open_checkpoint(saved.location) == saved
    assert open_checkpoint(saved.location + "/").location == saved.location
    with pytest.raises(NoCheckpointError, match="multiback ls memory://bucket/run"):
        open_checkpoint("memory://bucket/run/checkpoints/two")
    with pytest.raises(ArgumentError, match="RUN/checkpoints/NAME"):
        open_checkpoint("memory://bucket/run")
    assert is_run_directory("memory://bucket/run")
    assert not is_run_directory(saved.location)


@pytest.mark.parametrize("name", ["../evil", "a\\b", "C:x", ".hidden"])
def test_a_hostile_listing_leads_nowhere(there, memory, commit, name):
    commit(there)
    raw = memory.cat("/bucket/run/checkpoints/one/manifest.json")
    memory.pipe(f"/bucket/run/checkpoints/{name}/manifest.json", raw)
    memory.pipe("/bucket/run/checkpoints/huge/manifest.json", b"{")
    assert [one.name for one in there.checkpoints()] == ["one"]
    # Not below the parent: others make and remove folders beside the mirror.
    assert not (there.path.parent / "evil").exists()
    assert not list(there.path.rglob("evil"))
    assert [path.name for path in there.path.glob("checkpoints/*")] == ["one"]


def test_a_url_of_a_file_is_a_path_and_others_say_what_is_wrong(tmp_path, monkeypatch):
    opened = open_run_directory(tmp_path.as_uri())
    assert isinstance(opened, RunDirectory)
    assert opened.path == tmp_path.resolve()
    with pytest.raises(ArgumentError, match="nope://bucket/run"):
        open_run_directory("nope://bucket/run")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingPackageError, match=r'pip install "multiback\[gs\]"'):
        open_run_directory("gs://bucket/run")

    def no_java(*_, **__):
        raise OSError("Unable to load libjvm of ftp://me:secret@host")

    monkeypatch.setattr(fsspec.core, "url_to_fs", no_java)
    with pytest.raises(
        StoreError, match=r"hdfs://host/run cannot be .*libjvm.*\*@host"
    ):
        open_run_directory("hdfs://host/run")


def test_the_store_loads_no_keras_and_fsspec_only_for_a_url():
    code = """
import importlib.util, sys, types
package = types.ModuleType("multiback")
package.__path__ = importlib.util.find_spec("multiback").submodule_search_locations
sys.modules["multiback"] = package
from multiback.store import RunDirectory, open_run_directory
open_run_directory("/tmp/x")
assert not {"fsspec", "jax", "keras", "tensorflow", "torch"} & set(sys.modules)
runs = open_run_directory("memory://x")
assert "fsspec" in sys.modules and "keras" not in sys.modules
runs.checkpoints()
print(runs.path)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    # The mirror is gone with its process.
    assert not Path(done.stdout.strip()).exists()


def test_objects_are_json_and_safetensors_that_anyone_can_read(there, memory, commit):
    there.start_run("a", {"why": 1})
    commit(there)
    there.append_history({"run_id": "a"})
    assert len(names(memory)) == 7
    [journal] = [name for name in names(memory) if name.startswith("runs/")]
    assert json.loads(memory.cat(f"/bucket/run/{journal}"))["run_id"] == "a"
    raw = memory.cat("/bucket/run/checkpoints/one/state.safetensors")
    assert load(raw)["kernel"].dtype == np.float32


def test_user_and_password_in_a_url_are_never_shown_or_stored(
    memory, commit, monkeypatch
):
    given = "memory://me:s3cret@bucket/run"
    monkeypatch.setattr(buckets, "_with_secrets", {})
    runs = open_run_directory(given)
    runs.start_run("a", {"branch_of": runs.location})
    saved = commit(runs)
    runs.append_history({"run_id": "a", "where": saved.location})
    assert runs.location == "memory://***@bucket/run"
    # What is shown can be opened by this process, and by no other.
    assert open_checkpoint(saved.location) == saved
    assert open_run_directory(runs.location).checkpoints() == [saved]
    assert open_run_directory(given).checkpoints() == [saved]
    assert b"s3cret" not in pickle.dumps([runs, saved])
    shown = [str(one) for one in [runs.location, saved, *runs.writers()]]
    for call in (
        lambda: open_checkpoint(f"{given}/checkpoints/none"),
        lambda: open_checkpoint(given),
        lambda: open_run_directory("no-such-kind://me:s3cret@host/run"),
        lambda: runs.prune(list, run_id="c"),
    ):
        with pytest.raises((ArgumentError, StoreError)) as caught:
            call()
        shown.append(str(caught.value))

    def cut(*_, **__):
        raise PermissionError(f"no rights for {given}")

    with monkeypatch.context() as patched:
        patched.setattr(type(memory), "find", cut)
        with pytest.raises(StoreError) as caught:
            runs.checkpoints()
        shown.append(str(caught.value))
    runs.end_run("a")
    assert "s3cret" not in " ".join(shown)
    for path in memory.find("/"):
        assert b"s3cret" not in memory.cat(path)
    monkeypatch.setattr(buckets, "_with_secrets", {})
    mirror._mirrors.clear()
    with pytest.raises(ArgumentError, match="never stored"):
        open_run_directory(runs.location)


def test_a_journal_begins_another_object_before_readers_refuse_one(monkeypatch):
    monkeypatch.setattr(journals, "MAX_OBJECT", 250)
    journal = journals.RemoteJournal(buckets.Bucket("memory://large-journal"), "h", 256)
    for epoch in range(5):
        journal.append({"epoch": epoch, "text": "x" * 100}, argument="record")
    assert [one["epoch"] for one in journal.records()] == [0, 1, 2, 3, 4]
