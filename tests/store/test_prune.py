import dataclasses
import shutil
import threading

import pytest

from multiback.errors import NoCheckpointError, StoreError
from multiback.store import RunDirectory
from multiback.store.format.manifest import manifest_bytes, parse_manifest


def names(runs, run_id=None):
    return [one.name for one in runs.checkpoints(run_id)]


def last(count):
    return lambda found: found[-count:]


@pytest.fixture
def filled(runs, commit):
    for index in range(4):
        commit(runs, f"a{index}", run_id="a")
        commit(runs, f"b{index}", run_id="b")
    return runs


def test_prune_never_touches_another_run_whatever_the_function_says(filled):
    seen = []
    assert len(filled.prune(lambda found: seen.extend(found) or [], run_id="a")) == 4
    assert {one.run_id for one in seen} == {"a"}
    assert names(filled) == ["b0", "b1", "b2", "b3"]
    for one in filled.checkpoints():
        one.verify()


def test_links_to_removed_checkpoints_go_and_others_stay(filled, tmp_path):
    found = filled.checkpoints("a")
    filled.point("best", found[0])
    filled.point("last", found[-1])
    (filled.path / "mine").symlink_to(tmp_path / "absent")
    filled.prune(last(1), run_id="a")
    assert not (filled.path / "best").is_symlink()
    assert (filled.path / "last" / "manifest.json").exists()
    assert (filled.path / "mine").is_symlink()


def test_no_commit_slips_between_the_choice_and_the_removal(filled, commit):
    other = RunDirectory(filled.path)
    started = threading.Event()

    def write():
        started.set()
        commit(other, "late", run_id="a")

    writer = threading.Thread(target=write)

    def choose(_):
        writer.start()
        started.wait()
        writer.join(0.2)
        assert writer.is_alive()
        return []

    filled.prune(choose, run_id="a")
    writer.join()
    assert names(filled, "a") == ["late"]


def test_an_error_of_the_function_removes_nothing(filled):
    with pytest.raises(ZeroDivisionError):
        filled.prune(lambda _: 1 / 0, run_id="a")
    assert len(names(filled)) == 8
    filled.prune(last(1), run_id="a")


def test_architectures_that_no_manifest_names_are_collected(runs, commit):
    first = commit(runs, "one", architecture={"units": 1})
    second = commit(runs, "two", architecture={"units": 2})
    assert runs.collect_garbage() == []
    runs.remove(first, run_id="a")
    unused = runs.path / first.architecture
    assert runs.collect_garbage(dry_run=True) == [unused]
    assert unused.exists()
    assert runs.collect_garbage() == [unused]
    assert not unused.exists()
    second.verify()


def test_no_architecture_goes_while_a_manifest_cannot_be_read(runs, commit):
    first = commit(runs, "one", architecture={"units": 1})
    commit(runs, "two", architecture={"units": 2})
    manifest = first.path / "manifest.json"
    content = manifest.read_bytes()
    manifest.write_bytes(content[:-1])
    assert runs.collect_garbage() == []
    manifest.write_bytes(content)
    first.verify()


def test_only_architectures_are_taken_for_architectures(runs, commit):
    commit(runs)
    for name in ("arch-notes.json", "arch-1.keras", f"arch-{'0' * 32}.json.bak"):
        (runs.path / name).write_text("mine")
    assert runs.collect_garbage() == []


def test_damage_lists_every_file_that_is_wrong_and_counts_what_it_read(runs, commit):
    saved = commit(runs)
    read = []
    assert saved.damage(read.append) == []
    assert sum(read) == saved.size
    (saved.path / "trainer.json").unlink()
    state = saved.path / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[40] ^= 1
    state.write_bytes(content)
    (runs.path / saved.architecture).write_text("{}")
    found = [str(error) for error in saved.damage()]
    assert len(found) == 3
    for file in ("trainer.json", "state.safetensors", saved.architecture):
        assert any(file in text for text in found)
    with pytest.raises(StoreError) as caught:
        saved.verify()
    assert str(caught.value) == found[0]


def test_damage_of_a_checkpoint_that_is_gone_is_reported_and_not_raised(runs, commit):
    saved = commit(runs)
    runs.remove(saved, run_id="a")
    assert any(isinstance(error, NoCheckpointError) for error in saved.damage())


def test_copies_and_what_was_renamed_neither_count_nor_go(filled):
    folder = filled.path / "checkpoints"
    shutil.copytree(folder / "a3", folder / "a3-copy")
    shutil.copytree(folder / "a0", folder / "0-copy")
    (folder / "a2").rename(folder / "mine")
    seen = []

    def two(found):
        seen.extend(one.name for one in found)
        return found[-2:]

    removed = filled.prune(two, run_id="a")
    assert seen == ["a0", "a1", "a3"]
    assert [one.name for one in removed] == ["a0"]
    assert set(names(filled, "a")) == {"a1", "a3", "a3-copy", "0-copy", "mine"}
    copies = {one.name: one.saved_as for one in filled.checkpoints("a") if one.is_copy}
    assert copies == {"a3-copy": "a3", "0-copy": "a0", "mine": "a2"}
    for one in filled.checkpoints():
        one.verify()


def test_a_manifest_that_says_no_name_is_of_no_copy(filled):
    path = filled.path / "checkpoints/a1/manifest.json"
    manifest = dataclasses.replace(parse_manifest(path.read_bytes()), saved_as=None)
    path.write_bytes(manifest_bytes(manifest))
    path.parent.rename(path.parent.with_name("other"))
    assert [one.name for one in filled.checkpoints("a") if one.is_copy] == []
    assert len(filled.prune(lambda _: [], run_id="a")) == 4
