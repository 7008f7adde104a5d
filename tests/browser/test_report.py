"""The report in a browser: it shows what was kept, and runs nothing from a name."""

import pytest
from support.told_runs import make_run, record

from multiback.cli.commands.report import write_report
from multiback.store import RunDirectory

HOSTILE = "<script>document.title='hacked'</script><b>f1</b>"
VIEWS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]
# The points of each figure that mark checkpoints, as [marker, epochs].
MARKS = """
Bokeh.documents[0].roots().map(figure => figure.renderers
    .filter(one => one.glyph.type === "Scatter")
    .map(one => [one.glyph.marker.value, Array.from(one.data_source.data.x)]))
"""

# Where the second epoch, whose value is 0.9, is drawn on the screen.
PLACE = """
(() => {
    const view = Array.from(Bokeh.index)[0];
    const box = view.el.getBoundingClientRect();
    const { x_scale, y_scale } = view.frame;
    return [box.x + x_scale.compute(2), box.y + y_scale.compute(0.9)];
})()
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Write the report of a run that was killed, and resumed an hour later."""
    folder = tmp_path_factory.mktemp("report")
    run = make_run(folder / "run", [0.5, 0.9, 0.8, 0.85], kept=(2, 4))
    runs = RunDirectory(run)
    for epoch, score in ((4, 0.84), (5, 0.83)):
        metrics = {"val_f1": score, "loss": 1 / epoch}
        record(runs, epoch, metrics, time=1e9 + 3600 + 10 * epoch)
    write_report([run], folder / "report.html")
    return (folder / "report.html").as_uri()


@pytest.mark.parametrize("view", VIEWS, ids="{0[0]}-{0[1]}".format)
def test_the_report_is_readable_on_a_desk_and_on_a_telephone(
    report, open_page, fits, view
):
    page = open_page(report, *view)
    page.locator(".bk-Figure").first.wait_for()
    fits(page)
    assert page.locator("h1").inner_text() == "Why this checkpoint?"
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (view[1] == "light")


def test_the_curves_show_the_checkpoints_that_were_kept(report, open_page):
    page = open_page(report)
    page.locator(".bk-Figure").first.wait_for()
    ring, star = page.evaluate(MARKS)[0]
    assert ring == ["circle", [2, 4]]
    assert star == ["star", [2]]


def test_every_decision_opens_with_the_keyboard(report, open_page):
    page = open_page(report)
    summary = page.locator("summary").first
    summary.focus()
    page.keyboard.press("Enter")
    shown = page.get_by_text("Epoch 3 is worse than epoch 2").first
    assert shown.is_visible()


def test_the_values_appear_under_the_mouse(report, open_page):
    page = open_page(report)
    page.locator(".bk-Figure").first.wait_for()
    x, y = page.evaluate(PLACE)
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.get_by_text("0.900000").first.wait_for()


def test_a_hostile_name_stays_text(tmp_path, open_page):
    run = make_run(tmp_path / "run", [0.5, 0.9], kept=(2,), name=f"val_{HOSTILE}")
    write_report([run], tmp_path / "report.html")
    page = open_page((tmp_path / "report.html").as_uri())
    page.locator(".bk-Figure").first.wait_for()
    assert "hacked" not in page.title()
    assert page.locator("h3").first.inner_text() == HOSTILE
    assert page.locator("main b").count() == 0
    assert page.get_by_text(f"val_{HOSTILE}").first.is_visible()
