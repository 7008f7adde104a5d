"""Pairs of one meaning: a metric of multiback, and that of torchmetrics or Keras.

`metrics.py newer` lets each pair take turns: a reset, four updates and a result,
eagerly on PyTorch, which is where torchmetrics runs.
"""

import keras
import numpy as np
import torch
import torchmetrics as tm
import torchmetrics.classification as tmc
import torchmetrics.image as tmi
import torchmetrics.regression as tmr
import torchmetrics.retrieval as tmq

import multiback.metrics as m

BATCHES, ROWS, ITEMS = 4, 256, 16


def _regression(rng):
    y_true = rng.random(ROWS).astype("float32") + 0.5
    return y_true, y_true + 0.1 * rng.random(ROWS).astype("float32")


def _binary(rng):
    return rng.integers(0, 2, ROWS), rng.random(ROWS).astype("float32")


def _items(rng):
    y_true = rng.integers(0, 2, (ROWS, ITEMS))
    return y_true, rng.random((ROWS, ITEMS)).astype("float32")


def _images(rng):
    y_true = rng.random((4, 48, 48, 3)).astype("float32")
    return y_true, np.clip(y_true + 0.1 * rng.random(y_true.shape), 0, 1).astype(
        "float32"
    )


def _plain(y_true, y_pred, _):
    return y_pred, y_true


def _queries(y_true, y_pred, batch):
    queries = torch.arange(ROWS)[:, None].expand(ROWS, ITEMS) + batch * ROWS
    return y_pred.reshape(-1), y_true.reshape(-1), queries.reshape(-1)


def _channels_first(y_true, y_pred, _):
    return y_pred.permute(0, 3, 1, 2), y_true.permute(0, 3, 1, 2)


SIZE = BATCHES * ROWS
# multiback's, the peer's, the data, and how the peer takes these.
PAIRS = {
    "MAPE": (
        m.MeanAbsolutePercentageError,
        tmr.MeanAbsolutePercentageError,
        _regression,
        _plain,
    ),
    "MAPE, Keras": (
        m.MeanAbsolutePercentageError,
        keras.metrics.MeanAbsolutePercentageError,
        _regression,
        None,
    ),
    "SMAPE": (
        m.SymmetricMeanAbsolutePercentageError,
        tmr.SymmetricMeanAbsolutePercentageError,
        _regression,
        _plain,
    ),
    "WMAPE": (
        m.WeightedMeanAbsolutePercentageError,
        tmr.WeightedMeanAbsolutePercentageError,
        _regression,
        _plain,
    ),
    "MSLE": (
        m.MeanSquaredLogarithmicError,
        tmr.MeanSquaredLogError,
        _regression,
        _plain,
    ),
    "MSLE, Keras": (
        m.MeanSquaredLogarithmicError,
        keras.metrics.MeanSquaredLogarithmicError,
        _regression,
        None,
    ),
    "Tweedie": (m.TweedieDeviance, tmr.TweedieDevianceScore, _regression, _plain),
    "Minkowski": (
        lambda: m.MinkowskiDistance(p=3),
        lambda: tmr.MinkowskiDistance(3),
        _regression,
        _plain,
    ),
    "NRMSE": (
        m.NormalizedRootMeanSquaredError,
        tmr.NormalizedRootMeanSquaredError,
        _regression,
        _plain,
    ),
    "RSE": (m.RelativeSquaredError, tmr.RelativeSquaredError, _regression, _plain),
    "Spearman": (
        lambda: m.SpearmanCorrelation(capacity=SIZE),
        tmr.SpearmanCorrCoef,
        _regression,
        _plain,
    ),
    "Kendall": (
        lambda: m.KendallTau(capacity=SIZE),
        tmr.KendallRankCorrCoef,
        _regression,
        _plain,
    ),
    "hinge": (m.HingeLoss, tmc.BinaryHingeLoss, _binary, _plain),
    "AUROC(max_fpr)": (
        lambda: m.AUROC(max_fpr=0.2),
        lambda: tmc.BinaryAUROC(max_fpr=0.2),
        _binary,
        _plain,
    ),
    "NDCG": (m.NDCG, tmq.RetrievalNormalizedDCG, _items, _queries),
    "MRR": (m.MeanReciprocalRank, tmq.RetrievalMRR, _items, _queries),
    "MAP": (m.MeanAveragePrecisionAtK, tmq.RetrievalMAP, _items, _queries),
    "precision at k": (
        lambda: m.PrecisionAtK(k=5),
        lambda: tmq.RetrievalPrecision(top_k=5),
        _items,
        _queries,
    ),
    "recall at k": (
        lambda: m.RecallAtK(k=5),
        lambda: tmq.RetrievalRecall(top_k=5),
        _items,
        _queries,
    ),
    "hit rate": (
        lambda: m.HitRate(k=5),
        lambda: tmq.RetrievalHitRate(top_k=5),
        _items,
        _queries,
    ),
    "LRAP": (
        m.LabelRankingAveragePrecision,
        lambda: tmc.MultilabelRankingAveragePrecision(ITEMS),
        _items,
        _plain,
    ),
    "coverage error": (
        m.CoverageError,
        lambda: tmc.MultilabelCoverageError(ITEMS),
        _items,
        _plain,
    ),
    "ranking loss": (
        m.LabelRankingLoss,
        lambda: tmc.MultilabelRankingLoss(ITEMS),
        _items,
        _plain,
    ),
    "PSNR": (
        lambda: m.PeakSignalNoiseRatio(data_range=1.0),
        lambda: tmi.PeakSignalNoiseRatio(data_range=1.0),
        _images,
        _channels_first,
    ),
    "SSIM": (
        lambda: m.StructuralSimilarity(data_range=1.0),
        lambda: tmi.StructuralSimilarityIndexMeasure(data_range=1.0),
        _images,
        _channels_first,
    ),
}


def candidates(name):
    """Return what takes turns: a reset, updates and a result, of both metrics."""
    mine, peer, draw, arrange = PAIRS[name]
    rng = np.random.default_rng(0)
    batches = [tuple(map(torch.as_tensor, draw(rng))) for _ in range(BATCHES)]
    made = mine(), peer()

    def of_keras(metric):
        def run():
            metric.reset_state()
            for batch in batches:
                metric.update_state(*batch)
            float(metric.result())

        return run

    def of_torchmetrics(metric):
        given = [arrange(*batch, at) for at, batch in enumerate(batches)]

        def run():
            metric.reset()
            for batch in given:
                metric.update(*batch)
            float(metric.compute())

        return run

    theirs = of_torchmetrics if isinstance(made[1], tm.Metric) else of_keras
    return {"multiback": of_keras(made[0]), "peer": theirs(made[1])}
