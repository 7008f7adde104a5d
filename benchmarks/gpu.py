"""What matters on a GPU: updates, copies to the host, and a save beside the steps.

    KERAS_BACKEND=torch python benchmarks/gpu.py        under five minutes

Where there is no GPU it only checks that the numbers are right, and says so.

    update    precision, recall, F1 and AUROC of a batch, against torchmetrics' on the
              same GPU and against a sum of the same arrays
    copy      a state of 1 GiB into page-locked memory and into plain memory
    overlap   steps a second while a checkpoint is saved, against none
"""

import os
import statistics
import sys
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import sklearn.metrics
import torch

import multiback as mb
from multiback.state.torch import copy_to_host, page_locked

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
SIZES = (1024, 65_536, 1_048_576)
ROUNDS = 9


def batch(rows):
    """Return labels and scores on the device, and as arrays."""
    rng = np.random.default_rng(rows)
    y_true = rng.integers(0, 2, rows)
    # Many distinct scores near both ends, as a trained model gives.
    y_pred = (1 / (1 + np.exp(-4 * rng.normal(y_true - 0.5, 1)))).astype("float32")
    on_device = (torch.tensor(each, device=DEVICE) for each in (y_true, y_pred))
    return (*on_device, y_true, y_pred)


def group():
    """Return the metrics of this package that are timed."""
    m = mb.metrics
    return [m.Precision(), m.Recall(), m.F1Score(), m.AUROC()]


def right(rows):
    """Raise unless the metrics agree with scikit-learn on the host."""
    y_true, y_pred, labels, scores = batch(rows)
    metrics = group()
    for metric in metrics:
        for part in range(0, rows, 1 + rows // 3):
            cut = slice(part, part + 1 + rows // 3)
            metric.update_state(y_true[cut], y_pred[cut])
    chosen = scores > 0.5
    expected = (
        sklearn.metrics.precision_score(labels, chosen),
        sklearn.metrics.recall_score(labels, chosen),
        sklearn.metrics.f1_score(labels, chosen),
    )
    for metric, value in zip(metrics[:3], expected, strict=True):
        np.testing.assert_allclose(float(metric.result()), value, rtol=4 * 2.0**-24)
    low, high = (float(np.asarray(end)) for end in metrics[3].bounds())
    area = sklearn.metrics.roc_auc_score(labels, scores)
    if not low - 1e-6 <= area <= high + 1e-6:
        raise SystemExit(f"AUROC {area} is not within {low} and {high}")


def seconds(run):
    """Return the median seconds of a call, with the device's work in it."""
    found = []
    for _ in range(ROUNDS + 2):
        synchronize()
        start = time.perf_counter()
        run()
        synchronize()
        found.append(time.perf_counter() - start)
    return statistics.median(found[2:])


def synchronize():
    """Wait for the device."""
    if GPU:
        torch.cuda.synchronize()


def updates():
    """Print the time of an update, and its ratios."""
    import torchmetrics.classification as tc
    from torchmetrics import MetricCollection

    print(f"\n{'update, rows':>16}{'multiback':>14}{'torchmetrics':>14}{'a sum':>12}")
    for rows in SIZES:
        y_true, y_pred, *_ = batch(rows)
        metrics = group()
        theirs = MetricCollection(
            [
                tc.BinaryPrecision(validate_args=False),
                tc.BinaryRecall(validate_args=False),
                tc.BinaryF1Score(validate_args=False),
                tc.BinaryAUROC(thresholds=200, validate_args=False),
            ]
        ).to(DEVICE)

        def ours(metrics=metrics, y_true=y_true, y_pred=y_pred):
            for metric in metrics:
                metric.update_state(y_true, y_pred)

        times = (
            seconds(ours),
            seconds(lambda t=theirs, a=y_pred, b=y_true: t.update(a, b)),
            seconds(lambda a=y_pred, b=y_true: (a.sum(), b.sum())),
        )
        print(f"{rows:>16,}" + "".join(f"{1e6 * one:>11,.0f} us" for one in times))


def copies():
    """Print how fast a state reaches the host."""
    size = 1 << 30
    state = torch.rand(size // 4, device=DEVICE)
    print(f"\n{'copy of 1 GiB':>16}")
    for name, memory in (
        ("page-locked", page_locked(size)),
        ("plain", np.empty(size, np.uint8)),
    ):
        target = memory.view(np.float32)
        took = seconds(lambda target=target: copy_to_host([(state, target)]))
        if not np.array_equal(target[:1000], state[:1000].cpu().numpy()):
            raise SystemExit(f"the copy into {name} memory is not equal")
        print(f"{name:>16}{size / took / 1e9:>10.1f} GB/s")


def overlap():
    """Print the steps a second beside a save, against none."""
    width = 4096
    model = keras.Sequential([keras.Input((width,))])
    for _ in range(8):
        model.add(keras.layers.Dense(width, "relu"))
    model.compile("adam", "mse")
    x = torch.rand((256, width), device=DEVICE)
    model.train_on_batch(x, x)
    kept, blocked = [], []
    with tempfile.TemporaryDirectory() as folder:
        ckpt = mb.Checkpointer(folder)
        ckpt.step(model, {})  # Makes the buffers.
        ckpt.wait()
        for _ in range(ROUNDS):
            rates = {}
            for saves in (False, True):
                synchronize()
                start = time.perf_counter()
                if saves:
                    ckpt.step(model, {})
                    blocked.append(time.perf_counter() - start)
                for _ in range(50):
                    model.train_on_batch(x, x)
                synchronize()
                rates[saves] = 50 / (time.perf_counter() - start)
                ckpt.wait()
            kept.append(rates[True] / rates[False])
        ckpt.finish()
    megabytes = sum(v.value.nbytes for v in model.variables) / 1e6
    print(
        f"\n{'overlap':>16}  {statistics.median(kept):.2f} of the steps beside a save, "
        f"which blocks {1e3 * statistics.median(blocked):.0f} ms "
        f"(weights of {megabytes:.0f} MB, Adam's state twice that)"
    )


def main():
    """Check, then measure what there is a GPU for."""
    for rows in SIZES:
        right(rows)
    print(f"numbers: right at {', '.join(f'{rows:,}' for rows in SIZES)} rows")
    if not GPU:
        print("There is no GPU here: nothing was measured.")
        return
    print(torch.cuda.get_device_name())
    updates()
    copies()
    overlap()


if __name__ == "__main__":
    sys.exit(main())
