"""What scikit-learn's functions take, as our metrics take it."""

import functools
import zlib

import numpy as np
import scipy.sparse
from keras import ops
from sklearn.utils.multiclass import type_of_target

import multiback as mb


class NotApplicableError(Exception):
    """The call asks for something that multiback does not have; says what."""


@functools.cache
def _metric(name, arguments):
    return getattr(mb.metrics, name)(**dict(arguments))


def stream(name, y_true, y_pred, sample_weight=None, **arguments):
    """Return a metric that was given random batches of the rows.

    JAX compiles each shape, so the batches have few sizes.
    """
    metric = _metric(name, tuple(sorted(arguments.items())))
    metric.reset_state()
    rows = len(y_true)
    rng = np.random.default_rng(zlib.crc32(name.encode()) + rows)
    cuts = np.sort(rng.choice([0, rows // 4, rows // 3, rows // 2, rows], 2))
    for part in np.split(np.arange(rows), cuts):
        if len(part):
            weight = None if sample_weight is None else sample_weight[part]
            metric.update_state(y_true[part], y_pred[part], sample_weight=weight)
    return metric


def value_of(metric):
    return np.asarray(ops.convert_to_numpy(metric.result()), "float64")


def dense(values):
    """Return an array, dense if it was sparse."""
    if scipy.sparse.issparse(values):
        return values.toarray()
    return np.asarray(values)


def weights_of(given):
    weight = given.get("sample_weight")
    return None if weight is None else np.asarray(weight, "float32")


class Classes:
    """Labels and decisions of a call, as ids of the sorted classes."""

    def __init__(self, given, chosen=None):
        y_true, y_pred = dense(given["y_true"]), dense(given["y_pred"])
        kinds = {type_of_target(each) for each in (y_true, y_pred)}
        self.several = any("multilabel" in kind for kind in kinds)
        self.weights = weights_of(given)
        if self.several:
            self.columns = y_true.shape[1]
            self.y_true, self.y_pred = y_true.astype("int32"), y_pred.astype("float32")
            self.classes = np.arange(self.columns)
        else:
            if any("multioutput" in kind for kind in kinds):
                raise NotApplicableError("several outputs of classes")
            y_true, y_pred = np.ravel(y_true), np.ravel(y_pred)
            present = np.unique(np.concatenate([_plain(y_true), _plain(y_pred)]))
            more = [] if chosen is None else _plain(np.asarray(chosen))
            more = [label for label in more if label not in present]
            self.classes = np.asarray([*present, *more])
            # Ours wants two classes; a spare one is never seen.
            self.columns = max(len(self.classes), 2)
            self.y_true, self.y_pred = self._ids(y_true), self._ids(y_pred)
        self.kind = "multilabel" if self.several else "multiclass"

    def _ids(self, labels):
        place = {label: i for i, label in enumerate(self.classes.tolist())}
        return np.asarray([place[x] for x in _plain(labels).tolist()], "int32")

    @property
    def total(self):
        """The sum of the weights."""
        return len(self.y_true) if self.weights is None else self.weights.sum()

    @property
    def task(self):
        size = "num_labels" if self.several else "num_classes"
        return {"task": self.kind, size: self.columns}

    def places(self, labels):
        """Return the ids of labels."""
        places = {label: i for i, label in enumerate(self.classes.tolist())}
        return tuple(places[label] for label in _plain(np.asarray(labels)).tolist())

    def value(self, name, **arguments):
        metric = stream(
            name, self.y_true, self.y_pred, self.weights, **self.task, **arguments
        )
        return value_of(metric)


def _plain(labels):
    return labels.astype(str) if labels.dtype.kind == "O" else labels
