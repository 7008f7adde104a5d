"""Each kind of run directory keeps the same promises."""

import fsspec
import pytest
from support.store_contract import StoreContract

from multiback.store import RunDirectory, open_run_directory
from multiback.store.remote import mirror, ownership


class TestRunDirectory(StoreContract):
    @pytest.fixture
    def place(self, tmp_path):
        return lambda: RunDirectory(tmp_path / "run")


class TestRemoteRunDirectory(StoreContract):
    @pytest.fixture
    def place(self):
        def elsewhere():
            """Open it as another process would: with a mirror of its own."""
            mirror._mirrors.clear()
            return open_run_directory("memory://contract/run")

        def empty():
            ownership.forget()
            mirror._mirrors.clear()
            fsspec.filesystem("memory").store.clear()

        empty()
        yield elsewhere
        empty()
