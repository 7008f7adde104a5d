"""`multiback report`: one HTML file that says why a checkpoint was chosen."""

from collections.abc import Sequence
from pathlib import Path

from multiback.checkpoint.loading.find import ALL, checkpoints_of, rank
from multiback.cli.records import run_or_every
from multiback.errors import ArgumentError
from multiback.show.page import render
from multiback.show.story import Story, read_stories, read_story
from multiback.store import Place


def write_report(
    directories: Sequence[Place],
    out: Path,
    run: str | None = None,
    *,
    checks: Sequence[tuple[str, str]] = (),
) -> dict[str, object]:
    """Write the report of some run directories, the most important one first.

    Of one directory it may be of one run. `checks` are tables to show too, as
    (title, text).
    """
    if out.suffix != ".html":
        raise ArgumentError(f"-o wants a name that ends in .html, not {out.name!r}.")
    if len(directories) == 1 or run == ALL:
        run = run_or_every(directories[0], run)
    if run is not None and len(directories) > 1:
        raise ArgumentError(
            f"--run wants one run directory, not {len(directories)}. Leave it out to "
            "report all runs of several."
        )
    stories: list[Story] = []
    for directory in directories:
        stories += (
            read_stories(directory) if run is None else [read_story(directory, run)]
        )
    page = render(stories, checks)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    return {
        "path": str(out),
        "size": out.stat().st_size,
        "runs": [story.run_id for story in stories],
    }


def check_tables(
    directory: Place, run: str | None, data: Path, modules: Sequence[str]
) -> list[tuple[str, str]]:
    """Cross-check and audit the best checkpoint of a run, for its report.

    `data` is an .npz file with x, y and perhaps sample_weight. Return tables as (title,
    text).
    """
    # They load Keras, which a report without data does not need.
    from multiback.adapters.torchmetrics import audit, crosscheck  # noqa: PLC0415
    from multiback.cli.commands.crosscheck import compiled_model  # noqa: PLC0415
    from multiback.cli.npz import read_data  # noqa: PLC0415

    arrays = read_data(data)
    best = rank(checkpoints_of(directory, run), None, "auto")[0]
    model = compiled_model(best, modules)
    return [
        ("Is the number right? (crosscheck)", str(crosscheck(model, arrays))),
        ("Metrics that cannot be right (audit)", str(audit(model, arrays))),
    ]
