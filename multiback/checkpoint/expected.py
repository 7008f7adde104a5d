"""Check monitored names against what a model is going to log."""

import keras

from multiback.checkpoint.keras_private import logged_metrics
from multiback.checkpoint.scores import Scorer, split_logs

_HINT = (
    "If another callback adds the name to the logs, pass "
    "monitor=multiback.Monitor(name, mode=..., early=False)."
)


def check_names(model: keras.Model, scorer: Scorer) -> bool:
    """Check the names, and tell the scorer which way each metric is better.

    Returns:
        Whether it was possible: before its first batch, TensorFlow has not built
        the metrics.

    Raises:
        MonitorError: A monitored name will not be in the logs, cannot be ranked, or
            nothing says which way is better.
    """
    try:
        rows = logged_metrics(model)
    except ValueError:
        return False
    scorer.directions |= {name: mode for name, _, mode in rows if mode}
    if not writes_own_logs(model):
        values, shapes = split_logs({name: value for name, value, _ in rows})
        scorer.check(values, shapes, _HINT)
    return True


def writes_own_logs(model: keras.Model) -> bool:
    """Tell whether the names in the logs are the model's own business."""
    return any(
        getattr(type(model), name) is not getattr(keras.Model, name)
        for name in ("train_step", "test_step", "get_metrics_result")
    )
