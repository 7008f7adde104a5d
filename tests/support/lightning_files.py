"""Files as Lightning 2.6.6 writes them, for where it is not installed.

`tests/integrations/test_lightning_files.py` compares with Lightning's own.
"""

import collections
import io
import os
import pickle
import zipfile

import torch


def state(folder, epoch, *, kept=None, last="", monitor="val_f1", mode="max"):
    """Return what Lightning saves after an epoch of ten steps.

    Args:
        folder: The `dirpath` of its callback.
        epoch: The epoch, from 0.
        kept: The scores of the files that it keeps, by name, best first.
        last: The name of its newest file.
        monitor: What it judges by.
        mode: Which way is better.
    """
    scores = {f"{folder}/{k}": torch.tensor(v) for k, v in (kept or {}).items()}
    best = next(iter(scores), "")
    line = torch.nn.Linear(3, 2)
    told = {"monitor": monitor, "mode": mode, "every_n_train_steps": 0}
    return {
        "epoch": epoch,
        "global_step": 10 * (epoch + 1),
        "pytorch-lightning_version": "2.6.6",
        "state_dict": collections.OrderedDict(
            (f"line.{name}", value) for name, value in line.state_dict().items()
        ),
        "loops": {"fit_loop": {"epoch_progress": {"total": {"ready": epoch + 1}}}},
        "callbacks": {
            "EarlyStopping{'monitor': 'val_f1', 'mode': 'max'}": {"wait_count": 2},
            f"ModelCheckpoint{told}": {
                "monitor": monitor,
                "best_model_score": next(iter(scores.values()), None),
                "best_model_path": best,
                "current_score": None,
                "dirpath": str(folder),
                "best_k_models": scores,
                "kth_best_model_path": best,
                "kth_value": None,
                "last_model_path": f"{folder}/{last}" if last else "",
            },
        },
        "optimizer_states": [torch.optim.Adam(line.parameters()).state_dict()],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.1},
    }


def save(folder, name, epoch, *, at=0, **given):
    """Write a file as it was written `at` seconds after an hour."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state(given.pop("dirpath", folder), epoch, **given), folder / name)
    when = 1_700_000_000 + at + epoch
    os.utime(folder / name, (when, when))
    return folder / name


def training(folder, **given):
    """Write what `save_top_k=2, save_last=True` leaves of four epochs."""
    names = {
        "epoch=1-step=20-val_f1=0.91.ckpt": 0.90625,
        "epoch=3-step=40-val_f1=0.88.ckpt": 0.875,
    }
    first = dict([*names.items()][:1])
    save(folder, next(iter(names)), 1, kept=first, last="last.ckpt", **given)
    save(folder, [*names][1], 3, kept=names, last="last.ckpt", **given)
    save(folder, "last.ckpt", 3, kept=names, last="last.ckpt", **given)
    return folder


def archive(path, data, members=(), **more):
    """Write a zip archive with a data.pkl of these bytes."""
    with zipfile.ZipFile(path, "w", **more) as file:
        file.writestr("archive/data.pkl", data)
        for name, content in members:
            file.writestr(f"archive/{name}", content)
    return path


def plain(path, **state):
    """Write a checkpoint without tensors, which needs no torch."""
    whole = {"epoch": 1, "global_step": 2, "state_dict": {}, **state}
    return archive(path, pickle.dumps(whole, protocol=2))


def with_a_long_directory(path, size):
    """Write an archive whose last record claims a directory of so many bytes."""
    memory = io.BytesIO()
    archive(memory, b"")
    data = bytearray(memory.getvalue())
    end = data.rindex(b"PK\x05\x06")
    data[end:end] = bytes(size)
    end += size
    data[end + 12 : end + 16] = size.to_bytes(4, "little")
    path.write_bytes(data)
    return path
