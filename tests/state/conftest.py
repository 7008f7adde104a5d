"""Under TensorFlow most steps run eagerly here."""

from support.fitting.eager import eager_steps  # noqa: F401 - a fixture
