"""A real S3 server on this machine, and a connection that a test cuts.

`nox -s remote` installs s3fs and moto's server; nothing else does.
"""

import os
import random
import subprocess
import sys
import time
from contextlib import nullcontext
from unittest import mock

import numpy as np
import pytest

from multiback.errors import CheckpointWarning, RunLeftWarning, StoreError
from multiback.store import Request, Writer, open_run_directory
from multiback.store.remote import claims, mirror
from multiback.store.remote.bucket import Bucket

s3fs = pytest.importorskip("s3fs", reason="nox -s remote installs it")

STATE = 3 << 20


def commit(runs, name, value, size=STATE, run_id="a"):
    return runs.commit(
        Request(
            name,
            run_id=run_id,
            tensors={"kernel": np.full(size // 4, value, np.float32)},
            documents={"trainer": {"value": value}},
            epoch=value,
            step=0,
            metrics={"val_f1": value / 10},
            architecture={"layers": [1]},
        )
    )


def elsewhere(url):
    mirror._mirrors.clear()
    return open_run_directory(url)


def test_a_run_is_written_read_pruned_and_collected_on_a_real_server(url):
    runs = open_run_directory(url)
    assert runs.checkpoints() == []
    assert runs.latest_run() is None
    runs.start_run("a", {"why": "test"})
    for value in range(3):
        runs.append_history({"run_id": "a", "epoch": value})
        commit(runs, "epoch", value, size=1 << 14)
    other = elsewhere(url)
    assert [one.name for one in other.checkpoints()] == [
        "epoch",
        "epoch-v2",
        "epoch-v3",
    ]
    assert [one.sequence for one in other.checkpoints()] == [1, 2, 3]
    assert other.latest_run() == "a"
    assert [one["epoch"] for one in other.history("a")] == [0, 1, 2]
    for value, one in enumerate(other.checkpoints()):
        one.verify()
        assert (one.tensors()["kernel"] == value).all()
        assert one.architecture_document() == {"layers": [1]}
    other.prune(lambda found: found[-1:], run_id="a")
    [left] = runs.checkpoints()
    runs.remove(left, run_id="a")
    assert elsewhere(url).checkpoints() == []
    assert runs.collect_garbage() == []


def test_large_files_go_up_in_parts_and_come_back_equal(url):
    runs = open_run_directory(url)
    saved = commit(runs, "large", 7, size=120 << 20)
    assert (saved.tensors()["kernel"] == 7).all()
    [one] = elsewhere(url).checkpoints()
    one.verify()


@pytest.mark.parametrize("seed", range(3))
def test_cut_connections_cost_time_and_nothing_else(url, wire, seed):
    dice = random.Random(seed)
    runs = open_run_directory(url)
    made = wire.made
    committed = {}
    for value in range(4):
        # Within the small requests, then within the state, twice.
        wire.cuts[:] = [dice.randrange(3000), *dice.choices(range(STATE), k=2)]
        committed[commit(runs, f"n{value}", value).name] = value
        wire.cuts[:] = [dice.randrange(4000), dice.randrange(STATE)]
        found = elsewhere(url).checkpoints()
        assert {one.name: one.epoch for one in found} == committed
        found[-1].verify()
        assert (found[-1].tensors()["kernel"] == value).all()
    assert wire.made > made + 12
    wire.cuts.clear()
    for one in elsewhere(url).checkpoints():
        one.verify()
    print(f"{wire.made - made} cuts")


def test_a_server_that_stays_away_is_an_error_and_costs_no_checkpoint(url, wire):
    runs = open_run_directory(url)
    saved = commit(runs, "first", 1, size=1 << 14)
    s3fs.S3FileSystem.clear_instance_cache()
    away = elsewhere(url)
    wire.cuts[:] = [0] * 1000
    with pytest.raises(StoreError, match="s3://"):
        commit(away, "second", 2, size=1 << 14)
    with pytest.raises(StoreError, match="s3://"):
        saved.verify()
    wire.cuts.clear()
    runs = elsewhere(url)
    assert [one.name for one in runs.checkpoints()] == ["first"]
    commit(runs, "second", 2, size=1 << 14).verify()


@pytest.mark.usefixtures("url")
def test_a_bucket_that_is_not_there_says_so():
    missing = open_run_directory("s3://no-such-bucket-anywhere/run")
    with pytest.raises(StoreError, match="no-such-bucket-anywhere"):
        commit(missing, "one", 1, size=16)


def test_a_pending_upload_is_finished_when_python_exits(url):
    code = f"""
import numpy as np
from multiback.store import Request, Writer, open_run_directory
writer = Writer(open_run_directory({url!r}))
tensors = {{"w": np.ones(1 << 20)}}
writer.submit(
    Request("last", run_id="a", tensors=tensors, epoch=1, step=1, metrics={{}})
)
"""
    # By its name, which has to be looked up.
    host = os.environ["AWS_ENDPOINT_URL"].replace("127.0.0.1", "localhost")
    env = {**os.environ, "AWS_ENDPOINT_URL": host}
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/", env=env)
    [one] = elsewhere(url).checkpoints()
    one.verify()


def test_the_background_writer_uploads_in_the_background(url):
    runs = open_run_directory(url)
    with Writer(runs) as writer:
        for value in range(3):
            arrays = writer.buffer({"w": ("float32", (64,))})
            arrays["w"][:] = value
            writer.wait()
            fields = {"tensors": arrays, "epoch": 1, "step": 1, "metrics": {}}
            writer.submit(Request(f"n{value}", run_id="a", **fields))
    values = [one.tensors()["w"][0] for one in elsewhere(url).checkpoints()]
    assert values == [0, 1, 2]


def test_an_upload_in_parts_of_a_killed_writer_is_aborted(url, monkeypatch):
    code = f"""
import numpy as np
from multiback.store import Request, open_run_directory
runs = open_run_directory({url!r})
runs.start_run("a", {{}})
tensors = {{"w": np.ones(32 << 20)}}
runs.commit(Request("x", run_id="a", tensors=tensors, epoch=1, step=1, metrics={{}}))
"""
    bucket = Bucket(url)
    # For this server every upload began in 2010.
    monkeypatch.setattr(claims, "GARBAGE_AFTER", 1e12)
    for run_id in ("a", "another"):
        with subprocess.Popen([sys.executable, "-c", code]) as child:
            while not bucket.uploads():
                time.sleep(0.01)
            child.kill()
        # Another run's writer may be alive, so only its own run collects it at once.
        runs = elsewhere(url)
        taken = pytest.warns(RunLeftWarning) if run_id == "a" else nullcontext()
        with taken:
            runs.start_run(run_id, {})
        assert len(bucket.uploads()) == (run_id == "another")
        runs.end_run(run_id)
    assert runs.collect_garbage() == []
    monkeypatch.setattr(claims, "GARBAGE_AFTER", -60.0)
    [left] = [one for one in runs.collect_garbage(dry_run=True) if "uploadId=" in one]
    assert left.startswith(f"{url}/checkpoints/x")
    assert left in runs.collect_garbage()
    assert not bucket.uploads()


def test_only_gc_reports_a_store_that_does_not_list_uploads(url, monkeypatch):
    refused = mock.Mock(side_effect=PermissionError("Access Denied"))
    runs = open_run_directory(url)
    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", refused)
    runs.start_run("a", {})
    with pytest.raises(CheckpointWarning, match=r"uploads.*Access Denied"):
        runs.collect_garbage()
