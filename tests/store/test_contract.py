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
        def empty():
            ownership.forget()
            mirror._mirrors.clear()
            fsspec.filesystem("memory").store.clear()

        empty()
        yield lambda: open_run_directory("memory://contract/run")
        empty()
