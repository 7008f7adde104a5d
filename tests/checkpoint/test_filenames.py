"""A checkpoint's name never leaves its directory and always can be made."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiback.checkpoint.choosing.filenames import (
    default_template,
    format_name,
    parse_template,
    safe,
)
from multiback.errors import ArgumentError
from multiback.store.format.names import name_fault

NUMBERS = {"epoch": 3, "step": 1200, "val_f1": 0.91342, "val/f1": 0.5}


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{epoch:03d}-{val_f1:.4f}", "epoch=003-val_f1=0.9134"),
        ("{epoch}", "epoch=3"),
        ("{val/f1:.1f}", "val_f1=0.5"),
        ("run {step}", "run_step=1200"),
        ("{absent:.2f}", "absent=none"),
        ("../../{epoch}", "_.._epoch=3"),
        ("fixed", "fixed"),
        ("{epoch}.", "epoch=3"),
        ("}{", "__"),
    ],
)
def test_a_template_is_filled(template, name):
    filled = format_name(parse_template(template), NUMBERS)
    assert filled == name
    assert name_fault(filled) is None


def test_names_can_be_left_out():
    template = parse_template("{epoch:03d}-{val_f1:.2f}")
    assert format_name(template, NUMBERS, insert_names=False) == "003-0.91"


@pytest.mark.parametrize(
    "template",
    ["", 3, "{epoch:.2q}", "{val_f1:d}", "{val_f1:s}", "{epoch:9999999999d}"],
)
def test_a_template_that_cannot_be_filled_is_refused_before_training(template):
    with pytest.raises(ArgumentError, match="filename="):
        parse_template(template)


def test_every_metric_name_makes_a_default_template():
    for metric in ("val_f1:macro", "a{b}", "../x", "/", "é" * 300, "x" * 300, "\n", ""):
        values = {"epoch": 1, "step": 2, metric: math.nan}
        name = format_name(default_template(metric), values)
        assert name.startswith("epoch=001-step=2")
        assert name_fault(name, limit=190) is None


@given(st.text())
def test_any_text_becomes_one_safe_component(text):
    assert name_fault(safe(text), limit=190) is None


@given(st.text(min_size=1), st.floats())
def test_any_template_is_filled_safely_or_refused(text, value):
    try:
        template = parse_template(text)
    except ArgumentError:
        return
    names = [piece[0] for piece in template if not isinstance(piece, str)]
    values = dict.fromkeys(names, value) | {"epoch": 1, "step": 1}
    assert name_fault(format_name(template, values), limit=190) is None
