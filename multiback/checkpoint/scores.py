"""From the logs of one moment to what the slots compare, with early errors."""

import numbers
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from multiback.checkpoint.direction import Mode, find_direction
from multiback.checkpoint.monitor import Monitor, goodness
from multiback.checkpoint.names import find_name, missing_name, without_number
from multiback.errors import MonitorError

VALIDATION = "val_"


def split_logs(
    logs: Mapping[str, Any],
) -> tuple[dict[str, float], dict[str, tuple[int, ...]]]:
    """Part logs into numbers and the shapes of what is no number.

    >>> split_logs({"loss": 0.5, "f1_score": [0.1, 0.9]})
    ({'loss': 0.5}, {'f1_score': (2,)})
    """
    values: dict[str, float] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in logs.items():
        if isinstance(value, numbers.Real):
            values[name] = float(value)
            continue
        array = np.asarray(value)
        if array.size == 1 and array.dtype.kind in "fiub":
            values[name] = float(array.reshape(()))
        else:
            shapes[name] = array.shape
    return values, shapes


class Scorer:
    """Judge logs by some monitors, remembering which names were ever there.

    Args:
        monitors: What to judge by.
        metrics: The metric objects by log name, where they are known.

    Attributes:
        modes: Which way is better, by label; filled when it becomes known.
    """

    def __init__(
        self, monitors: Sequence[Monitor], metrics: Mapping[str, Any] | None = None
    ) -> None:
        self.monitors = list({monitor.label: monitor for monitor in monitors}.values())
        self.metrics = dict(metrics or {})
        self.modes: dict[str, Mode] = {
            m.label: m.mode for m in self.monitors if m.mode != "auto"
        }
        self._seen: set[str] = set()

    def check(self, available: Collection[str], hint: str = "") -> None:
        """Raise unless the logs will have each name, with or without `val_`.

        Args:
            available: Names without the prefix of a validation set.
            hint: What else the user could do.

        Raises:
            MonitorError: A name will not be there, or no direction is known.
        """
        known = [*available, *(VALIDATION + name for name in available)]
        for monitor in self.monitors:
            if not monitor.early:
                continue
            for name in monitor.missing(known):
                raise MonitorError(missing_name(name, known, hint))
            self.mode(monitor)

    def mode(self, monitor: Monitor) -> Mode:
        """Return which way is better, and remember it.

        Raises:
            MonitorError: Nothing says so.
        """
        label = monitor.label
        if label not in self.modes:
            found = self._direction(monitor)
            if found is None:
                raise MonitorError(
                    f"Nothing says whether more or less of {label!r} is better. Pass "
                    'mode="max" or mode="min", or register it: '
                    f'multiback.register_direction("{self._base(label)}", "max").'
                )
            self.modes[label] = found
        return self.modes[label]

    def _base(self, name: str) -> str:
        """Drop the prefix of validation."""
        return name.removeprefix(VALIDATION)

    def _direction(self, monitor: Monitor) -> Mode | None:
        if monitor.name is None:
            return None
        base = self._base(monitor.name)
        key = find_name(base, self.metrics)
        if key is None:
            return find_direction(base)
        metric = self.metrics[key]
        # `a_auc` is the output `a` and the metric `auc`.
        own = without_number(str(getattr(metric, "name", base)))
        return find_direction(base, metric) or find_direction(own, metric)

    def measure(
        self, logs: Mapping[str, float], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, float]:
        """Return the scores that the logs give, by label.

        Args:
            logs: Numbers by name.
            shapes: Shapes of the logs that are no numbers.

        Raises:
            MonitorError: A name is not there and never was, or is no number, or
                no direction is known.
        """
        scores: dict[str, float] = {}
        validated = any(name.startswith(VALIDATION) for name in logs)
        for monitor in self.monitors:
            for name in monitor.missing(logs):
                if name in shapes:
                    raise MonitorError(
                        f"{name!r} has shape {shapes[name]}, which cannot be ranked. "
                        "Monitor a metric with one value, such as one with "
                        'average="macro".'
                    )
                off = name.startswith(VALIDATION) and not validated
                if logs and not off and name not in self._seen:
                    raise MonitorError(missing_name(name, [*logs, *shapes]))
            self.remember(logs)
            score = monitor.measure(logs)
            if score is not None:
                self.mode(monitor)
                scores[monitor.label] = score
        return scores

    def goodness(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Turn scores so that more is better, leaving out what can never be best."""
        turned = {
            label: goodness(score, self.modes[label])
            for label, score in scores.items()
            if label in self.modes
        }
        return {label: value for label, value in turned.items() if value is not None}

    def remember(self, logs: Mapping[str, float]) -> None:
        """Note which names the logs have, or had in an earlier part of the run."""
        for monitor in self.monitors:
            names = monitor.names(logs)
            self._seen.update(name for name in names if find_name(name, logs))

    def never_seen(self) -> list[str]:
        """Return the names that no logs ever had."""
        names = {name for m in self.monitors for name in m.names(self._seen)}
        return sorted(names - self._seen)
