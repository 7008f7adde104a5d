"""Peak signal-to-noise ratio and structural similarity of images."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.images.image_scores import ImageScores
from multiback.metrics.inputs.arguments import is_real
from multiback.metrics.intervals.interval import Interval, sum_of_words, undefined
from multiback.metrics.intervals.means import mean_in_range
from multiback.metrics.statistics.statistic import State, Tensor


class ImageMetric(PairMetric):
    """The mean over images of a score of each."""

    direction: ClassVar[Direction | None] = "max"

    def __init__(
        self,
        scores: ImageScores,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(scores, name=name, dtype=dtype, intervals=intervals)
        self._scores = scores

    def compute(self, state: State) -> Tensor:
        """Return the mean of a state."""
        return self._scores.read(state)

    def compute_on_arrays(self, state: State) -> Any:
        """Return the mean of a state of NumPy arrays."""
        return float(self.compute(state))

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the mean over images."""
        found = mean_in_range(sum_of_words(state["sums"]), level, self.value_range)
        value = float(self.compute(state))
        return found if math.isfinite(value) else undefined(level, value=value)


def _positive(name: str, value: Any) -> float:
    """Return an argument that is a number above 0."""
    if not is_real(value) or not 0.0 < value < math.inf:
        raise ArgumentError(f"{name}= wants a number above 0, not {value!r}.")
    return float(value)


@keras.saving.register_keras_serializable("multiback")
class PeakSignalNoiseRatio(ImageMetric):
    """The peak signal-to-noise ratio (PSNR) of each image in decibel, averaged.

    Formula: the mean over images of `10 log10(data_range^2 / mean squared error)`.

    Use it for restored, compressed or enlarged images, beside a metric of structure. An
    image that equals its target has an infinite ratio, and makes the value infinite,
    with a warning; `sample_weight=0` leaves it out. A NaN makes it NaN, and so do no
    data.

    Args:
        data_range: Largest less smallest value that a pixel can have, such as 255 for
            bytes. It is never guessed: a guess would differ between batches.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Images `(B, H, W, C)` or volumes `(B, D, H, W, C)`, integers or floats.
        y_pred: Predictions of the same shape.
        sample_weight: One number an image, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-image's `peak_signal_noise_ratio` of each image. torchmetrics takes
    the mean squared error of all images together, unless it is told `dim=`.

    Examples:
        Two images of two pixels:

        >>> metric = PeakSignalNoiseRatio(data_range=1.0)
        >>> metric.update_state(
        ...     [[[[0.0], [1.0]]], [[[0.5], [0.5]]]],
        ...     [[[[0.1], [0.9]]], [[[0.5], [0.6]]]],
        ... )
        >>> round(float(metric.result()), 4)
        21.5051
    """

    value_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __init__(
        self,
        data_range: float = 1.0,
        *,
        name: str = "peak_signal_noise_ratio",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        scores = ImageScores("psnr", _positive("data_range", data_range))
        super().__init__(scores, name=name, dtype=dtype, intervals=intervals)


@keras.saving.register_keras_serializable("multiback")
class StructuralSimilarity(ImageMetric):
    """The structural similarity (SSIM) of each image, averaged.

    Formula: the mean over images, channels and pixels of `(2 m n + c1) (2 cov + c2) /
    ((m^2 + n^2 + c1) (var_m + var_n + c2))` with Gaussian-weighted means m and n,
    variances and covariance around each pixel, `c1 = (0.01 data_range)^2` and
    `c2 = (0.03 data_range)^2`.

    Use it where images should look alike; it is of contrast and structure rather than
    of brightness. Pixels whose window leaves the image do not count. A NaN gives NaN,
    and so do no data.

    Args:
        data_range: Largest less smallest value that a pixel can have, such as 255 for
            bytes. It is never guessed: a guess would differ between batches.
        sigma: Standard deviation of the Gaussian window, which reaches 3.5 times as
            far: 11 pixels for 1.5.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Images `(B, H, W, C)` or volumes `(B, D, H, W, C)`, integers or floats.
        y_pred: Predictions of the same shape.
        sample_weight: One number an image, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: Wang, Bovik, Sheikh and Simoncelli, Image quality assessment (2004);
    scikit-image's `structural_similarity` with Gaussian weights.

    Examples:
        An image and its negative have nothing in common:

        >>> import numpy as np
        >>> image = np.tile(np.eye(16)[None, :, :, None], (2, 1, 1, 1))
        >>> metric = StructuralSimilarity(data_range=1.0)
        >>> metric.update_state(image, image)
        >>> round(float(metric.result()), 4)
        1.0
        >>> metric.reset_state()
        >>> metric.update_state(image, 1.0 - image)
        >>> float(metric.result()) < 0.0
        True
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def __init__(
        self,
        data_range: float = 1.0,
        *,
        sigma: float = 1.5,
        name: str = "structural_similarity",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        scores = ImageScores(
            "ssim", _positive("data_range", data_range), _positive("sigma", sigma)
        )
        super().__init__(scores, name=name, dtype=dtype, intervals=intervals)


@keras.saving.register_keras_serializable("multiback")
class MultiScaleStructuralSimilarity(ImageMetric):
    """The structural similarity at several scales (MS-SSIM) of each image, averaged.

    Formula: the mean over images of the product over scales of `contrast^beta`, where
    contrast is SSIM's second factor, and of `SSIM^beta` at the last scale. Each scale
    halves the sides; what is below 0 counts as 0.

    Use it in place of `StructuralSimilarity` where the distance from which images are
    seen is unknown. With five scales the sides must have at least 176 pixels. A NaN
    gives NaN, and so do no data.

    Args:
        data_range: Largest less smallest value that a pixel can have, such as 255 for
            bytes. It is never guessed: a guess would differ between batches.
        betas: The exponent of each scale, the finest first.
        sigma: Standard deviation of the Gaussian window, which reaches 3.5 times as
            far: 11 pixels for 1.5.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Images `(B, H, W, C)` or volumes `(B, D, H, W, C)`, integers or floats.
        y_pred: Predictions of the same shape.
        sample_weight: One number an image, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: Wang, Simoncelli and Bovik, Multi-scale structural similarity for image
    quality assessment (2003); TensorFlow's `tf.image.ssim_multiscale`. torchmetrics
    counts reflected borders too.

    Examples:
        Two scales, for small images:

        >>> import numpy as np
        >>> image = np.tile(np.eye(32)[None, :, :, None], (2, 1, 1, 1))
        >>> metric = MultiScaleStructuralSimilarity(betas=[0.5, 0.5])
        >>> metric.update_state(image, image)
        >>> round(float(metric.result()), 4)
        1.0
    """

    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        data_range: float = 1.0,
        *,
        betas: Sequence[float] = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333),
        sigma: float = 1.5,
        name: str = "multi_scale_structural_similarity",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        numbers = tuple(betas) if isinstance(betas, list | tuple) else ()
        if len(numbers) < 2 or not all(is_real(beta) and beta > 0 for beta in numbers):  # noqa: PLR2004 - scales
            raise ArgumentError(
                f"betas= wants two numbers above 0 or more, not {betas!r}."
            )
        scores = ImageScores(
            "ssim",
            _positive("data_range", data_range),
            _positive("sigma", sigma),
            tuple(map(float, numbers)),
        )
        super().__init__(scores, name=name, dtype=dtype, intervals=intervals)
