"""The page of errors has each public class once, with its cause and what to do."""

import inspect
import re
from pathlib import Path

import pytest

from multiback import errors

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "errors.md"
PARTS = re.split(r"^## (\w+)\n", PAGE.read_text(), flags=re.MULTILINE)[1:]
SECTIONS = dict(zip(PARTS[::2], PARTS[1::2], strict=True))
CLASSES = {
    name: one
    for name, one in vars(errors).items()
    if inspect.isclass(one) and one.__module__ == errors.__name__
}
ROOTS = {"MultibackError", "MultibackWarning"}


def test_each_public_class_and_no_other_has_a_section():
    assert len(PARTS) == 2 * len(SECTIONS)
    assert sorted(SECTIONS) == sorted(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_section_says_what_to_do_and_which_class_of_python_it_is(name):
    text = SECTIONS[name]
    assert issubclass(CLASSES[name], (errors.MultibackError, errors.MultibackWarning))
    assert name in ROOTS or "**What to do:**" in text
    named = re.match(r"\s+\*An? `(\w+)`\.\*", text)
    if named is None:
        assert name in ROOTS or CLASSES[name].__base__.__name__ in ROOTS
    else:
        assert named[1] in {one.__name__ for one in CLASSES[name].__mro__}


def test_the_tree_in_the_module_names_each_class():
    assert set(re.findall(r"\b[A-Z]\w+(?:Error|Warning)\b", errors.__doc__)) >= {
        *CLASSES
    }
