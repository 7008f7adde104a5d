"""What people type who come from Keras, Lightning or torchmetrics."""

import inspect
import re

import keras
import numpy as np
import pytest
from keras.callbacks import ModelCheckpoint as Kerass
from sklearn.linear_model import LogisticRegression

import multiback as mb
from multiback.checkpoint.other_names import OTHER_ARGUMENTS
from multiback.errors import ArgumentError
from multiback.other_names import METRICS, NAMES


def test_every_metric_of_keras_is_here_or_the_error_says_what_to_write():
    bases = {"Metric", "MeanMetricWrapper", "MeanSquaredLogarithmicError"}
    names = {
        name
        for name, one in vars(keras.metrics).items()
        if inspect.isclass(one) and issubclass(one, keras.metrics.Metric)
    }
    assert len(names) > 40
    known = {*METRICS, *mb.metrics.__all__, *bases, "FBetaScore", "CategoricalHinge"}
    assert sorted(names - known) == []


@pytest.mark.parametrize("name", METRICS)
def test_what_the_error_says_can_be_written(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'. Write ") as told:
        getattr(mb.metrics, name)
    text = str(told.value).partition(" Write ")[2]
    if text.startswith("keras.metrics."):
        assert hasattr(keras.metrics, name)
        return
    for cls, arguments in re.findall(r"(\w+)\(([^)]*)\)", text):
        parameters = inspect.signature(getattr(mb.metrics, cls)).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        for argument in re.findall(r"(\w+)=", arguments):
            assert argument in parameters or takes_any


@pytest.mark.parametrize("name", NAMES)
def test_a_name_at_the_top_that_others_have_is_translated(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'. Write "):
        getattr(mb, name)


def test_a_metric_that_is_looked_for_at_the_top_is_named_where_it_is():
    with pytest.raises(AttributeError, match=r"Write multiback\.metrics\.F1Score\."):
        _ = mb.F1Score
    with pytest.raises(AttributeError, match=r"Write multiback\.metrics\.AUROC"):
        _ = mb.AUC


def test_an_unknown_name_gets_no_advice():
    for module in (mb, mb.metrics):
        with pytest.raises(AttributeError, match=r"no attribute 'Nonsense'\.$"):
            _ = module.Nonsense
        assert not hasattr(module, "Nonsense")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("R2", "R2Score"),
        ("MAPE", "MeanAbsolutePercentageError"),
        ("LRAP", "LabelRankingAveragePrecision"),
        ("PSNR", "PeakSignalNoiseRatio"),
        ("F1score", "F1Score"),
        ("Spearman", "SpearmanCorrelation"),
        ("ConfusionMatrices", "ConfusionMatrix"),
    ],
)
def test_a_short_or_misspelt_name_of_a_metric_gets_the_nearest_one(name, meant):
    with pytest.raises(AttributeError, match=f"mean multiback.metrics.{meant}\\?$"):
        getattr(mb.metrics, name)


HABITS = {
    "filepath": "best.keras",
    "save_best_only": True,
    "save_freq": "epoch",
    "initial_value_threshold": 0.9,
    "patience": 3,
    "ckpt_path": "last",
    "smooth": 0.9,
    "within": "1se",
    "then": ["val_loss"],
}


@pytest.mark.parametrize("argument", HABITS)
@pytest.mark.parametrize("cls", [mb.ModelCheckpoint, mb.Checkpointer])
def test_an_argument_of_kerass_callback_gets_its_name_here(cls, argument, tmp_path):
    given = {"dirpath": tmp_path, "monitor": "val_loss"}
    if argument == "filepath":
        del given["dirpath"]
    with pytest.raises(ArgumentError) as told:
        cls(**given, **{argument: HABITS[argument]})
    assert f"{cls.__name__} has no argument {argument}=. Write " in str(told.value)
    assert OTHER_ARGUMENTS[argument] in str(told.value)


@pytest.mark.parametrize(
    ("given", "wants"),
    [
        ({"verbose": "all"}, "verbose= wants an integer"),
        ({"keep": mb.Last()}, r"keep= wants a list of slots"),
        ({"keep": [mb.Last()], "save_top_k": 3}, "place of save_top_k=3"),
        ({"resume": True}, r'resume= wants "never", "auto", "must"'),
        ({"save_on_exception": True}, r"Leave it out: `with ckpt: model\.fit"),
    ],
)
def test_a_value_of_another_kind_is_an_error_of_ours(given, wants, tmp_path):
    with pytest.raises(ArgumentError, match=wants):
        mb.ModelCheckpoint(tmp_path, "val_loss", **given)


def test_verbose_takes_kerass_words(tmp_path):
    for verbose in (0, 1, 2, "auto", True, False):
        mb.ModelCheckpoint(tmp_path, "val_loss", verbose=verbose)


def test_every_argument_of_kerass_callback_is_here_or_translated():
    here = inspect.signature(mb.ModelCheckpoint).parameters
    for name in inspect.signature(Kerass).parameters:
        assert name in here or name in OTHER_ARGUMENTS or name == "verbose"


def test_a_misspelt_argument_gets_the_one_that_was_meant(tmp_path):
    with pytest.raises(ArgumentError, match=r"montior=\. Did you mean monitor=\?"):
        mb.ModelCheckpoint(tmp_path, montior="val_loss")
    with pytest.raises(ArgumentError, match=r"argument xyz=\. It has dirpath, monit"):
        mb.ModelCheckpoint(tmp_path, xyz=1)


def test_a_subclass_takes_arguments_of_its_own_and_the_signature_stays(tmp_path):
    class Mine(mb.ModelCheckpoint):
        def __init__(self, *arguments, patience, **more):
            super().__init__(*arguments, **more)
            self.patience = patience

    assert Mine(tmp_path, "val_loss", patience=3).patience == 3
    with pytest.raises(ArgumentError, match="no argument filepath="):
        Mine(filepath=tmp_path, patience=3)
    assert next(iter(inspect.signature(mb.ModelCheckpoint).parameters)) == "dirpath"


@pytest.mark.parametrize("metric", [mb.metrics.F1Score, mb.metrics.F1Score(name="f")])
def test_a_metric_as_monitor_raises_and_says_to_give_its_name(metric, tmp_path):
    with pytest.raises(ArgumentError, match="wants the metric's name in the logs"):
        mb.ModelCheckpoint(tmp_path, metric)


@pytest.mark.parametrize("model", [LogisticRegression(), object()])
def test_anything_but_a_keras_model_raises_and_says_to_pass_arrays(model, tmp_path):
    ckpt = mb.Checkpointer(tmp_path)
    with pytest.raises(ArgumentError, match="or a mapping of arrays by name, not "):
        ckpt.step(model, {"f1": 0.5})
    ckpt.end()


def test_a_metrics_class_in_compile_counts_as_the_metric_itself():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=[mb.metrics.F1Score])
    x = np.ones((4, 2), "float32")
    assert "f1_score" in model.fit(x, np.ones(4), verbose=0).history


@pytest.mark.parametrize("kind", [mb.ModelCheckpoint, mb.Checkpointer])
def test_a_checkpoint_without_a_directory_asks_for_one(kind, tmp_path):
    with pytest.raises(ArgumentError, match=r'dirpath="runs/tumour"'):
        kind(monitor="val_loss")
    with pytest.raises(ArgumentError, match=r"by their place.*'max' needs"):
        kind(tmp_path, "val_loss", "max")
