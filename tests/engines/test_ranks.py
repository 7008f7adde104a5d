"""Processes agree, or end with an error: here they are threads with a dictionary."""

import threading
import time

import pytest

from multiback.distributed import Ranks, SharedRuns
from multiback.distributed.ranks import _KEPT
from multiback.errors import MonitorError, StoreError
from multiback.store import Request, RunDirectory


class Dictionary(dict):
    def put(self, key, value):
        assert key not in self
        self[key] = value

    take = dict.get

    def drop(self, key):
        del self[key]


def each(action, *, size=3, timeout=30.0):
    """Call an action as every rank; return answers or errors, and what is left."""
    messages, found = Dictionary(), [None] * size
    ranks = [Ranks(messages, rank, size, timeout) for rank in range(size)]
    for one in ranks:
        # As if each were the first of its process.
        one._prefix = "test"

    def call(rank):
        try:
            found[rank] = action(ranks[rank])
        except Exception as error:  # noqa: BLE001 - the answer, here
            found[rank] = error

    threads = [threading.Thread(target=call, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, messages


def test_what_rank_0_decides_is_everybodys():
    found, _ = each(lambda ranks: ranks.decide(lambda: {"rank": ranks.rank}))
    assert found == [{"rank": 0}] * 3


def test_numbers_that_json_lacks_arrive_as_they_were():
    found, _ = each(lambda ranks: ranks.decide(lambda: [float("inf"), 0.1, None]))
    assert found == [[float("inf"), 0.1, None]] * 3


def test_what_rank_0_raises_everybody_raises():
    def fail(ranks):
        def action():
            raise MonitorError("no such name")

        return ranks.decide(action)

    found, _ = each(fail)
    assert [type(error) for error in found] == [MonitorError] * 3
    assert all("no such name" in str(error) for error in found)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_what_one_rank_raises_every_rank_raises_and_continues(failing):
    def fail(ranks):
        def action():
            if ranks.rank == failing:
                error = StoreError("disk full")
                error.errno = 28
                raise error
            return ranks.rank

        try:
            ranks.together(action)
        except StoreError as error:
            then = ranks.together(lambda: "next")
            try:
                ranks.together(lambda: {}[ranks.rank] if ranks.rank == 2 else 0)
            except (StoreError, KeyError) as second:
                return error.errno, str(error), then, str(second)

    found, _ = each(fail)
    assert [one[0] for one in found] == [28] * 3
    assert all("disk full" in one[1] for one in found)
    assert [one[2] for one in found] == ["next"] * 3
    # No answer of one time is taken for that of another.
    assert [one[3][:6] for one in found[:2]] == ["rank 2"] * 2


def test_each_keeps_its_own_answer_where_all_do_something():
    found, _ = each(lambda ranks: ranks.together(lambda: ranks.rank))
    assert found == [0, 1, 2]


def test_a_rank_that_never_answers_is_an_error_once_the_time_is_up():
    def leave(ranks):
        if ranks.rank == 1:
            return "left"
        ranks.together(lambda: None)
        return None

    found, _ = each(leave, timeout=0.5)
    assert found[1] == "left"
    for error in (found[0], found[2]):
        assert isinstance(error, StoreError)
        assert "rank 1 did not answer in 0.5 seconds" in str(error)
        assert "distributed=False" in str(error)


def test_who_waits_long_says_for_whom(monkeypatch):
    monkeypatch.setattr("multiback.distributed.ranks._WORTH_TELLING_SECONDS", 0.1)

    def late(ranks):
        if ranks.rank == 1:
            time.sleep(0.6)
        return ranks.together(lambda: ranks.rank)

    with pytest.warns(UserWarning, match="Rank 0 waits for rank 1 .*distributed=False"):
        found, _ = each(late, size=2)
    assert found == [0, 1]


def test_messages_that_were_received_are_deleted():
    def talk(ranks):
        for number in range(3 * _KEPT):
            assert ranks.decide(lambda n=number: n) == number

    found, messages = each(talk)
    assert found == [None] * 3
    assert len(messages) == 0


def test_the_messages_of_two_threads_of_one_process_do_not_mix():
    def both(ranks):
        heard = []

        def write():
            heard.extend(ranks.decide(lambda: "writer") for _ in range(50))

        thread = threading.Thread(target=write, name="multiback-writer")
        thread.start()
        mine = [ranks.decide(lambda: "main") for _ in range(50)]
        thread.join()
        return set(mine), set(heard)

    found, _ = each(both)
    assert found == [({"main"}, {"writer"})] * 3


def request(name, write=None):
    return Request(
        name,
        run_id="a",
        tensors={},
        epoch=1,
        step=1,
        metrics={"f1": float("nan")},
        state_format="dcp",
        write_state=write,
    )


def test_a_commit_is_the_same_checkpoint_to_all(tmp_path):
    def commit(ranks):
        runs = SharedRuns(RunDirectory(tmp_path), ranks)

        def write(folder):
            folder.mkdir(exist_ok=True)
            (folder / f"part{ranks.rank}").write_bytes(b"1")

        saved = runs.commit(request("one", write))
        listed = runs.checkpoints()
        ranks.together(lambda: None)
        return saved, listed

    found, _ = each(commit)
    assert all(one == found[0] for one in found)
    saved, listed = found[0]
    assert listed == [saved]
    assert [n for n in saved.files if "/" in n] == [f"dcp/part{r}" for r in range(3)]


@pytest.mark.parametrize("failing", [0, 2])
def test_a_commit_that_fails_on_one_rank_is_none(tmp_path, failing):
    def commit(ranks):
        runs = SharedRuns(RunDirectory(tmp_path), ranks)

        def write(folder):
            folder.mkdir(exist_ok=True)
            if ranks.rank == failing:
                raise StoreError("disk full")

        try:
            runs.commit(request("one", write))
        except StoreError as error:
            return str(error), runs.commit(request("two")).name, runs.latest_run()

    found, _ = each(commit)
    assert all("disk full" in one[0] for one in found)
    assert [one[1:] for one in found] == [("two", "a")] * 3
    # A rank that is still writing may leave what the next start collects.
    seen = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert [name for name in seen if not name.startswith(".tmp-")] == ["two"]


def test_a_directory_that_is_not_shared_is_an_error_on_all(tmp_path):
    RunDirectory(tmp_path / "0").commit(request("one"))

    def look(ranks):
        place = tmp_path / ("0" if ranks.is_first else str(ranks.rank))
        return SharedRuns(RunDirectory(place), ranks).checkpoints()

    found, _ = each(look)
    assert all(isinstance(error, StoreError) for error in found)
    assert all("processes share" in str(error) for error in found)
