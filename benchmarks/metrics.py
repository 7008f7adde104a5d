"""How much metrics cost: these, Keras's, torchmetrics' and a plain sum, side by side.

    KERAS_BACKEND=torch python benchmarks/metrics.py [SECTION ...] [--goals] [--json]

One process, one backend, one thread, and the processor's time. What is compared
takes turns, so that a busy machine slows all of it; a ratio is the median of the
rounds' own ratios, with the quartiles beside it. `sum` is one pass over the bytes:
the sum of the same arrays.

    counts   precision, recall, F1 and accuracy: one update (PyTorch, eager)
    ranking  AUROC: one update (PyTorch, eager)
    results  the same with the result after each update, as `fit` wants it
    intervals  `interval()` of every metric, of 10,000 rows, 1 ms at most; and what its
             sums add to a step of `fit`, 2% at most
    bootstrap  intervals="bootstrap": an update, an interval and the memory
    newer    ranking, regression, images: not slower than torchmetrics' and Keras's
    group    the four of `counts`, and AUROC: one compiled update (JAX, TensorFlow)
    top1     accuracy of 1000 classes
    fit      a step of `fit` of an MLP 32-64-1 in batches of 32, against no metrics;
             four metrics that do nothing show what Keras itself adds
    auroc    AUROC: one compiled update of a large batch (JAX, TensorFlow)
    classes  AUROC and average precision of 10, 100 and 1000 classes: update and result

`--goals` runs the sections that have goals (auroc, classes, fit, intervals, newer), in
a few minutes, says of each goal whether it was kept, and lists those missed again.
"""

import argparse
import functools
import json
import os
import statistics
import time
import warnings

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("NPROC", "1")  # For JAX, whose pool of threads has no other name.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import keras
import numpy as np
import sure
from contenders import (
    BACKEND,
    Idle,
    compiled,
    kerass,
    ours,
    scores,
    stepping,
    summing,
    updating,
    updating_torchmetrics,
)
from keras import ops

import multiback as mb
from multiback.metrics.statistics.sums import ErrorSums

SECONDS = 0.02  # Of one turn.
# The processor's time of all threads: what else the machine does shows less in it.
clock = time.process_time
SIZES = (32, 1024, 65_536)


def take_turns(candidates, rounds):
    """Return the seconds a call of each candidate took, a list a round."""
    calls = {}
    for name, run in candidates.items():
        run()  # Compiles.
        run()
        start = clock()
        run()
        calls[name] = max(1, int(SECONDS / (clock() - start + 1e-9)))
    seconds = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            start = clock()
            for _ in range(calls[name]):
                run()
            seconds[name].append((clock() - start) / calls[name])
    return seconds


def report(section, case, seconds, unit):
    """Return one row a candidate: its time, and ratios to the others."""
    rows = []
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(times, seconds[unit], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows.append(
            {
                "backend": BACKEND,
                "section": section,
                "case": case,
                "what": name,
                "microseconds": statistics.median(times) * 1e6,
                "unit": unit,
                "ratio": middle,
                "quartiles": [low, high],
            }
        )
    return rows


def counts(rounds, *, result=False):
    import torchmetrics.classification as tm
    from torchmetrics import MetricCollection

    for n in SIZES:
        batch = scores(n)
        names = ("BinaryPrecision", "BinaryRecall", "BinaryF1Score", "BinaryAccuracy")
        collection = MetricCollection([getattr(tm, name)() for name in names])
        candidates = {
            "sum": summing(*batch),
            "multiback, group": updating(
                mb.metrics.group(*ours()), *batch, result=result
            ),
            "multiback, list": updating(ours(), *batch, result=result),
            "Keras": updating(kerass(), *batch, result=result),
            "torchmetrics": updating_torchmetrics(collection, *batch, result=result),
        }
        section = "results" if result else "counts"
        seconds = take_turns(candidates, rounds)
        yield from report(section, f"P R F1 Acc, N={n}", seconds, "multiback, group")


def ranking(rounds, *, result=False):
    import torchmetrics.classification as tm

    for n in SIZES:
        batch = scores(n)
        candidates = {
            "sum": summing(*batch),
            "multiback": updating([mb.metrics.AUROC()], *batch, result=result),
            "Keras": updating([keras.metrics.AUC()], *batch, result=result),
            "torchmetrics": updating_torchmetrics(
                tm.BinaryAUROC(thresholds=200), *batch, result=result
            ),
        }
        section = "results" if result else "ranking"
        seconds = take_turns(candidates, rounds)
        yield from report(section, f"AUROC, N={n}", seconds, "multiback")


def results(rounds):
    yield from counts(rounds, result=True)
    yield from ranking(rounds, result=True)


def intervals(rounds):
    """Time every interval: `ModelCheckpoint` asks for one an epoch; 1 ms at most."""
    warnings.simplefilter("ignore", mb.errors.FewRowsWarning)
    # They are computed in NumPy on every backend.
    for case, metric, batch in sure.every_metric() if BACKEND == "torch" else []:
        metric.update_state(*batch)
        run = {"an interval": lambda m=metric: m.compute_interval(m.state)}
        seconds = take_turns(run, rounds)
        (row,) = report("intervals", case, seconds, "an interval")
        kept = row["microseconds"] <= 1000.0
        yield row | {"at_most": "1 ms", "kept": kept}
    yield extra_sums(10 * rounds)


def extra_sums(rounds):
    """Say what the sum that an interval needs more adds to a step of `fit`.

    It takes microseconds, and two runs of `fit` differ by more than that. So updates
    with and without it take turns, and their difference is divided by a step.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32 * 100, 32)).astype("float32")
    y = x[:, :1]
    layers = [keras.Input((32,)), keras.layers.Dense(64, "relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=[mb.metrics.MeanSquaredError()])
    run = {"epoch": lambda: model.fit(x, y, batch_size=32, verbose=0)}
    step = min(take_turns(run, max(rounds // 10, 5))["epoch"]) / 100
    batch = [ops.convert_to_tensor(part) for part in (y[:32], x[:32, 1:2])]
    kinds = {"with": ErrorSums("squared"), "without": sure.ValueAlone("squared")}
    seconds = take_turns(
        {k: compiled([sure.mean_squared_error(v)], *batch) for k, v in kinds.items()},
        rounds,
    )
    pairs = zip(seconds["with"], seconds["without"], strict=True)
    added = np.array([longer - shorter for longer, shorter in pairs])
    drawn = rng.choice(added, (1000, rounds))
    low, high = 1.0 + np.quantile(np.median(drawn, axis=1), [0.025, 0.975]) / step
    found = float(1.0 + np.median(added) / step)
    return {
        "backend": BACKEND,
        "section": "intervals",
        "case": f"MSE, a step of {step * 1e6:.0f} us",
        "what": "sum for intervals",
        "microseconds": float(np.median(added)) * 1e6,
        "unit": "a step, 95%",
        "ratio": found,
        "quartiles": [low, high],
        "at_most": 1.02,
        "kept": bool(high <= 1.02),
    }


def bootstrap(rounds):
    """Print what drawing the rows again costs: time a batch, and memory."""
    batch = scores(256)
    for name, more in {"F1Score": {}, "MeanSquaredError": {}, "AUROC": {}}.items():
        kind = getattr(mb.metrics, name)
        drawing = kind(intervals="bootstrap", **more)
        candidates = {
            "plain": updating([kind(**more)], *batch),
            "200 draws": updating([drawing], *batch),
        }
        case = f"{name}, {drawing.statistic.megabytes:.2f} MB"
        yield from report("bootstrap", case, take_turns(candidates, rounds), "plain")
        run = {"an interval": lambda m=drawing: m.compute_interval(m.state)}
        yield from report("bootstrap", name, take_turns(run, rounds), "an interval")


def newer(rounds):
    """Compare the newer metrics with the peer of one meaning: not slower than it."""
    import newer as pairs

    for name in pairs.PAIRS:
        seconds = take_turns(pairs.candidates(name), rounds)
        yield from with_goal(report("newer", name, seconds, "peer"), "multiback", 1.0)


def group(rounds):
    for n in (65_536, 1_048_576):
        batch = scores(n)
        candidates = {
            "sum": summing(*batch),
            "multiback, group": compiled(mb.metrics.group(*ours()), *batch),
            "multiback, list": compiled(ours(), *batch),
            "Keras (P, R, Acc)": compiled(
                [m for m in kerass() if not isinstance(m, keras.metrics.F1Score)],
                *batch,
            ),
            "multiback AUROC": compiled([mb.metrics.AUROC()], *batch),
            "Keras AUC": compiled([keras.metrics.AUC()], *batch),
        }
        seconds = take_turns(candidates, rounds)
        yield from report("group", f"compiled, N={n}", seconds, "sum")


def top1(rounds):
    classes = 1000
    for n in (64, 2048):
        rng = np.random.default_rng(0)
        y_true = ops.convert_to_tensor(rng.integers(0, classes, n))
        y_pred = ops.convert_to_tensor(rng.random((n, classes)).astype("float32"))
        accuracy = mb.metrics.Accuracy(task="multiclass", num_classes=classes)
        keras_accuracy = keras.metrics.SparseCategoricalAccuracy()
        candidates = {
            "sum": summing(y_true, y_pred),
            "multiback": compiled([accuracy], y_true, y_pred),
            "Keras": compiled([keras_accuracy], y_true, y_pred),
        }
        seconds = take_turns(candidates, rounds)
        yield from report("top1", f"1000 classes, N={n}", seconds, "multiback")


def fit(rounds):
    m, k = mb.metrics, keras.metrics
    mine = [m.Precision(), m.Recall(), m.F1Score(), m.AUROC()]
    shared = m.group(m.Precision(), m.Recall(), m.F1Score(), m.AUROC())
    theirs = [k.Precision(), k.Recall(), k.F1Score(threshold=0.5), k.AUC()]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32 * 100, 32)).astype("float32")
    y = (x[:, :1] + rng.normal(size=(len(x), 1)) > 0).astype("float32")

    def fitting(metrics):
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((32,)),
                layers.Dense(64, "relu"),
                layers.Dense(1, "sigmoid"),
            ]
        )
        model.compile("adam", "binary_crossentropy", metrics=metrics)
        return lambda: model.fit(x, y, batch_size=32, verbose=0)

    candidates = {
        "no metrics": fitting(None),
        "four that do nothing": fitting([Idle(f"idle_{k}") for k in range(4)]),
        "multiback, list": fitting(mine),
        "multiback, group": fitting(shared),
        "Keras": fitting(theirs),
    }
    seconds = take_turns(candidates, 5 * rounds)  # Keras's threads vary a fifth.
    per_step = {name: [t / 100 for t in times] for name, times in seconds.items()}
    rows = list(report("fit", "a step of fit", per_step, "no metrics"))
    ratios = {row["what"]: row["ratio"] for row in rows}
    # On PyTorch what there was; on JAX hardly more than what Keras itself adds.
    limits = {
        "torch": 1.3,
        "jax": 1.1 * ratios["four that do nothing"],
        "tensorflow": ratios["Keras"],
    }
    yield from with_goal(rows, "multiback, group", round(limits[BACKEND], 3))


def auroc(rounds):
    """Compare compiled updates of a large batch, on TensorFlow with and without XLA."""
    limits = {
        "jax": {65_536: 0.8, 1_048_576: 0.7},
        "tensorflow": {65_536: 1.2, 1_048_576: 0.7},
        "graph": {65_536: 1.0, 1_048_576: 1.0},
    }
    for n in (65_536, 1_048_576):
        batch = scores(n)
        for way in [BACKEND, "graph"] if BACKEND == "tensorflow" else [BACKEND]:
            xla = way != "graph"
            candidates = {
                "multiback": compiled([mb.metrics.AUROC()], *batch, xla=xla),
                "Keras": compiled([keras.metrics.AUC()], *batch, xla=xla),
            }
            case = f"AUROC, N={n}" + ("" if xla else ", no XLA")
            rows = report("auroc", case, take_turns(candidates, rounds), "Keras")
            yield from with_goal(rows, "multiback", limits[way][n])


def classes(rounds):
    """Compare many rankings: update and result, and each by itself on PyTorch."""
    for columns in (10, 100, 1000):
        rng = np.random.default_rng(0)
        ids = rng.integers(0, columns, 256)
        y_pred = rng.random((256, columns)).astype("float32")
        y_pred = ops.convert_to_tensor(y_pred / y_pred.sum(1, keepdims=True))
        y_true = ops.convert_to_tensor(ids)
        one_hot = ops.one_hot(ids, columns)
        several = {"task": "multiclass", "num_classes": columns}
        for way in [BACKEND, "graph"] if BACKEND == "tensorflow" else [BACKEND]:
            xla = way != "graph"
            step = updating if BACKEND == "torch" else stepping
            how = {"result": True} if BACKEND == "torch" else {"xla": xla}
            made = {
                "AUROC": [mb.metrics.AUROC(**several)],
                "average precision": [mb.metrics.AveragePrecision(**several)],
                "Keras": [keras.metrics.AUC(multi_label=True, num_labels=columns)],
            }
            candidates = {
                name: step(each, one_hot if name == "Keras" else y_true, y_pred, **how)
                for name, each in made.items()
            }
            case = f"{columns} classes" + ("" if xla else ", no XLA")
            rows = report("classes", case, take_turns(candidates, rounds), "Keras")
            limit = 1.1 if not xla and columns == 1000 else 1.0
            rows = with_goal(rows, "AUROC", limit)
            yield from with_goal(rows, "average precision", limit)
            if BACKEND == "torch" and columns <= 100:
                batches = {"AUROC": (y_true, y_pred), "Keras": (one_hot, y_pred)}
                yield from apart(made, batches, case, rounds)
        state = made["AUROC"][0].variables
        megabytes = sum(np.prod(v.shape) * 4 for v in state) / 1e6
        # Of 1: the largest state that is promised.
        yield {
            "backend": BACKEND,
            "section": "classes",
            "case": f"{columns} classes: state",
            "what": f"AUROC, {megabytes:.1f} MB",
            "microseconds": 0.0,
            "unit": "32 MB",
            "ratio": megabytes / 32,
            "quartiles": [megabytes / 32] * 2,
            "at_most": 1.0,
            "kept": megabytes <= 32,
        }


def apart(made, batches, case, rounds):
    """Yield the rows of an update by itself, and of a result by itself."""
    ways = {
        "update": {k: updating(made[k], *batch) for k, batch in batches.items()},
        "result": {
            k: functools.partial(lambda m: float(m.result()), made[k][0])
            for k in batches
        },
    }
    for what, candidates in ways.items():
        seconds = take_turns(candidates, rounds)
        rows = report("classes", f"{case}: {what}", seconds, "Keras")
        yield from with_goal(rows, "AUROC", 1.0)


def with_goal(rows, what, limit):
    """Say of one row what its ratio has to be at most, and whether it is."""
    for row in rows:
        if row["what"] == what:
            row |= {"at_most": limit, "kept": row["ratio"] <= limit}
        yield row


def show(row):
    low, high = row["quartiles"]
    print(
        f"{row['case']:24} {row['what']:20} {row['microseconds']:10.1f} us"
        f" {row['ratio']:8.2f} x {row['unit']} ({low:.2f} to {high:.2f})"
        + goal_of(row),
        flush=True,
    )


def goal_of(row):
    if "kept" not in row:
        return ""
    return f"  at most {row['at_most']}: {'kept' if row['kept'] else 'missed'}"


def main():
    here = {
        "torch": [
            counts,
            ranking,
            results,
            intervals,
            bootstrap,
            newer,
            top1,
            fit,
            classes,
        ]
    }
    compiling = [group, top1, fit, auroc, classes, intervals]
    sections = {s.__name__: s for s in here.get(BACKEND, compiling)}
    parser = argparse.ArgumentParser()
    parser.add_argument("sections", nargs="*", choices=[[], *sections], default=[])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--goals", action="store_true", help="only rows with goals")
    given = parser.parse_args()
    if BACKEND == "torch":
        import torch

        torch.set_num_threads(1)
    rows = []
    load = os.getloadavg()[0]
    goals = [
        name
        for name in sections
        if name in ("auroc", "classes", "fit", "intervals", "newer")
    ]
    for name in given.sections or (goals if given.goals else sections):
        for row in sections[name](given.rounds):
            rows.append(row)
            if not given.json:
                show(row)
    if given.json:
        print(json.dumps({"load": load, "rows": rows}))
    else:
        promised = [row for row in rows if "kept" in row]
        missed = [row for row in promised if not row["kept"]]
        print(f"{len(promised) - len(missed)} of {len(promised)} goals kept", end="")
        print("; missed:" if missed else "")
        for row in missed:
            show(row)
        print(f"load {load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
