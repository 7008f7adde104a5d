"""Scores of images in NumPy, which starts an operation sooner than a framework."""

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# So many results at once are a product with one matrix, of few zeros.
TILE = 64


def noise_ratios(true: Array, predicted: Array, data_range: float) -> Array | None:
    """Return the peak signal-to-noise ratio of each image, if all are finite."""
    error = (true - predicted).reshape(len(true), -1)
    squares = [float(np.dot(row, row)) for row in error]
    if not all(0.0 < square < math.inf for square in squares):
        return None
    # Of float32 sums: an image of 10^9 pixels has 10^6 of them.
    peak = error.shape[1] * data_range**2
    return np.array([10.0 * math.log10(peak / square) for square in squares])


def similarities(
    true: Array,
    predicted: Array,
    window: Array,
    betas: tuple[float, ...],
    constants: tuple[float, float],
) -> Array | None:
    """Return the structural similarity of each image, if all are finite.

    Images are float32 `(B, H, W, C)` or volumes `(B, D, H, W, C)`; the window has
    weights along an axis, `betas` one exponent a scale, and the constants are added to
    both parts of the ratios.
    """
    channels = true.shape[-1]
    # Each channel is an image of its own.
    x, y = (
        np.ascontiguousarray(np.moveaxis(one, -1, 1)).reshape(-1, *one.shape[1:-1])
        for one in (true, predicted)
    )
    product = np.ones(len(true), np.float32)
    for scale, beta in enumerate(betas):
        last = scale == len(betas) - 1
        each = _means(x, y, window, constants, contrast_alone=not last)
        each = each.reshape(-1, channels).mean(axis=1)
        if len(betas) > 1:  # A negative mean has no real power.
            each = np.maximum(each, 0.0) ** np.float32(beta)
        product *= each
        if not last:
            x, y = _halved(x), _halved(y)
    return product if np.isfinite(product).all() else None


def _means(
    x: Array,
    y: Array,
    window: Array,
    constants: tuple[float, float],
    *,
    contrast_alone: bool,
) -> Array:
    """Return the mean similarity of each row, or of its part of contrast."""
    axes = tuple(range(1, x.ndim))
    c1, c2 = constants
    # Squares of large means would round variances away.
    level = x.mean(axis=axes, keepdims=True)
    maps = np.empty((5, *x.shape), np.float32)
    np.subtract(x, level, out=maps[0])
    np.subtract(y, level, out=maps[1])
    np.multiply(maps[0], maps[0], out=maps[2])
    np.multiply(maps[1], maps[1], out=maps[3])
    np.multiply(maps[0], maps[1], out=maps[4])
    for axis in range(2, maps.ndim):
        maps = _filtered(maps, axis, window)
    mean_x, mean_y, xx, yy, xy = maps
    xx += yy
    xx -= mean_x * mean_x
    xx -= mean_y * mean_y
    xx += np.float32(c2)
    xy -= mean_x * mean_y
    xy *= np.float32(2.0)
    xy += np.float32(c2)
    xy /= xx
    if not contrast_alone:
        mean_x += level
        mean_y += level
        both = mean_x * mean_y
        both *= np.float32(2.0)
        both += np.float32(c1)
        mean_x *= mean_x
        mean_y *= mean_y
        mean_x += mean_y
        mean_x += np.float32(c1)
        both /= mean_x
        xy *= both
    found: Array = xy.mean(axis=axes)
    return found


def _filtered(maps: Array, axis: int, window: Array) -> Array:
    """Return the weighted means along an axis, of windows within it."""
    shape, reach = maps.shape, len(window) - 1
    size = shape[axis] - reach
    bands = _bands(window.tobytes(), min(size, TILE))
    before = math.prod(shape[:axis])
    table = maps.reshape(before, shape[axis], -1)
    found = np.empty((before, size, table.shape[2]), np.float32)
    for first in range(0, size, TILE):
        count = min(TILE, size - first)
        part = bands[:count, : count + reach]
        given = table[:, first : first + count + reach]
        if axis == len(shape) - 1:  # One product in place of one a row.
            found[:, first : first + count, 0] = given[:, :, 0] @ part.T
        else:
            found[:, first : first + count] = part @ given
    return found.reshape(*shape[:axis], size, *shape[axis + 1 :])


@functools.lru_cache(maxsize=16)
def _bands(window: bytes, count: int) -> Array:
    """Return a matrix that takes the weighted means of `count` windows in a row."""
    weights = np.frombuffer(window, np.float32)
    matrix = np.zeros((count, count + len(weights) - 1), np.float32)
    for row in range(count):
        matrix[row, row : row + len(weights)] = weights
    return matrix


def _halved(images: Array) -> Array:
    """Return the means of two neighbours along each axis; an odd last one is left."""
    for axis in range(1, images.ndim):
        images = np.moveaxis(images, axis, -1)
        size = images.shape[-1] // 2 * 2
        images = (images[..., 0:size:2] + images[..., 1:size:2]) * np.float32(0.5)
        images = np.moveaxis(images, -1, axis)
    return np.ascontiguousarray(images)
