"""Check monitored names against what a model is going to log."""

from collections import Counter

import keras

from multiback.checkpoint.choosing.scorer import Scorer
from multiback.checkpoint.keras_private import logged_metrics
from multiback.errors import MonitorError

_HINT = (
    "If another callback adds the name to the logs, pass "
    "monitor=multiback.Monitor(name, mode=..., early=False)."
)


def check_names(model: keras.Model, scorer: Scorer) -> list[str] | None:
    """Check the names, and tell the scorer which way each metric is better.

    Returns:
        What may mislead, in sentences; or None where it is too early to know:
        before its first batch, TensorFlow has not built the metrics.

    Raises:
        MonitorError: A monitored name will not be in the logs, cannot be ranked, or
            stands for two metrics, or nothing says which way is better.
    """
    try:
        rows = logged_metrics(model)
    except ValueError:
        return None
    scorer.directions |= {name: mode for name, _, mode in rows if mode}
    names = [name for name, _, _ in rows]
    monitored = scorer.base_names()
    twice = [name for name, count in Counter(names).items() if count > 1]
    problems = []
    for name in twice:
        text = (
            f"Two metrics are logged as {name!r}, and Keras shows one of them only. "
            "Give each a name= of its own."
        )
        if name in monitored:
            raise MonitorError(text)
        problems.append(text)
    if not writes_own_logs(model):
        scorer.check({name: value for name, value, _ in rows}, _HINT)
        problems += scorer.doubtful_fields(names)
    elif type(model).get_metrics_result is keras.Model.get_metrics_result:
        problems += [
            f"{name!r} is none of the model's metrics: in the logs it is what the "
            "custom train_step or test_step returned for the last batch, not for the "
            "epoch. Update a keras.metrics.Mean in the step, and return its result."
            for name in sorted(monitored - set(names))
        ]
    return problems


def writes_own_logs(model: keras.Model) -> bool:
    """Tell whether the names in the logs are the model's own business."""
    return any(
        getattr(type(model), name) is not getattr(keras.Model, name)
        for name in ("train_step", "test_step", "get_metrics_result")
    )
