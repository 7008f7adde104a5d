"""A real S3 server on this machine, and a wire to it that somebody cuts.

`nox -s remote` installs s3fs and moto's server; nothing else does.
"""

import contextlib
import os
import random
import socket
import socketserver
import subprocess
import sys
import threading

import numpy as np
import pytest

from multiback.errors import StoreError
from multiback.store import Request, Writer, mirror, open_run_directory
from multiback.store import bucket as buckets

s3fs = pytest.importorskip("s3fs", reason="nox -s remote installs it")
moto = pytest.importorskip("moto.server", reason="nox -s remote installs it")

STATE = 3 << 20


class Cut(socketserver.ThreadingTCPServer):
    """Pass bytes on to a server, and cut connections in the middle when told to.

    `cuts` says after how many more bytes of any connection the next cuts come.
    """

    allow_reuse_address = daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), _Wire)
        self.target = target
        self.cuts = []
        self.made = 0
        self.turn = threading.Lock()

    def passing(self, count):
        """Return how many of so many bytes may pass; fewer mean a cut."""
        with self.turn:
            if not self.cuts or count <= self.cuts[0]:
                self.cuts[:1] = [left - count for left in self.cuts[:1]]
                return count
            self.made += 1
            return self.cuts.pop(0)


class _Wire(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.create_connection(self.server.target) as upstream:
            back = threading.Thread(
                target=self.pass_on, args=(upstream, self.request), daemon=True
            )
            back.start()
            self.pass_on(self.request, upstream)
            back.join()

    def pass_on(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                allowed = self.server.passing(len(data))
                target.sendall(data[:allowed])
                if allowed < len(data):
                    break
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server():
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield running.get_host_and_port()
    running.stop()


@pytest.fixture(scope="module")
def wire(server):
    with Cut(server) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


@pytest.fixture
def url(wire, monkeypatch, request):
    """Give the URL of a run directory in a bucket of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    host, port = wire.server_address
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    # Both the client and s3fs try again too, with pauses of seconds.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setattr(buckets, "FIRST_PAUSE", 0.01)
    s3fs.S3FileSystem.clear_instance_cache()
    mirror._mirrors.clear()
    wire.cuts.clear()
    name = f"bucket-{abs(hash(request.node.name)):x}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}/runs/tumour"


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
