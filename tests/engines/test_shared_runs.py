"""What several processes share keeps the promises of a run directory."""

import pytest
from support.store_contract import StoreContract

from multiback.distributed import Ranks, SharedRuns
from multiback.store import RunDirectory


class Messages(dict):
    """What processes talk through, where there is one."""

    put = dict.__setitem__
    take = dict.get
    drop = dict.__delitem__


class TestSharedRuns(StoreContract):
    @pytest.fixture
    def place(self, tmp_path):
        ranks = Ranks(Messages(), 0, 1, 30.0)
        return lambda: SharedRuns(RunDirectory(tmp_path / "run"), ranks)

    def test_it_can_be_copied_and_pickled(self):
        """Only what it is made of: other processes are not copied."""
