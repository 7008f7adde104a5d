"""`multiback report`: one HTML file that says why a checkpoint was chosen."""

from collections.abc import Sequence
from pathlib import Path

from multiback.errors import ArgumentError
from multiback.show.page import render
from multiback.show.story import Story, read_stories, read_story
from multiback.store import Place


def write_report(
    directories: Sequence[Place], out: Path, run: str | None = None
) -> dict[str, object]:
    """Write the report of some run directories.

    Args:
        directories: The run directories, the most important one first.
        out: The file to write.
        run: A run's id, for one directory; every run of each by default.

    Raises:
        ArgumentError: The file is not an HTML file, or a run was named for several
            directories.
        NoCheckpointError: A directory holds no run.
    """
    if out.suffix != ".html":
        raise ArgumentError(f"-o wants a name that ends in .html, not {out.name!r}.")
    if run is not None and len(directories) > 1:
        raise ArgumentError("--run wants one run directory. Leave it out for several.")
    stories: list[Story] = []
    for directory in directories:
        stories += (
            read_stories(directory) if run is None else [read_story(directory, run)]
        )
    page = render(stories)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    return {
        "path": str(out),
        "size": out.stat().st_size,
        "runs": [story.run_id for story in stories],
    }
