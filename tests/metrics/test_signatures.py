"""A reader of `help()` sees every argument of a metric, and what it means."""

import inspect
import re

import pytest
from support.catalogue import ENTRIES, public_names

import multiback as mb

NAMES = public_names()
# What a metric of `multiback.metrics` documents, in this order.
SECTIONS = ["Args:", "Call arguments:", "Raises:", "Source:", "Examples:"]


def metric_class(name):
    return getattr(mb.metrics, name)


def documented(name, section="Args"):
    """Return the names that a section of a docstring documents, with their texts."""
    text = inspect.getdoc(metric_class(name))
    block = text.split(f"\n{section}:\n")[1].split("\n\n")[0]
    items = re.split(r"\n(?= {4}\S)", block)
    return dict(re.match(r"\s*(\w+): (.+)", item, re.DOTALL).groups() for item in items)


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_has_every_argument_of_the_signature_and_no_other(name):
    parameters = inspect.signature(metric_class(name)).parameters
    assert list(documented(name)) == list(parameters)


@pytest.mark.parametrize("name", NAMES)
def test_no_argument_is_hidden_and_each_has_a_type(name):
    for parameter in inspect.signature(metric_class(name)).parameters.values():
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        assert parameter.annotation is not parameter.empty


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_says_what_why_how_and_from_where(name):
    text = inspect.getdoc(metric_class(name))
    places = [text.index(f"\n{section}") for section in SECTIONS]
    assert places == sorted(places)
    assert "\nUse it" in text
    assert text.split("\n")[0].endswith(".")
    calls = documented(name, "Call arguments")
    given = inspect.signature(metric_class(name).update_state).parameters
    assert list(calls) == list(given)[1:]


@pytest.mark.parametrize("name", NAMES)
def test_there_is_an_example_of_every_task(name):
    text = inspect.getdoc(metric_class(name)).split("Examples:")[1]
    tasks = {
        entry.arguments["task"]
        for entry in ENTRIES.values()
        if entry.name == name and "task" in entry.arguments
    }
    default = inspect.signature(metric_class(name)).parameters.get("task")
    for task in tasks:
        by_default = task in ("binary" if default.default is None else default.default)
        assert f'task="{task}"' in text or by_default
    assert ">>>" in text


@pytest.mark.parametrize("name", NAMES)
def test_the_config_holds_what_the_signature_has(name):
    entry = next(each for each in ENTRIES.values() if each.name == name)
    config = entry.make().get_config()
    assert set(config) == set(inspect.signature(metric_class(name)).parameters)
    assert metric_class(name).from_config(config).get_config() == config


def test_a_constructor_of_yours_without_arguments_by_name_says_what_it_has():
    class Mine(mb.metrics.MeanSquaredError):
        def __init__(self, name="mine"):
            super().__init__(name=name)

    with pytest.raises(
        mb.errors.ArgumentError, match=r"Mine: too many .* It has name\."
    ):
        Mine("a", "b")
