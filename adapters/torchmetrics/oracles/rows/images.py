"""Scores of images, by NumPy and scikit-image."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Array, Samples, as_floats
from multiback.adapters.torchmetrics.oracles.equivalent import (
    Equivalent,
    NoEquivalent,
    Translation,
)

Config = dict[str, Any]
NOTE = (
    "scikit-learn's column is NumPy's or scikit-image's; torchmetrics has another mean"
)


def _psnr(config: Config, true: Array, predicted: Array) -> float:
    square = np.mean((true - predicted) ** 2)
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(config["data_range"] ** 2 / square))


def _ssim(config: Config, true: Array, predicted: Array) -> float:
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            true,
            predicted,
            data_range=config["data_range"],
            gaussian_weights=True,
            sigma=config["sigma"],
            use_sample_covariance=False,
            channel_axis=-1,
        )
    )


SCORES: dict[str, Callable[[Config, Array, Array], float]] = {
    "PeakSignalNoiseRatio": _psnr,
    "StructuralSimilarity": _ssim,
}


def images(kind: str) -> Translation:
    """Return the translation of a mean over images."""

    def translate(config: Config, samples: Samples) -> Equivalent | NoEquivalent:
        if kind not in SCORES:
            return NoEquivalent("torchmetrics' MS-SSIM counts reflected borders too")
        if samples.masked:
            return NoEquivalent("neither library knows images that are masked")
        weights = samples.sample_weight
        if kind == "StructuralSimilarity" and find_spec("skimage") is None:
            return NoEquivalent(
                "scikit-image, which would compute it, is not installed"
            )

        def sklearn() -> Any:
            rows = zip(
                as_floats(samples.y_true), as_floats(samples.y_pred), strict=True
            )
            values = [SCORES[kind](config, *row) for row in rows]
            shares = None if weights is None else as_floats(weights).reshape(-1)
            return np.average(values, weights=shares)

        return Equivalent(
            None,
            sklearn,
            additions=samples.additions + 1024,  # A variance rounds more.
            note=NOTE,
        )

    return translate
