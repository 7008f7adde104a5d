"""Lightning's checkpoint files are read as data, whatever is in them."""

import contextlib
import os
import pickle
import random
import zipfile

import numpy as np
import pytest
import torch
from support import lightning_files

from multiback.adapters.lightning.own_files import archive as archives
from multiback.adapters.lightning.own_files.directory import LightningDirectory
from multiback.adapters.lightning.own_files.file import read_file
from multiback.adapters.lightning.own_files.pickled import (
    OPAQUE,
    Storage,
    Tensor,
    read_pickle,
)
from multiback.errors import CorruptCheckpointError


class Trap:
    """Unpickling this writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_nothing_that_a_file_holds_is_run(tmp_path):
    canary = tmp_path / "canary"
    whole = lightning_files.state(tmp_path, 1) | {"hyper_parameters": Trap(canary)}
    whole["state_dict"]["trap"] = Trap(canary)
    torch.save(whole, tmp_path / "x.ckpt")
    found = read_file(tmp_path / "x.ckpt")
    assert (found.epoch, found.step, len(found.variables)) == (1, 20, 2)
    assert found.damage() == []
    assert not canary.exists()
    torch.load(tmp_path / "x.ckpt", weights_only=False)
    assert canary.exists()  # The trap works.


def test_a_pickle_says_what_torch_loads(tmp_path):
    whole = lightning_files.state(tmp_path, 3, kept={"a.ckpt": 0.5})
    path = tmp_path / "x.ckpt"
    torch.save(whole, path)
    with archives.open_archive(path) as archive:
        said = read_pickle(archive.pickle())
        score = said["callbacks"][[*said["callbacks"]][1]]["best_model_score"]
        assert archive.scalar(score) == 0.5
    assert said.keys() == whole.keys()
    assert said["optimizer_states"] == whole["optimizer_states"]
    assert said["loops"] == whole["loops"]
    weight = said["state_dict"]["line.weight"]
    assert isinstance(weight, Tensor)
    assert (weight.shape, archives.dtype_of(weight)) == ((2, 3), "float32")


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64]
)
def test_a_score_of_any_dtype_and_place_in_its_storage_is_the_number(tmp_path, dtype):
    scores = torch.tensor([3, -2, 7]).to(dtype)
    torch.save({"x": scores[1]}, tmp_path / "x")
    with archives.open_archive(tmp_path / "x") as archive:
        assert archive.scalar(read_pickle(archive.pickle())["x"]) == -2


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_of_pickle_is_read(protocol):
    value = {
        "epoch": 3,
        "far": [2**80, -(2**40), 0.5, None, True, "é" * 300],
        "nested": {"a": ({"b": []}, (), (1, 2, 3, 4))},
        "twice": ["same"] * 2,
        3: {},
    }
    assert read_pickle(pickle.dumps(value, protocol)) == value
    strange = {"s": {1}, "f": frozenset([2]), "r": range(3), "t": np.float64(0.5)}
    read = read_pickle(pickle.dumps(strange, protocol))
    assert set(read) == set(strange)
    assert read["r"] is OPAQUE


def test_a_big_endian_machines_score_is_the_number(tmp_path):
    data = pickle.dumps({"x": 1}, 2)
    members = [("byteorder", b"big"), ("data/0", np.array(0.5, ">f4").tobytes())]
    path = lightning_files.archive(tmp_path / "x", data, members)
    with archives.open_archive(path) as archive:
        assert archive.scalar(Tensor(Storage("FloatStorage", "0", 1), 0, ())) == 0.5


HOSTILE = {
    "a memory of two thousand million places": b"\x80\x02}r\xff\xff\xff\x7f.",
    "a text of 2**62 bytes": b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"x.",
    "nothing on the stack": b"\x80\x02R.",
    "nothing remembered": b"\x80\x02h\x05.",
    "a mark as a value": b"\x80\x02(\x85.",
    "an end without a value": b"\x80\x02.",
    "two values": b"\x80\x02NN.",
    "half an item": b"\x80\x02}(K\x01u.",
    "no pickle": b"hello",
    "nothing": b"",
    "no dictionary": pickle.dumps([1]),
    "no epoch": pickle.dumps({"global_step": 3}),
    "an epoch that is a text": pickle.dumps({"epoch": "3", "global_step": 3}),
    "a step without bounds": pickle.dumps({"epoch": 3, "global_step": 1 << 70}),
    "another process's buffer": b"\x80\x05\x97.",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_pickle_is_passed_over_with_a_reason(tmp_path, data):
    lightning_files.archive(tmp_path / "x.ckpt", data)
    runs = LightningDirectory(tmp_path)
    assert runs.checkpoints() == []
    [(path, reason)] = runs.skipped
    assert path == tmp_path / "x.ckpt"
    assert "must be a checkpoint that Lightning wrote, but is not" in reason


def test_a_key_whose_hash_takes_for_ever_and_a_copy_of_copies_take_no_time():
    # A tuple of twice the last, a hundred times over, as a key.
    data = b"\x80\x02})" + b"2\x86" * 100 + b"K\x01s."
    assert read_pickle(data) == {}
    # One long list given to OrderedDict a thousand times.
    many = b"(" + b"N" * 10_000 + b"lq\x00"
    again = b"ccollections\nOrderedDict\nq\x01(" + b"h\x01h\x00\x85R" * 1_000 + b"t"
    assert read_pickle(b"\x80\x02(" + many + again + b"t.")[2] == (OPAQUE,) * 1_000


def test_a_pickle_of_too_many_operations_is_refused():
    data = pickle.dumps(list(range(100)))
    assert read_pickle(data, limit=200) == list(range(100))
    with pytest.raises(ValueError, match="more than 50 operations"):
        read_pickle(data, limit=50)


def test_damaged_bytes_are_a_value_or_a_value_error_and_nothing_else(tmp_path):
    path = tmp_path / "x.ckpt"
    torch.save(lightning_files.state(tmp_path, 3, kept={"a.ckpt": 0.5}), path)
    with archives.open_archive(path) as archive:
        data = archive.pickle()
    whole = path.read_bytes()
    dice = random.Random(5)
    read = 0
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        try:
            read_pickle(bytes(broken[: dice.choice([None, dice.randrange(len(data))])]))
            read += 1
        except ValueError:
            pass
        damaged = bytearray(whole)
        # The directory at the end of an archive says what is in it.
        damaged[-dice.randrange(1, 1500)] = dice.randrange(256)
        path.write_bytes(damaged[: dice.choice([None, dice.randrange(len(whole))])])
        with contextlib.suppress(CorruptCheckpointError):
            read_file(path).damage()
    assert read > 5  # Not every byte matters.


def bomb(path):
    lightning_files.archive(
        path, bytes(100 << 20), compression=zipfile.ZIP_DEFLATED, compresslevel=9
    )


def squeezed(path):
    """Hide a text of any length in few bytes, and say that it is short."""
    noise = random.Random(5).randbytes(500)
    lightning_files.archive(path, noise, compression=zipfile.ZIP_BZIP2)


def overlapping(path):
    """Let forty members be the same bytes."""
    lightning_files.plain(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/data/0", bytes(1 << 20))
        one = file.getinfo("archive/data/0")
        for i in range(1, 40):
            twin = zipfile.ZipInfo(f"archive/data/{i}")
            twin.header_offset, twin.CRC = one.header_offset, one.CRC
            twin.file_size = twin.compress_size = one.file_size
            file.filelist.append(twin)


def two_pickles(path):
    lightning_files.plain(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("other/data.pkl", b"N.")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (bomb, "compressed or overlap"),
        (squeezed, "compressed or overlap"),
        (overlapping, "compressed or overlap"),
        (two_pickles, "not one data.pkl"),
        (lambda path: path.write_bytes(b"PK" + bytes(100)), "no readable zip"),
        (lambda path: path.write_bytes(b""), "no readable zip"),
        (
            lambda path: lightning_files.with_a_long_directory(path, 17 << 20),
            "its directory has more than 16 MiB",
        ),
        (lambda path: path.mkdir(), "strategies that divide a model"),
        (os.mkfifo, "no regular file"),
        (lambda path: path.symlink_to("/etc/hostname"), "symbolic link to elsewhere"),
    ],
)
def test_a_hostile_file_is_passed_over_with_a_reason(tmp_path, make, reason):
    folder = tmp_path / "run"
    lightning_files.training(folder)
    make(folder / "x.ckpt")
    runs = LightningDirectory(folder)
    assert len(runs.checkpoints()) == 3
    [(path, why)] = runs.skipped
    assert path == folder / "x.ckpt"
    assert reason in why


def test_a_pickle_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    path = lightning_files.plain(tmp_path / "x.ckpt")
    monkeypatch.setattr(archives, "MAX_PICKLE", 10)
    with pytest.raises(CorruptCheckpointError, match=r"data\.pkl of more than 0 MiB"):
        read_file(path)


def test_every_part_that_differs_from_its_checksum_is_named(tmp_path):
    path = lightning_files.save(tmp_path, "x.ckpt", 1)
    assert read_file(path).damage() == []
    with zipfile.ZipFile(path) as file:
        member = next(m for m in file.infolist() if m.filename.endswith("data/0"))
    data = bytearray(path.read_bytes())
    at = data.index(b"data/0", member.header_offset)
    at = 64 * (at // 64 + 1)  # Torch aligns what is in an array.
    data[at] ^= 1
    path.write_bytes(data)
    [problem] = read_file(path).damage()
    assert problem == f"{path}: x/data/0 differs from its CRC-32"


def test_an_array_that_is_not_there_is_damage(tmp_path):
    whole = lightning_files.save(tmp_path, "whole.ckpt", 1)
    path = tmp_path / "less.ckpt"
    with zipfile.ZipFile(whole) as file, zipfile.ZipFile(path, "w") as less:
        for member in file.infolist():
            if not member.filename.endswith("data/1"):
                less.writestr(member.filename, file.read(member))
    assert read_file(path).damage() == [f"{path}: the bytes of line.bias are not there"]


def test_a_file_that_changes_between_listing_and_reading_is_damage(tmp_path):
    path = lightning_files.save(tmp_path, "x.ckpt", 1)
    found = read_file(path)
    path.write_bytes(b"")
    [problem] = found.damage()
    assert "cannot be read" in problem


def test_names_that_a_terminal_would_obey_are_shown_as_text(tmp_path):
    whole = lightning_files.state(tmp_path, 1, monitor="a\x1b[2J", kept={"x.ckpt": 0.5})
    whole["state_dict"]["\x1b[2J"] = torch.ones(1)
    torch.save(whole, tmp_path / "x.ckpt")
    found = read_file(tmp_path / "x.ckpt")
    assert found.variables[-1]["path"] == "'\\x1b[2J'"
    assert found.opinions == ()
