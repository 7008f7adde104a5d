"""Which of the logs' names a user meant."""

import pytest

from multiback.checkpoint.choosing.names import find_name, missing_name
from multiback.errors import MonitorError


@pytest.mark.parametrize(
    ("wanted", "available", "found"),
    [
        ("val_auc", ["val_auc", "val_auc_2"], "val_auc"),
        ("val_auc", ["auc", "val_auc_2"], "val_auc_2"),
        ("val_precision_1", ["val_precision"], "val_precision"),
        ("val_out_auc_4", ["val_out_auc_11"], "val_out_auc_11"),
        ("val_f1", ["val_f1_score"], None),
        ("val_auc", ["auc"], None),
        ("anything", [], None),
    ],
)
def test_the_number_that_keras_adds_is_overlooked(wanted, available, found):
    assert find_name(wanted, available) == found


@pytest.mark.parametrize("wanted", ["top_5", "val_hits_10", "my_own_3"])
def test_a_number_in_a_name_that_the_user_gave_is_never_ignored(wanted):
    other = wanted.rpartition("_")[0] + "_1"
    assert find_name(wanted, [other]) is None


def test_a_name_that_could_be_several_is_an_error_that_lists_them():
    with pytest.raises(MonitorError, match=r"'auc_2', 'auc_3'.*name="):
        find_name("auc", ["auc_3", "auc_2"])


def test_an_error_about_a_missing_name_has_the_nearest_and_all():
    text = missing_name("val_fl_score", ["loss", "val_loss", "val_f1_score"], "Hint.")
    assert "Did you mean 'val_f1_score'" in text
    assert "Available: loss, val_f1_score, val_loss. Hint." in text


def test_names_that_are_not_near_are_not_suggested():
    assert "Did you mean" not in missing_name("xyz", ["loss"])
