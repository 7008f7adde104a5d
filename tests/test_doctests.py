"""Every example in a docstring runs and gives what it shows."""

import doctest
import importlib
import pkgutil

import pytest

import multiback
import multiback.adapters

# Modules that import an optional library are tested where it is installed.
OPTIONAL = {"jax", "mlflow", "orbax", "tensorboard", "tensorflow", "torch", "wandb"}
OF_LIGHTNING = {
    f"lightning.{name}" for name in ("callback", "library", "logs", "ranks", "state")
}
# An editable install maps `multiback.adapters` to a folder that the walk over
# `multiback` does not see; in an installed wheel both walks find it.
MODULES = sorted(
    {
        module.name
        for package in (multiback, multiback.adapters)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if module.name.rpartition(".")[2] not in OPTIONAL
        and module.name.partition(".adapters.")[2] not in OF_LIGHTNING
    }
)


def test_modules_of_every_package_are_found():
    found = {name.rpartition(".")[0] for name in MODULES}
    assert {"multiback.metrics", "multiback.adapters.torchmetrics"} <= found
    assert "multiback.adapters.bridge" in found


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    result = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS
    )
    assert result.failed == 0
