"""Directories that Lightning's own ModelCheckpoint wrote."""

import numpy as np
import pytest
from support import lightning_files
from support.lightning_files import save, training

BEST, SECOND = "epoch=1-step=20-val_f1=0.91.ckpt", "epoch=3-step=40-val_f1=0.88.ckpt"


@pytest.fixture
def folder(tmp_path):
    """One training, in a folder as Lightning names it."""
    return training(tmp_path / "lightning_logs" / "version_0" / "checkpoints")


def test_ls_shows_epochs_exact_scores_and_what_lightning_calls_best(call, folder):
    result = call("ls", folder)
    assert (result.code, result.err) == (0, "")
    title, *lines = [line.split() for line in result.out.splitlines()]
    assert title[:3] == ["checkpoints", "of", "Lightning"]
    assert lines[0][:3] == ["checkpoint", "epoch", "val_f1"]
    assert [line[:3] for line in lines[1:]] == [
        [BEST, "1", "0.9062"],
        [SECOND, "3", "0.8750"],
        ["last.ckpt", "3", "0.8750"],
    ]
    assert [line[-1] for line in lines[1:]][::2] == ["best", "last"]


def test_ls_as_json_has_the_fields_of_our_own_checkpoints(call, folder):
    first, second, last = call("ls", folder, "--json").json["checkpoints"]
    assert (first["path"], first["name"]) == (str(folder / BEST), BEST)
    assert (first["epoch"], first["step"], first["run_id"]) == (1, 20, ".")
    assert first["metrics"] == first["scores"] == {"val_f1": 0.90625}
    assert first["size"] == (folder / BEST).stat().st_size
    assert first["created"] == (folder / BEST).stat().st_mtime
    assert (first["versions"], first["backend"]) == ({"lightning": "2.6.6"}, "torch")
    assert [one["marks"] for one in (first, second, last)] == [["best"], [], ["last"]]
    assert [one["sequence"] for one in (first, second, last)] == [1, 2, 3]


@pytest.mark.parametrize("up", [0, 1, 2, 3])
def test_any_folder_above_will_do(call, folder, up):
    above = [folder, *folder.parents][up]
    result = call("ls", above, "--json").json
    assert len(result["checkpoints"]) == 3
    assert call("best", above).out == f"{folder / BEST}\n"
    assert call("verify", above).code == 0


def test_each_folder_is_a_run_and_the_newest_is_the_default(call, folder, tmp_path):
    other = tmp_path / "lightning_logs" / "version_1" / "checkpoints"
    save(other, "epoch=0.ckpt", 0, at=100, kept={"epoch=0.ckpt": 0.25})
    result = call("ls", tmp_path)
    assert "run lightning_logs/version_0/checkpoints" in result.out
    assert call("best", tmp_path).out == f"{other / 'epoch=0.ckpt'}\n"
    run = "lightning_logs/version_0/checkpoints"
    assert call("best", tmp_path, "--run", run).out == f"{folder / BEST}\n"
    assert len(call("ls", tmp_path, "--run", run, "--json").json["checkpoints"]) == 3
    assert call("ls", tmp_path, "--run", "none").code == 1
    assert call("best", tmp_path, "--run", "none").code == 1


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ([], BEST),
        (["--by", "val_f1"], BEST),
        (["--by", "val_f1", "--mode", "min"], SECOND),
        (["--where", "val_f1 < 0.9"], SECOND),
        (["--by", "1 - val_f1", "--mode", "min"], BEST),
    ],
)
def test_best_is_found_by_what_was_recorded(call, folder, options, name):
    assert call("best", folder, *options).out == f"{folder / name}\n"


def test_best_by_an_unknown_name_shows_the_nearest(call, folder):
    result = call("best", folder, "--by", "val_f2")
    assert result.code == 1
    assert "Did you mean 'val_f1'" in result.err


def test_a_name_shows_the_metrics_that_no_checkpoint_was_judged_by(call, tmp_path):
    save(tmp_path, "epoch=2-val_acc=0.75-val_loss=1.5e-02-v1.ckpt", 2)
    [one] = call("ls", tmp_path, "--json").json["checkpoints"]
    assert one["metrics"] == {"val_acc": 0.75, "val_loss": 0.015}
    assert one["scores"] == {}
    assert call("best", tmp_path, "--by", "val_loss").code == 0
    assert "Pass --by" in call("best", tmp_path).err


def test_a_folder_that_was_moved_is_read_all_the_same(call, folder, tmp_path):
    folder.rename(tmp_path / "elsewhere")
    assert call("best", tmp_path / "elsewhere").out == (
        f"{tmp_path / 'elsewhere' / BEST}\n"
    )


def test_a_callback_of_another_folder_says_nothing_of_this_one(call, tmp_path):
    """Two callbacks may give one name to files of their own folders."""
    for folder, score in ((tmp_path / "a", 0.5), (tmp_path / "b", 0.75)):
        whole = lightning_files.state(folder, 1, kept={"e.ckpt": score})
        other = lightning_files.state(
            tmp_path / "c", 1, kept={"e.ckpt": 0.1}, mode="min"
        )
        whole["callbacks"] |= other["callbacks"]
        folder.mkdir()
        lightning_files.torch.save(whole, folder / "e.ckpt")
        [one] = call("ls", folder, "--json").json["checkpoints"]
        assert one["scores"] == {"val_f1": score}


def test_two_trainings_in_one_folder_keep_their_own_scores(call, tmp_path):
    save(tmp_path, "epoch=1.ckpt", 1, kept={"epoch=1.ckpt": 0.5})
    save(tmp_path, "last.ckpt", 1, at=1, kept={"epoch=1.ckpt": 0.5})
    kept = {"epoch=1-v1.ckpt": 0.25}
    save(tmp_path, "epoch=1-v1.ckpt", 1, at=100, kept=kept)
    save(tmp_path, "last-v1.ckpt", 1, at=101, kept=kept, last="last-v1.ckpt")
    found = call("ls", tmp_path, "--json").json["checkpoints"]
    assert [one["scores"]["val_f1"] for one in found] == [0.5, 0.5, 0.25, 0.25]
    assert [one["marks"] for one in found] == [[], [], ["best"], ["last"]]


def test_two_files_of_one_moment_keep_their_own_scores(call, tmp_path):
    for name, score in (("a.ckpt", 0.5), ("b.ckpt", 0.25)):
        save(tmp_path, name, 1, kept={name: score})
    found = call("ls", tmp_path, "--json").json["checkpoints"]
    assert [one["scores"]["val_f1"] for one in found] == [0.5, 0.25]


def test_a_link_called_last_marks_what_it_leads_to(call, folder):
    (folder / "last.ckpt").unlink()
    (folder / "last.ckpt").symlink_to(SECOND)
    result = call("ls", folder, "--json").json
    assert [one["marks"] for one in result["checkpoints"]] == [["best"], ["last"]]
    assert result["skipped"] == []
    assert call("show", folder / "last.ckpt", "--json").json["name"] == SECOND


def test_show_has_metrics_versions_and_variables(call, folder):
    result = call("show", folder / BEST, "--variables")
    assert result.code == 0
    for text in ("lightning 2.6.6", "weights 2", "line.weight", "2x3", "0.9062"):
        assert text in result.out
    assert "load_from_checkpoint" in result.out
    shown = call("show", folder / BEST, "--json").json
    assert shown["variables"][1] == {
        "key": "line.bias",
        "group": "weights",
        "path": "line.bias",
        "shape": [2],
        "dtype": "float32",
    }
    assert shown["marks"] == ["best"]
    wrong = call("show", folder)
    assert (wrong.code, "one is wanted" in wrong.err) == (1, True)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(call, folder):
    (folder / "x.ckpt").write_bytes(b"nothing")
    result = call("ls", folder)
    assert "passed over" in result.out
    assert result.code == 0
    [skipped] = call("ls", folder, "--json").json["skipped"]
    assert skipped["path"] == str(folder / "x.ckpt")
    result = call("show", folder / "x.ckpt")
    assert result.code == 1
    assert result.err.startswith("CorruptCheckpointError")


def test_verify_reads_every_part_and_says_what_it_cannot_know(call, folder):
    result = call("verify", folder)
    assert result.code == 0
    assert "fits its CRC-32" in result.out
    assert "no checksum of a file" in " ".join(result.out.split())
    path = folder / BEST
    data = bytearray(path.read_bytes())
    data[data.index(b"line.weight")] ^= 1
    path.write_bytes(data)
    for place in (folder, path):
        result = call("verify", place)
        assert result.code == 2
        assert "Bad CRC-32" in " ".join(result.out.split())
    done = call("verify", folder, "--json").json
    assert (done["ok"], done["checked"], done["checksum"]) == (False, 2, "crc32")


@pytest.mark.parametrize(
    "command",
    [
        ("prune", "DIR", "--keep", "Last(1)"),
        ("gc", "DIR"),
        ("export", "FILE", "x.keras"),
        ("diff", "FILE", "FILE"),
        ("crosscheck", "FILE", "--data", "DATA"),
        ("audit", "FILE", "--data", "DATA"),
    ],
)
def test_commands_of_our_own_checkpoints_refuse_in_one_sentence(
    call, folder, command, tmp_path
):
    np.savez(tmp_path / "d.npz", x=np.ones(1), y=np.ones(1))
    places = {"DIR": folder, "FILE": folder / BEST, "DATA": tmp_path / "d.npz"}
    before = sorted(folder.iterdir())
    result = call(*(places.get(part, part) for part in command))
    assert result.code == 1
    assert result.err.startswith("ArgumentError")
    assert "is Lightning's" in result.err
    assert sorted(folder.iterdir()) == before


def test_a_run_directory_of_ours_stays_ours(call, run):
    lightning_files.plain(run / "x.ckpt")
    lightning_files.plain(run / "checkpoints" / "y.ckpt")
    assert len(call("ls", run, "--json").json["checkpoints"]) == 5
    (run / "runs.jsonl").unlink(missing_ok=True)
    assert len(call("ls", run, "--json").json["checkpoints"]) == 5
