"""Each page of the documentation that has code runs as it stands, block after block."""

import pytest
from support.pages import ELSEWHERE, GUIDES, ROOT, run_page

DOCS = ROOT / "docs"
PAGES = [*sorted(GUIDES.glob("*.md")), DOCS / "bins.md", DOCS / "reference/errors.md"]
HERE = [page for page in PAGES if page.stem not in sum(ELSEWHERE.values(), ())]


@pytest.mark.parametrize("page", HERE, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    run_page(page)
    assert "Warning" not in capfd.readouterr().err


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_short_and_asks_the_readers_question(page):
    lines = page.read_text().splitlines()
    assert page.stem == "errors" or len(lines) <= 120
    assert lines[0].startswith("# ")
    assert page.parent.name != "guides" or lines[0].endswith("?")


def test_each_guide_is_in_the_menu_of_the_site():
    menu = (ROOT / "mkdocs.yml").read_text()
    missing = [page.name for page in GUIDES.glob("*.md") if page.name not in menu]
    assert missing == []
