"""Each page of the documentation that has code runs as it stands, block after block."""

import pytest
from support.backends import READS_NEWER
from support.pages import ELSEWHERE, GUIDES, ROOT, run_page

DOCS = ROOT / "docs"
MORE = ("bins.md", "intervals.md", "reference/errors.md")
PAGES = [*sorted(GUIDES.glob("*.md")), *(DOCS / name for name in MORE)]
HERE = [page for page in PAGES if page.stem not in sum(ELSEWHERE.values(), ())]


@pytest.mark.parametrize("page", HERE, ids=lambda page: page.stem)
def test_the_code_and_the_commands_of_a_page_run(page, tmp_path, monkeypatch, call):
    if page.stem == "sequences" and not READS_NEWER:
        pytest.skip(
            "the loss of Keras 3.13 with ignore_class= is NaN, as the page says"
        )
    monkeypatch.chdir(tmp_path)
    run_page(page, call=call)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_short_and_asks_the_readers_question(page):
    lines = page.read_text().splitlines()
    assert page.stem in {"errors", "intervals"} or len(lines) <= 120
    assert lines[0].startswith("# ")
    assert page.parent.name != "guides" or lines[0].endswith("?")


def test_each_guide_is_in_the_menu_of_the_site():
    menu = (ROOT / "mkdocs.yml").read_text()
    missing = [page.name for page in GUIDES.glob("*.md") if page.name not in menu]
    assert missing == []
