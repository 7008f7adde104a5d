"""What an operating system may refuse is an error in our words, or one warning."""

import errno
import os
import warnings

import pytest

from multiback.errors import NoDirectorySyncWarning, StoreError
from multiback.store import Files, RunDirectory
from multiback.store.disk import files as files_of_the_store
from multiback.store.sharded.formats import settle


def folder_of(path):
    """Return a folder as another library writes a state into one."""
    (path / "dcp" / "inside").mkdir(parents=True)
    (path / "dcp" / "inside" / "part").write_bytes(b"12")
    return path / "dcp"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_where_directories_cannot_be_fsynced_it_saves_and_says_once_what_that_costs(
    tmp_path, commit, code
):
    class Mount(Files):
        def sync_directory(self, _):
            raise OSError(code, os.strerror(code))

    files_of_the_store._told.clear()
    runs = RunDirectory(tmp_path / str(code) / "run", Mount())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        runs.start_run("a", {})
        for name in ("one", "two"):
            commit(runs, name).verify()
        settle(Mount(), folder_of(tmp_path / str(code)))
        runs.remove(runs.checkpoints()[0], run_id="a")
        runs.end_run("a")
    assert [each.category for each in caught] == [NoDirectorySyncWarning]
    assert "power cut" in str(caught[0].message)
    assert len(str(caught[0].message)) <= 200
    assert [one.name for one in RunDirectory(runs.path).checkpoints()] == ["two"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "shorter dirpath"),
    ],
)
@pytest.mark.parametrize("call", ["create", "write", "rename", "make_directory"])
def test_what_the_system_lacks_is_said_in_our_words(
    tmp_path, commit, call, error, says
):
    def fail(*_):
        raise error

    files = Files()
    commit(RunDirectory(tmp_path), "first")
    setattr(files, call, fail)
    with pytest.raises(StoreError, match=says):
        commit(RunDirectory(tmp_path, files), "second")
    assert not list(tmp_path.rglob(".tmp-*"))
    commit(RunDirectory(tmp_path), "third").verify()


def test_a_path_that_is_too_long_is_said_in_our_words(tmp_path, commit):
    path = tmp_path.joinpath(*["a" * 200] * 30)
    for call in (
        lambda: commit(RunDirectory(path)),
        lambda: RunDirectory(path).start_run("a", {}),
    ):
        with pytest.raises(StoreError, match="shorter dirpath"):
            call()


def test_too_many_open_files_are_said_in_our_words(tmp_path, commit):
    resource = pytest.importorskip("resource", reason="limits of POSIX")
    runs = RunDirectory(tmp_path)
    commit(runs, "first")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open(tmp_path, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 1, hard))
    try:
        for call in (
            lambda: commit(runs, "second"),
            lambda: runs.start_run("b", {}),
            runs.collect_garbage,
            RunDirectory(tmp_path).checkpoints,
        ):
            with pytest.raises(StoreError, match=r"Too many|ulimit"):
                call()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(held[0])
    assert [one.name for one in RunDirectory(tmp_path).checkpoints()] == ["first"]
    commit(runs, "second").verify()


@pytest.mark.skipif(os.name == "nt", reason="there is no umask")
@pytest.mark.parametrize("mask", [0o000, 0o027, 0o077])
def test_permissions_follow_the_umask(tmp_path, commit, mask):
    before = os.umask(mask)
    try:
        runs = RunDirectory(tmp_path / "run")
        runs.start_run("a", {})
        runs.point("best", commit(runs))
        runs.append_history({"run_id": "a"})
    finally:
        os.umask(before)
    for path in [runs.path, *runs.path.rglob("*")]:
        if not path.is_symlink():
            wanted = (0o777 if path.is_dir() else 0o666) & ~mask
            assert oct(path.stat().st_mode & 0o777) == oct(wanted), path
    runs.end_run("a")
