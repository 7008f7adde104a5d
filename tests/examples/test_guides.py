"""Each page of the documentation that has code runs as it stands, block after block."""

import re
from pathlib import Path

import keras
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    *sorted((DOCS / "guides").glob("*.md")),
    DOCS / "bins.md",
    DOCS / "reference" / "errors.md",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    keras.backend.clear_session()  # Names of layers as in a process of their own.
    text = page.read_text()
    names = {"__name__": page.stem}
    found = list(BLOCK.finditer(text))
    assert found
    for match in found:
        lines = "\n" * text.count("\n", 0, match.start(1))  # For tracebacks.
        exec(compile(lines + match[1], str(page), "exec"), names)  # noqa: S102 - ours
    assert "Warning" not in capfd.readouterr().err


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_short_and_asks_the_readers_question(page):
    lines = page.read_text().splitlines()
    assert page.stem == "errors" or len(lines) <= 120
    assert lines[0].startswith("# ")
    assert page.parent.name != "guides" or lines[0].endswith("?")
