"""Run the code of a page of the documentation as it stands, block after block."""

import re
import shlex
from pathlib import Path

import keras

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Guides to what only some sessions of noxfile.py install, by the folder of their tests.
ELSEWHERE = {
    "integrations": (
        *("kerastuner", "lightning", "mlflow", "several_processes", "tensorboard"),
        "wandb",
    ),
    "remote": ("s3",),
}


def blocks(page):
    """Return a page's blocks as (language, text), at their own lines for tracebacks."""
    text = page.read_text()
    return [
        (match[1], "\n" * text.count("\n", 0, match.start(2)) + match[2])
        for match in BLOCK.finditer(text)
    ]


def run_page(page, names=None, call=None):
    """Run a page in one namespace, and return it.

    Args:
        page: The file.
        names: What the page's code finds there.
        call: Runs a command of multiback; without it, only Python is run.
    """
    if names is None:
        names = {"__name__": page.stem}
        keras.backend.clear_session(
            free_memory=False
        )  # Names of layers as in a process of their own.
    found = blocks(page)
    assert found
    for language, block in found:
        if language == "python":
            exec(compile(block, str(page), "exec"), names)  # noqa: S102 - our own page
            continue
        commands = [shlex.split(line, comments=True) for line in block.splitlines()]
        for words in commands:
            if call is not None and words[:1] == ["multiback"]:
                done = call(*words[1:])
                assert done.code == 0, (words, done.err)
    return names
