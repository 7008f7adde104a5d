"""Every example in a docstring runs and gives what it shows."""

import doctest
import importlib
import pkgutil

import pytest

import multiback

OPTIONAL = {"jax", "lightning", "mlflow", "tensorboard", "tensorflow", "torch", "wandb"}
MODULES = [
    module.name
    for module in pkgutil.walk_packages(multiback.__path__, "multiback.")
    # Modules that import an optional library are tested where it is installed.
    if module.name.rpartition(".")[2] not in OPTIONAL
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    result = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS
    )
    assert result.failed == 0
