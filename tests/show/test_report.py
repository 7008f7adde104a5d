"""The report is one file that says why, and takes no name for markup."""

import re

import pytest
from support.told_runs import make_run

from multiback.cli.commands.report import write_report
from multiback.errors import ArgumentError
from multiback.show.page import _thinned, render
from multiback.show.story import read_stories


def test_the_page_says_which_epoch_is_best_and_why(tmp_path):
    page = render(read_stories(make_run(tmp_path, [0.5, 0.9, 0.9, 0.7], kept=(2, 4))))
    assert "Epoch 2 is the best" in page
    assert "Epoch 2 replaced epoch 1: val_f1 is 0.9000 &gt; 0.5000." in page
    assert "a tie keeps the earlier one" in page


def test_hostile_names_stay_text(tmp_path):
    name = "</script><script>alert(1)</script>"
    page = render(read_stories(make_run(tmp_path, [0.5], kept=(1,), name=name)))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_file_loads_nothing_from_elsewhere_and_is_small(tmp_path):
    for run_id in "abcdefgh":
        make_run(tmp_path, [0.5 + i / 9999 for i in range(60)], (60,), run_id=run_id)
    page = render(read_stories(tmp_path))
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert len(page.encode()) < 2e6
    assert "2 runs" in page


def test_thousands_of_epochs_keep_their_extremes():
    values = [0.5] * 5000
    values[1234], values[4321] = 0.9, 0.1
    epochs, kept = _thinned(list(range(5000)), values)
    assert len(kept) <= 402
    assert (epochs[kept.index(0.9)], epochs[kept.index(0.1)]) == (1234, 4321)


def test_the_file_is_written_and_described(tmp_path):
    run = make_run(tmp_path / "run", [0.5], kept=(1,))
    done = write_report([run], tmp_path / "deep" / "out.html")
    assert done["runs"] == ["a"]
    assert (tmp_path / "deep" / "out.html").stat().st_size == done["size"]


def test_another_ending_than_html_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ArgumentError, match=r"-o wants a name that ends in \.html"):
        write_report([make_run(tmp_path / "run", [0.5], (1,))], tmp_path / "out.pdf")
