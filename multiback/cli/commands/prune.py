"""`multiback prune`: remove the checkpoints that no slot keeps."""

from collections.abc import Sequence

from rich.console import Group, RenderableType

from multiback.checkpoint.choosing.slots import kept
from multiback.checkpoint.loading.find import ALL
from multiback.cli.commands.best import best_record, entries_of
from multiback.cli.output import count_text, plain_table, size_text
from multiback.cli.records import Record, record, the_run
from multiback.cli.slots import parse_slot
from multiback.errors import ArgumentError, MonitorError, NoCheckpointError
from multiback.store import Checkpoint, Place, Runs, open_checkpoint

_ADVICE = (
    'Write --keep with mode=max or mode=min in the slot: "Best(val_f1, mode=max)".'
)


def prune(
    directory: Place, keep: Sequence[str], *, run: str | None = None, dry_run: bool
) -> Record:
    """Remove those checkpoints of one run, by default the latest, that no slot keeps.

    Slots are as `parse_slot` reads them. Return what was removed and what was kept.
    """
    slots = [parse_slot(text) for text in keep]
    if not slots:
        raise ArgumentError(
            'prune wants at least one slot, such as --keep "Last(1)"; without any it '
            "would remove everything."
        )
    if run == ALL:
        raise ArgumentError("prune works on one run. Pass --run with its id.")
    runs, found = the_run(directory, run)
    remaining: list[Checkpoint] = []

    def choose(found: Sequence[Checkpoint]) -> list[Checkpoint]:
        held: set[int] = set()
        for slot in slots:
            # Separately: two slots may score one name under two conditions.
            held |= kept(entries_of(found, slot.monitors, _ADVICE), [slot])
        if not held:
            raise ArgumentError(
                f"--keep {' '.join(map(repr, keep))} would remove all of the "
                f'{count_text(len(found), "checkpoint")}. Add "Last(1)", or delete '
                f"the directory yourself if that is what you want."
            )
        remaining[:] = [found[order] for order in sorted(held)]
        return remaining

    run_id = found[-1].run_id
    labels = [name for name in ("best", "last") if (runs.path / name).is_symlink()]
    removed = runs.prune(choose, run_id=run_id, dry_run=dry_run)
    if not dry_run:
        _point_again(runs, labels, run_id, remaining[-1])
    return {
        "directory": runs.location,
        "run_id": run_id,
        "dry_run": dry_run,
        "removed": [record(one) for one in removed],
        "kept": [record(one) for one in remaining],
    }


def _point_again(
    runs: Runs, labels: Sequence[str], run_id: str, last: Checkpoint
) -> None:
    """Let links to a removed checkpoint lead to the next one."""
    for label in labels:
        if (runs.path / label).is_symlink():
            continue
        target = last
        if label == "best":
            try:
                target = open_checkpoint(best_record(runs.path, run=run_id)["path"])
            except (MonitorError, NoCheckpointError):
                continue
        runs.point(label, target)


def prune_view(done: Record) -> RenderableType:
    """Lay out the result of `prune`."""
    removed, remaining = done["removed"], done["kept"]
    table = plain_table("checkpoint", "epoch", "size", "")
    for one in sorted([*removed, *remaining], key=lambda one: one["sequence"]):
        verdict = "keep" if one in remaining else "remove"
        table.add_row(one["name"], str(one["epoch"]), size_text(one["size"]), verdict)
    freed = size_text(sum(one["size"] for one in removed))
    verb = "Would remove" if done["dry_run"] else "Removed"
    return Group(
        table,
        f"{verb} {len(removed)} of "
        f"{count_text(len(removed) + len(remaining), 'checkpoint')} of the run "
        f"{done['run_id']}, {freed}.",
    )
