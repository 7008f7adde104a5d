"""Small batches, plain and odd, for what counts them in more than one way."""

import numpy as np

NAN, INF = float("nan"), float("inf")
N = 24
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, N)
SCORES = np.round(RNG.random(N), 1).astype("float32")  # With ties and the threshold.
IDS = RNG.integers(0, 5, N)
TIED = np.round(RNG.random((N, 5)), 1).astype("float32")

BINARY = {
    "plain": (LABELS, SCORES),
    "a column of scores": (LABELS, SCORES[:, None]),
    "a column of labels": (LABELS[:, None].astype("float32"), SCORES),
    "boolean labels": (LABELS > 0, SCORES),
    "float64": (LABELS, SCORES.astype("float64")),
    "float16": (LABELS, SCORES.astype("float16")),
    "integer scores": (LABELS, IDS // 3),
    "not contiguous": (np.repeat(LABELS, 2)[::2], np.repeat(SCORES, 3)[::3]),
    "minus zero and both ends": (LABELS[:3], np.array([-0.0, 1.0, 0.0], "float32")),
    "empty": (LABELS[:0], SCORES[:0]),
    "a scalar": (LABELS[0], SCORES[0]),
}
ODD = {
    "NaN": (LABELS, np.where(IDS == 1, NAN, SCORES).astype("float32")),
    "an unknown label": (LABELS + (IDS == 1) * 2, SCORES),
    "half a label": (LABELS * 0.5, SCORES),
    "a NaN label": (np.where(IDS == 1, NAN, LABELS), SCORES),
    "shapes that differ": (LABELS[:3], SCORES[:4]),
}
CLASSES = {
    "plain": (IDS, TIED),
    "a column of labels": (IDS[:, None], TIED),
    "float labels": (IDS.astype("float32"), TIED),
    "one-hot": (np.eye(5, dtype="float32")[IDS], TIED),
    "ids": (IDS, RNG.permutation(IDS)),
    "sequences": (IDS.reshape(4, 6), TIED.reshape(4, 6, 5)),
    "float16": (IDS, TIED.astype("float16")),
    "not contiguous": (np.repeat(IDS, 2)[::2], np.asfortranarray(TIED)),
    "all equal": (IDS, np.zeros_like(TIED)),
    "all minus infinity": (IDS, np.full_like(TIED, -INF)),
    "minus zero": (IDS, np.where(TIED < 0.5, -0.0, 0.0).astype("float32")),
}
