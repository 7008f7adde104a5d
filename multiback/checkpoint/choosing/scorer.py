"""From the logs to the scores that slots compare, with early errors."""

import contextlib
import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from multiback.checkpoint.choosing.direction import Mode, find_direction
from multiback.checkpoint.choosing.log_values import element, element_fault
from multiback.checkpoint.choosing.monitor import Monitor
from multiback.checkpoint.choosing.names import (
    find_element,
    find_name,
    missing_name,
)
from multiback.checkpoint.choosing.smoothing import smoothed
from multiback.errors import ArgumentError, MonitorError

# Per label of a function: its score, or the missing name.
Answers = Mapping[str, Sequence[Any]]

_PARTS = ("lower", "upper", "standard_error", "level")


class Scorer:
    """Score logs by some monitors; remember all names that were ever logged.

    Args:
        monitors: The monitors to score by.
        prefixes: What stands before the names of a validation set.
        fields: Names that the logs must have too, because they make a file's name.

    Attributes:
        monitors: The monitors, each once.
        modes: Which way is better, by label; filled when it becomes known.
        directions: Which way is better by base name, for names that are known
            otherwise than by themselves.
        curves: The state of each smoothed score, by label.
        raw: The newest scores of these before smoothing, by label.
        hint: What to do about a name that is not in the logs, for the error.

    Raises:
        ArgumentError: Two different monitors have one label.
    """

    def __init__(
        self,
        monitors: Sequence[Monitor],
        prefixes: Sequence[str] = ("val_",),
        fields: Sequence[str] = (),
    ) -> None:
        by_label: dict[str, Monitor] = {}
        for monitor in monitors:
            if by_label.setdefault(monitor.label, monitor) != monitor:
                raise ArgumentError(
                    f"Two different monitors are both called {monitor.label!r}. Use "
                    "one and the same Monitor in each slot, and functions with names "
                    "of their own."
                )
        self.monitors = list(by_label.values())
        self._prefixes = tuple(prefixes)
        self._fields = tuple(fields)
        self.hint = ""
        self.reset()

    def reset(self) -> None:
        """Forget the names of one run's logs."""
        self.modes: dict[str, Mode] = {
            m.label: m.mode for m in self.monitors if m.mode != "auto"
        }
        self.directions: dict[str, Mode] = {}
        self.curves: dict[str, list[float]] = {}
        self.raw: dict[str, float] = {}
        self._seen: set[str] = set()
        self._failed: dict[str, str] = {}

    def check(self, available: Mapping[str, Any], hint: str = "") -> None:
        """Raise unless the logs will have each name, with a prefix or without.

        `available` has no prefix of a validation set; the hint says what else the user
        could do.
        """
        known = {
            prefix + name: value
            for prefix in ("", *self._prefixes)
            for name, value in available.items()
        }
        for monitor in self.monitors:
            if not monitor.early:
                continue
            for name in monitor.missing(known):
                raise MonitorError(missing_name(name, known, hint))
            if fault := monitor.fault(known):
                raise MonitorError(fault)
            self.mode(monitor)

    def _prefixed(self, names: Collection[str]) -> list[str]:
        """Return the names, and each with each prefix."""
        return [*names, *(p + name for p in self._prefixes for name in names)]

    def mode(self, monitor: Monitor, logs: Collection[str] = ()) -> Mode:
        """Return which way is better, and remember it; raise if that is unknown."""
        label = monitor.label
        if label not in self.modes:
            found = monitor.direction(
                lambda name: self._direction(self.base_name(name)), logs
            )
            if found is None:
                register = ""
                if monitor.single is not None:
                    register = (
                        ", or register it: multiback.register_direction("
                        f'{self.base_name(monitor.single[0])!r}, "max")'
                    )
                raise MonitorError(
                    f"Nothing says whether more or less of {label!r} is better. Pass "
                    f'mode="max" or mode="min"{register}.'
                )
            self.modes[label] = found
        return self.modes[label]

    def early_names(self) -> set[str]:
        """Return the names that are expected early, as they will be in the logs."""
        early = [monitor for monitor in self.monitors if monitor.early]
        return {name for monitor in early for name in monitor.names()}

    def single_names(self) -> set[str]:
        """Return the log names that a monitor reads alone, as they will be there."""
        return {m.single[0] for m in self.monitors if m.single is not None}

    def base_names(self) -> set[str]:
        """Return the names that are expected early, without their prefixes."""
        return {self.base_name(name) for name in self.early_names()}

    def base_name(self, name: str) -> str:
        """Drop the prefix of a validation set."""
        for prefix in self._prefixes:
            if name.startswith(prefix):
                return name.removeprefix(prefix)
        return name

    def _direction(self, base: str) -> Mode | None:
        key = find_name(base, self.directions)
        return find_direction(base) if key is None else self.directions[key]

    def answers(self, logs: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Call the functions among the monitors with the original logs.

        By label, as JSON has it: the score or None, and the name of the logs that the
        function missed, or None.
        """
        found: dict[str, list[Any]] = {}
        for monitor in self.monitors:
            if isinstance(monitor.quantity, str) or monitor.missing(logs):
                continue
            try:
                found[monitor.label] = [monitor.measure(logs), None]
            except KeyError as error:
                found[monitor.label] = [None, str(*error.args[:1])]
        return found

    def lacking(self, logs: Mapping[str, Any]) -> dict[str, bool]:
        """Return which monitors miss a name in these logs, and if logs ever had it."""
        answers = self.answers(logs)
        return {
            monitor.label: monitor.label in self._seen
            or (isinstance(monitor.quantity, str) and not monitor.missing(self._seen))
            for monitor in self.monitors
            if monitor.missing(logs) or answers.get(monitor.label, (0, None))[1]
        }

    def intervals(self, of_names: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """Return the intervals of the scores that have one, by label.

        Given are records with `lower`, `upper`, `standard_error` and `level`, of
        numbers or arrays, by log name.
        """
        found: dict[str, dict[str, float]] = {}
        for monitor in self.monitors:
            if monitor.single is None or monitor.smooth is not None:
                continue
            name, index = monitor.single
            key = find_name(name, of_names)
            if key is None:
                continue
            parts = {
                part: element(getattr(of_names[key], part), at)
                for part, at in zip(_PARTS, (index, index, index, ()), strict=True)
            }
            if all(map(math.isfinite, parts.values())):
                found[monitor.label] = parts
        return found

    def measure(
        self, logs: Mapping[str, Any], answers: Answers | None = None
    ) -> dict[str, float]:
        """Return the scores that the logs give, by label.

        The logs are as they were logged, or as they are written; then with what
        `answers` returned for them. A name that was never logged raises.
        """
        answers = self.answers(logs) if answers is None else answers
        scores: dict[str, float] = {}
        self.raw = {}
        for monitor in self.monitors:
            missing = monitor.missing(logs)
            score = None
            if monitor.label in answers:
                score, absent = answers[monitor.label]
                if absent is not None:
                    # A function read a missing name.
                    missing = [absent]
                    self._failed[monitor.label] = absent
            elif not missing:
                score = monitor.measure(logs)
            if monitor.label not in self._seen:
                for name in missing:
                    self._refuse_absent(name, logs)
            if score is not None:
                self.mode(monitor, logs)
                scores[monitor.label] = self._smoothed(monitor, score)
                self._seen.add(monitor.label)
                self._failed.pop(monitor.label, None)
        self._check_fields(logs, scores)
        self.remember(logs)
        return scores

    def unmet(self, label: str, logs: Mapping[str, Any]) -> str | None:
        """Return what a monitor's `where` read, if it does not hold for these logs."""
        found = (one.unmet(logs) for one in self.monitors if one.label == label)
        return next(found, None)

    def _smoothed(self, monitor: Monitor, score: float) -> float:
        """Return the score to rank by; a smoothed one is added to its curve."""
        if monitor.smooth is None:
            return score
        label = monitor.label
        self.raw[label] = score
        score, self.curves[label] = smoothed(
            self.curves.get(label, ()), score, monitor.smooth
        )
        return score

    def continue_curves(self, curves: Mapping[str, Sequence[float]]) -> None:
        """Continue the curves of a checkpoint that training resumes from."""
        known = {monitor.label for monitor in self.monitors if monitor.smooth}
        self.curves = {
            label: [float(number) for number in state]
            for label, state in curves.items()
            if label in known
        }

    def _check_fields(
        self, logs: Mapping[str, Any], scores: Mapping[str, float]
    ) -> None:
        """Raise if a file name cannot be made."""
        known = {**logs, **scores}
        known |= {m.label: 0.0 for m in self.monitors if m.label not in known}
        for name in self._fields:
            read = find_element(name, known)
            if read is None:
                self._refuse_absent(name, logs, "filename= has a field for it.")
            elif fault := element_fault(read[0], known[read[0]], read[1]):
                raise MonitorError(f"filename= has the field {name!r}. {fault}")

    def _refuse_absent(
        self, name: str, logs: Mapping[str, Any], hint: str = ""
    ) -> None:
        """Raise if a name is absent that was never logged and should be."""
        if logs and name not in self._seen and not self._is_off(name, logs):
            raise MonitorError(missing_name(name, [*logs], hint or self.hint))

    def doubtful_fields(self, available: Collection[str]) -> list[str]:
        """Return the fields of the file name that look misspelt, before training.

        Other callbacks may add more to what is available, so this is not an error yet.
        """
        known = self._prefixed(available)
        absent = [name for name in self._fields if find_element(name, known) is None]
        return [
            f"filename= has a field for {name!r}, which none of the model's metrics is "
            f"called. Did you mean {near[0]!r}?"
            for name in absent
            if (near := difflib.get_close_matches(name, known, n=1, cutoff=0.75))
        ]

    def _is_off(self, name: str, logs: Mapping[str, Any]) -> bool:
        """Return whether the name's validation set was not measured this time."""
        return any(
            name.startswith(prefix) and not any(n.startswith(prefix) for n in logs)
            for prefix in self._prefixes
        )

    def remember(self, logs: Mapping[str, Any]) -> None:
        """Note names of the logs, or of an earlier part of the run."""
        for monitor in self.monitors:
            names = monitor.names(logs)
            self._seen.update(name for name in names if find_name(name, logs))
        self._seen.update(name for name in self._fields if find_element(name, logs))

    def known_directions(self, names: Collection[str]) -> dict[str, Mode]:
        """Return which way is better, for the names whose direction is known."""
        found: dict[str, Mode] = {}
        for name in names:
            with contextlib.suppress(MonitorError):  # Several metrics fit.
                mode = self._direction(self.base_name(name))
                if mode is not None:
                    found[name] = mode
        return found

    def is_measured(self, monitor: Monitor) -> bool:
        """Return whether the logs ever had a monitor's names."""
        if not isinstance(monitor.quantity, str):
            return True
        return not monitor.missing(self._seen) or monitor.label in self._seen

    def never_seen(self) -> list[str]:
        """Return the names that no logs ever had."""
        names = {name for m in self.monitors for name in m.names(self._seen)}
        failed = {n for m, n in self._failed.items() if m not in self._seen}
        return sorted((names - self._seen) | failed)


def nan_scores(scores: Mapping[str, float]) -> list[str]:
    """Return which scores are NaN, and where NaN comes from.

    >>> nan_scores({"f1": 0.5})
    []
    """
    return [
        f"{label!r} is NaN; while it is, nothing is best by it. Look for a training "
        "that diverged, NaN in the data, labels out of range (such as class ids "
        "beyond num_classes) or a class without samples."
        for label, score in scores.items()
        if math.isnan(score)
    ]
