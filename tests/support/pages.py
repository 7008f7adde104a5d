"""Run the code of a page of the documentation as it stands, block after block."""

import re
from pathlib import Path

import keras

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Guides to what only some sessions of noxfile.py install, by the folder of their tests.
ELSEWHERE = {
    "integrations": (
        *("kerastuner", "lightning", "mlflow", "several_processes", "tensorboard"),
        "wandb",
    ),
    "remote": ("s3",),
}


def blocks(page):
    """Return a page's Python blocks, each at its own line for tracebacks."""
    text = page.read_text()
    return [
        "\n" * text.count("\n", 0, match.start(1)) + match[1]
        for match in BLOCK.finditer(text)
    ]


def run_page(page, names=None):
    """Run a page in one namespace, and return it."""
    keras.backend.clear_session()  # Names of layers as in a process of their own.
    names = {"__name__": page.stem} if names is None else names
    found = blocks(page)
    assert found
    for block in found:
        exec(compile(block, str(page), "exec"), names)  # noqa: S102 - our own page
    return names
