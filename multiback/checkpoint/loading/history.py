"""Read what a run has measured, epoch by epoch, saved or not."""

from typing import Any

from multiback import markup
from multiback.checkpoint.arguments import expanded
from multiback.checkpoint.loading.documents import is_measurement
from multiback.checkpoint.loading.find import ALL, LATEST, PathLike
from multiback.errors import ArgumentError
from multiback.store import open_run_directory


class Measurements(list[dict[str, Any]]):
    """A list of records that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        names = dict.fromkeys(
            name for row in self for name in row if name not in ("run_id", "time")
        )
        rows = [[row.get(name) for name in names] for row in self]
        return markup.table(list(names), rows)


def history(dirpath: PathLike, *, run: str | None = None) -> list[dict[str, Any]]:
    """Read every metric of every epoch of a run, saved or not.

    `pandas.DataFrame(multiback.history(dirpath))` has one column a metric.

    Args:
        dirpath: The run directory.
        run: A run's id; "all" for every run; None or "latest" for the run that began
            last, even if it has no checkpoint yet.

    Returns:
        One flat record a measurement, by epoch and step: "run_id", "epoch", "step",
        "time" (seconds since 1970) and each metric under its own name; arrays are
        lists. A metric with one of those four names has
        "metrics/" before it. Of a run that was resumed, the epochs that were done
        again appear once.

    Raises:
        ArgumentError: There is no such run.

    Examples:
        >>> import tempfile, multiback as mb
        >>> folder = tempfile.TemporaryDirectory()
        >>> with mb.Checkpointer(folder.name, "f1", mode="max") as checkpointer:
        ...     saved = checkpointer.step({"w": [1.0]}, {"f1": 0.5, "loss": 2.0})
        >>> [(row["epoch"], row["f1"], row["loss"]) for row in history(folder.name)]
        [(1, 0.5, 2.0)]
        >>> folder.cleanup()
    """
    fixed = ("run_id", "epoch", "step", "time")
    return Measurements(
        {
            **{name: one.get(name) for name in fixed},
            **{
                f"metrics/{name}" if name in fixed else name: value
                for name, value in one["metrics"].items()
            },
        }
        for one in measurements(dirpath, run=run)
    )


def measurements(dirpath: PathLike, *, run: str | None) -> list[dict[str, Any]]:
    """Read a run's history without the epochs that a resumed run repeated.

    Without a run, that of the run that began last. One record a measurement with
    "run_id", "epoch", "step", "time" and "metrics", by epoch and step.
    """
    dirpath = expanded("dirpath=", dirpath)
    runs = open_run_directory(dirpath)
    name = None if run in (None, LATEST, ALL) else run
    records = list(filter(is_measurement, runs.history(name)))
    if name is not None and not records and name not in (known := runs.run_ids()):
        raise ArgumentError(
            f"run= must be the id of a run in {dirpath}, but is {name!r}. There "
            + (f"are, the newest first: {', '.join(known)}." if known else "is none.")
        )
    if run != ALL and records:
        records = [one for one in records if one["run_id"] == records[-1]["run_id"]]
    lived: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        own = lived.setdefault(record["run_id"], [])
        moment = record["epoch"], record["step"]
        while own and (own[-1]["epoch"], own[-1]["step"]) >= moment:
            # A resumed run has repeated it, or did not come so far.
            own.pop()
        own.append(record)
    return [record for own in lived.values() for record in own]
