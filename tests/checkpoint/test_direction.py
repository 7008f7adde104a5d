"""Which way is better, without asking the user where something else knows."""

import keras
import pytest

import multiback as mb
from multiback.checkpoint.choosing import direction
from multiback.checkpoint.choosing.direction import (
    CLASS_MODES,
    direction_of,
    find_direction,
    snake_case,
)
from multiback.errors import ArgumentError

# A mean of a value, and a name without a known direction.
UNDIRECTED = {"Mean", "MeanMetricWrapper", "Metric", "Sum", "MeanTensor"}
UNDIRECTED |= {"CosineSimilarity"}


def test_every_metric_of_keras_is_known_or_left_out_on_purpose():
    classes = {
        name
        for name in dir(keras.metrics)
        if isinstance(getattr(keras.metrics, name), type)
        and issubclass(getattr(keras.metrics, name), keras.metrics.Metric)
    }
    canonical = {getattr(keras.metrics, name).__name__ for name in classes}
    assert canonical - set(CLASS_MODES) <= UNDIRECTED


def test_names_are_made_as_keras_makes_them():
    for kind in ("MeanIoU", "R2Score", "F1Score", "AUC", "BinaryIoU", "FBetaScore"):
        made = keras.src.utils.naming.to_snake_case(kind)
        assert snake_case(kind) == made


def test_an_object_knows_better_than_its_name():
    assert direction_of(keras.metrics.FalsePositives(name="accuracy")) == "min"
    assert direction_of(mb.metrics.Precision(name="loss")) == "max"


def test_a_subclass_counts_as_what_it_inherits_unless_it_computes_another_result():
    class Renamed(keras.metrics.AUC):
        pass

    class Turned(keras.metrics.Accuracy):
        def result(self):
            return 1 - super().result()

    assert direction_of(Renamed()) == "max"
    assert direction_of(Turned()) is None


def test_a_direction_attribute_that_is_not_a_direction_is_ignored():
    class Odd(keras.metrics.Mean):
        direction = "up"

    assert direction_of(Odd()) is None


def test_a_name_is_enough_where_it_is_known_with_or_without_number():
    assert find_direction("loss") == "min"
    assert find_direction("precision_3") == "max"
    assert find_direction("charm") is None


def test_a_user_can_teach_a_name(monkeypatch):
    monkeypatch.setattr(direction, "_REGISTRY", dict(direction._REGISTRY))
    mb.register_direction("charm", "max")
    assert find_direction("charm") == "max"
    with pytest.raises(ArgumentError, match="mode= wants"):
        mb.register_direction("charm", "up")
