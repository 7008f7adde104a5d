"""Keep the best of a plain PyTorch loop: a module's `state_dict`, no Keras model.

What people do today: `torch.save(net.state_dict(), "best.pt")` when the loss is
lower. The file is a pickle, written over in place: killed in the middle, both the
old best and the new one are gone. The optimizer is forgotten, and so is `best` when
the program starts again.

What to do: give `ckpt.step` a function that returns the state dictionaries. It is
called only when something is to be saved, and once more if the loop crashes inside
`with ckpt:`. `ckpt.resume` returns what `load_state_dict` wants.

    python loop_torch.py [DIRECTORY]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_wine
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

import multiback as mb

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
x, y = load_wine(return_X_y=True)
split = train_test_split(scale(x), y, test_size=0.5, random_state=0, stratify=y)
x, xv = (torch.tensor(part, dtype=torch.float32) for part in split[:2])
y, yv = (torch.tensor(part) for part in split[2:])


def new_net():
    torch.manual_seed(3)
    layers = [torch.nn.Linear(13, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(8, 3))


def score(net):
    net.eval()
    with torch.no_grad():
        return f1_score(yv, net(xv).argmax(-1), average="macro")


def train(run, epochs, fails_at=None):
    """Train until `epochs` are done, be it from the start or from a checkpoint."""
    net = new_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    steps = 0

    def arrays():
        return {
            "net": net.state_dict(),
            "optimizer": optimizer.state_dict(),
            "steps": steps,
        }

    with mb.Checkpointer(run, monitor="f1", mode="max", resume="auto") as ckpt:
        if saved := ckpt.resume(arrays()):
            net.load_state_dict(saved["net"])
            optimizer.load_state_dict(saved["optimizer"])
            steps = saved["steps"]
        while ckpt.epoch < epochs:
            net.train()
            # By the epoch, so that a resumed one sees its batches in the same order.
            order = np.random.default_rng(ckpt.epoch).permutation(len(x))
            for rows in np.array_split(order, 6):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
                optimizer.step()
                steps += 1
                if steps == fails_at:
                    raise RuntimeError("the machine gives up")
            logs = {"f1": score(net)}
            ckpt.step(arrays, logs, step=steps)
            print(f"epoch {ckpt.epoch}: F1 {logs['f1']:.4f}")
    return net, ckpt


try:
    train(folder / "run", epochs=6, fails_at=21)
except RuntimeError as error:
    print(f"After 21 steps {error}.")
assert mb.load_last(folder / "run")["steps"] == 21

net, ckpt = train(folder / "run", epochs=6)
whole, other = train(folder / "whole", epochs=6)
for name, value in whole.state_dict().items():
    assert torch.equal(value, net.state_dict()[name])
assert ckpt.best_model_score == other.best_model_score
best = mb.load_best(folder / "run")["net"]
net.load_state_dict({name: torch.tensor(array) for name, array in best.items()})
assert score(net) == ckpt.best_model_score
print("Shown: the resumed run ends as one that never stopped, its best included.")
