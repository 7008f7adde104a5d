"""One score an image, from its pixels and their neighbourhoods."""

import dataclasses
import math
from typing import Any, ClassVar, Literal

import numpy as np
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.images import on_arrays
from multiback.metrics.inputs.batch import (
    Given,
    like_elements,
    same_shape,
    shapes_differ,
    to_scores,
)
from multiback.metrics.inputs.causes import NUMBER, count_each
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.row_means import RowMeans, weights_of_rows
from multiback.metrics.statistics.statistic import State, Tensor

Kind = Literal["psnr", "ssim"]
# Wang and others (2004): these keep a ratio of small numbers finite.
K1, K2 = 0.01, 0.03
AXES = {4: 2, 5: 3}


@dataclasses.dataclass(frozen=True)
class ImageScores(RowMeans):
    """Add up one score an image.

    `sigma` is the standard deviation of the Gaussian window, for "ssim"; `betas` the
    exponent of each scale, and one of 1 is plain SSIM.
    """

    words_of: ClassVar[dict[str, str]] = {"infinite": "equal_images"}

    kind: Kind
    data_range: float
    sigma: float = 1.5
    betas: tuple[float, ...] = (1.0,)

    def rows(self, given: Given) -> tuple[Tensor, Tensor, Tensor]:
        """Return the score of each image, whether it counts, and whether any is odd."""
        values, counts = self._scores(given)
        odd = ops.logical_not(ops.all(ops.isfinite(values)))
        # Equal images are counted, not added up: see `read`.
        return ops.where(_are_equal(values), 0.0, values), counts, odd

    def values_of_arrays(self, y_true: Any, y_pred: Any) -> Any | None:
        """Return the score of each image of plain arrays."""
        images = y_true.shape
        if len(images) not in AXES or images != y_pred.shape or not y_true.size:
            return None
        true, predicted = (
            one.astype(np.float32, copy=False) for one in (y_true, y_pred)
        )
        if self.kind == "psnr":
            return on_arrays.noise_ratios(true, predicted, self.data_range)
        if min(images[1:-1]) < self.smallest_side:
            return None
        return on_arrays.similarities(
            true, predicted, self.window, self.betas, self.constants
        )

    @property
    def smallest_side(self) -> int:
        """The pixels of the smallest side that all scales need."""
        scales: int = 2 ** (len(self.betas) - 1)
        return len(self.window) * scales

    @property
    def constants(self) -> tuple[float, float]:
        """What keeps a ratio of small numbers finite."""
        return (K1 * self.data_range) ** 2, (K2 * self.data_range) ** 2

    def read(self, state: State) -> Tensor:
        """Return the mean: infinite if a pair of images was equal, for "psnr"."""
        mean = super().read(state)
        equal = state["unusable"][:, NUMBER["infinite"]]
        xp = namespace(equal)
        return xp.where(exact.count_to_float(equal) > 0.0, mean + math.inf, mean)

    def _scores(self, given: Given) -> tuple[Tensor, Tensor]:
        """Return the score of each image, and whether it counts."""
        true, predicted = self._images(given)
        axes = tuple(range(1, len(true.shape)))
        if self.kind == "psnr":
            square = ops.mean(ops.square(true - predicted), axis=axes)
            decibel = 10.0 / math.log(10.0)
            values = -decibel * ops.log(square / self.data_range**2)
        else:
            values = self._similarity(true, predicted)
        counts = ops.ones_like(values, dtype="bool")
        if given.mask is not None:
            counts = ops.cast(like_elements(given.mask, values, "mask"), "bool")
        return values, counts

    def causes_of_rows(self, given: Given) -> Tensor:
        """Count pixels that are NaN or infinite, and pairs of equal images."""
        true, predicted = self._images(given)
        values, kept = self._scores(given)
        if given.sample_weight is not None:
            weights = weights_of_rows(given.sample_weight, true.shape)
            kept = ops.logical_and(kept, ops.not_equal(weights, 0.0))
        pixels = ops.reshape(kept, (-1, *[1] * (len(true.shape) - 1)))
        found = {
            "nan_label": ops.isnan(true),
            "unknown_label": ops.isinf(true),
            "nan_score": ops.isnan(predicted),
            "unknown_prediction": ops.isinf(predicted),
        }
        found = {cause: ops.logical_and(pixels, each) for cause, each in found.items()}
        return count_each(
            found | {"infinite": ops.logical_and(kept, _are_equal(values))}
        )

    def explain_labels(self) -> str:
        """Name the pixels."""
        return "finite numbers"

    @property
    def window(self) -> Any:
        """The Gaussian window along one axis, 3.5 sigma to both sides."""
        reach = int(3.5 * self.sigma + 0.5)
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / self.sigma) ** 2)
        return (weights / weights.sum()).astype("float32")

    def _images(self, given: Given) -> tuple[Tensor, Tensor]:
        y_true, y_pred = given.tensors()
        if len(y_true.shape) not in AXES or not same_shape(y_true, y_pred):
            raise shapes_differ(
                y_true,
                y_pred,
                "images (B, H, W, C) or volumes (B, D, H, W, C) are wanted for both.",
            )
        smallest = min(size for size in y_true.shape[1:-1] if size is not None)
        needed = self.smallest_side
        if self.kind == "ssim" and smallest < needed:
            raise ArgumentError(
                f"y_true has shape {tuple(y_true.shape)}, and {len(self.betas)} scales "
                f"with sigma={self.sigma} want sides of at least {needed} pixels. Pass "
                "larger images, a smaller sigma=, or fewer betas=."
            )
        both = (to_scores(y_true), to_scores(y_pred))
        return tuple(ops.cast(one, "float32") for one in both)

    def _similarity(self, true: Tensor, predicted: Tensor) -> Tensor:
        """Return the product over scales of the similarity of each image."""
        if true.shape[0] == 0:  # Keras 3.13 refuses to convolve no images.
            return ops.zeros((0,), "float32")
        dims, channels = AXES[len(true.shape)], true.shape[-1]
        order = (0, dims + 1, *range(1, dims + 1))
        # Each channel is an image of its own: a convolution takes one.
        x, y = (
            ops.expand_dims(
                ops.reshape(ops.transpose(one, order), (-1, *one.shape[1:-1])), -1
            )
            for one in (true, predicted)
        )
        product = None
        for scale, beta in enumerate(self.betas):
            whole, contrast = self._means(x, y, dims)
            last = scale == len(self.betas) - 1
            each = ops.mean(
                ops.reshape(whole if last else contrast, (-1, channels)), axis=1
            )
            if len(self.betas) > 1:  # A negative number has no such power.
                each = ops.power(ops.maximum(each, 0.0), beta)
            product = each if product is None else product * each
            if not last:
                x, y = (ops.average_pool(one, 2, 2, "valid") for one in (x, y))
        return product

    def _means(self, x: Tensor, y: Tensor, dims: int) -> tuple[Tensor, Tensor]:
        """Return the mean similarity and the mean of its part of contrast, by row."""
        axes = tuple(range(1, dims + 2))
        # Squares of large means would round variances away.
        level = ops.mean(x, axis=axes, keepdims=True)
        x, y = x - level, y - level
        maps = ops.concatenate([x, y, x * x, y * y, x * y])
        for axis in range(dims):
            shape = [1] * dims
            shape[axis] = -1
            kernel = ops.convert_to_tensor(self.window.reshape(*shape, 1, 1))
            maps = ops.conv(maps, kernel, 1, "valid", data_format="channels_last")
        mean_x, mean_y, xx, yy, xy = ops.split(maps, 5, axis=0)
        spread = xx + yy - mean_x * mean_x - mean_y * mean_y
        shared = xy - mean_x * mean_y
        c1, c2 = self.constants
        contrast = (2.0 * shared + c2) / (spread + c2)
        mean_x, mean_y = mean_x + level, mean_y + level
        light = (2.0 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
        return ops.mean(light * contrast, axis=axes), ops.mean(contrast, axis=axes)


def _are_equal(ratios: Tensor) -> Tensor:
    """Return where a ratio is infinite because there is no error."""
    return ops.equal(ratios, math.inf)
