"""The generated pages are those that the code would write now."""

import sys
from pathlib import Path

import pytest
from support.backends import BACKEND

DOCS = Path(__file__).parents[1] / "docs"
AGAIN = "run: nox -s generate"


@pytest.fixture
def generate(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    yield __import__("generate")
    for script in DOCS.glob("*.py"):
        sys.modules.pop(script.stem, None)


def test_the_catalogue_on_the_page_is_that_of_the_docstrings(generate):
    assert (DOCS / "metrics.md").read_text().startswith(generate.static_part()), AGAIN


def test_the_reference_lists_every_public_name_of_the_metrics(generate):
    assert (DOCS / "reference/metrics.md").read_text() == generate.reference(), AGAIN


def test_the_page_of_commands_is_that_of_the_program(generate):
    page = (DOCS / "reference/command_line.md").read_text()
    assert page == generate.command_reference.page(), AGAIN


@pytest.mark.skipif(BACKEND != "torch", reason="Keras's numbers differ by backend")
def test_the_numbers_on_the_page_are_those_of_today(generate):
    now = generate.page().splitlines()
    page = (DOCS / "metrics.md").read_text().splitlines()
    different = [pair for pair in zip(now, page, strict=True) if pair[0] != pair[1]]
    assert not different, AGAIN
    assert not [line for line in page if "| wrong" in line]
