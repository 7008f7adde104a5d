"""A real S3 server on this machine, and a connection that a test cuts."""

import contextlib
import socket
import socketserver
import threading

import pytest

from multiback.store.remote import bucket as buckets
from multiback.store.remote import mirror
from multiback.store.remote import ownership as remote_ownership

s3fs = pytest.importorskip("s3fs", reason="nox -s remote installs it")
moto = pytest.importorskip("moto.server", reason="nox -s remote installs it")


class Cut(socketserver.ThreadingTCPServer):
    """Pass bytes on to a server, and cut connections in the middle on request.

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
    remote_ownership.forget()
    mirror._mirrors.clear()
    wire.cuts.clear()
    name = f"bucket-{abs(hash(request.node.name)):x}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}/runs/tumour"
