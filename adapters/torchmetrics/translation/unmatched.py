"""Metrics without a counterpart, and why."""

# Keras's metrics without a counterpart.
OF_KERAS: dict[str, str] = {
    "CategoricalHinge": "Keras lets no other score be below 0, which HingeLoss and "
    "torchmetrics' MulticlassHingeLoss do not",
    "ConcordanceCorrelation": "Keras correlates the elements of each row, or of each "
    "batch, and averages; the others correlate all samples",
    "Hinge": "HingeLoss wants labels of 0 and 1, where Keras takes -1 and 1 too; "
    "torchmetrics' BinaryHingeLoss takes the sigmoid of scores outside of [0, 1]",
    "MeanAbsolutePercentageError": "Keras's is a percentage, 100 times as much as the "
    "share of the others",
    "PearsonCorrelation": "Keras correlates the elements of each row, or of each "
    "batch, and averages; the others correlate all samples",
    "Poisson": "the others have no Poisson loss; TweedieDeviance(power=1) is a "
    "deviance, another number",
    "SquaredHinge": "HingeLoss(squared=True) wants labels of 0 and 1, where Keras "
    "takes -1 and 1 too; torchmetrics' BinaryHingeLoss takes the sigmoid of scores "
    "outside of [0, 1]",
    **dict.fromkeys(
        ("FalseNegatives", "FalsePositives", "TrueNegatives", "TruePositives"),
        "the others count it beside others: it is one of the five of StatScores",
    ),
}

# torchmetrics' metrics without a counterpart, by the name without the task's.
OF_TORCHMETRICS: dict[str, str] = {
    "CatMetric": "it keeps all values and is no number",
    "ContinuousRankedProbabilityScore": "it is of ensembles",
    "CriticalSuccessIndex": "the others have no such score; of labels that are 0 and 1 "
    "it is JaccardIndex",
    "EER": "it is the mean of both rates at the nearest threshold; EqualErrorRate "
    "draws a line between two",
    "Fairness": "it compares groups of samples",
    "GroupStatRates": "it compares groups of samples",
    "JensenShannonDivergence": "the others have no divergence of both sides",
    "LogAUC": "the others have no area over the logarithm",
    "PrecisionRecallCurve": "the others have areas under curves, not curves",
    "ROC": "the others have areas under curves, not curves",
    "RetrievalAUROC": "it averages an area of each query; multiback's is of all rows",
    "RetrievalFallOut": "the others have no share of the irrelevant items",
    "RetrievalPrecisionRecallCurve": "the others have numbers, not curves, of queries",
    "RetrievalRPrecision": "its k is another one for each query",
    "RetrievalRecallAtFixedPrecision": "the others have no such number of queries",
    "RunningMean": "it is of the last batches only",
    "RunningSum": "it is of the last batches only",
}

# Metrics of multiback and Keras without a counterpart in torchmetrics.
NOT_OF_TORCHMETRICS: dict[str, str] = {
    "BrierScore": "torchmetrics has no Brier score",
    "EqualErrorRate": "torchmetrics' EER takes the nearest threshold",
    "Huber": "torchmetrics has no Huber loss",
    "Lift": "torchmetrics has no lift",
    "LogLoss": "torchmetrics has no log loss; text.Perplexity is its exponential",
    "Perplexity": "torchmetrics' Perplexity is of sequences, (batch, length, classes), "
    "and takes the softmax of what it is given",
    "MaxFBeta": "torchmetrics has no F over all thresholds",
    "MultiScaleStructuralSimilarity": "torchmetrics counts reflected borders too, and "
    "wants channels first",
    "PeakSignalNoiseRatio": "torchmetrics takes the error of all images together",
    "PinballLoss": "torchmetrics has no pinball loss",
    "PrecisionAtTopFraction": "torchmetrics has precision of k items of each query: "
    "RetrievalPrecision",
    "RootMeanSquaredLogarithmicError": "torchmetrics has its square",
    "SamplewiseDice": "torchmetrics averages pairs of a sample and a class",
    "SamplewiseJaccardIndex": "torchmetrics averages pairs of a sample and a class",
    "StructuralSimilarity": "torchmetrics counts reflected borders too, and wants "
    "channels first",
}

# Metrics of multiback without a counterpart in Keras, where a reason helps.
_BY_ROWS = "Keras correlates the elements of each row, or of each batch, and averages"
NOT_OF_KERAS: dict[str, str] = {
    "ConcordanceCorrelation": _BY_ROWS,
    "PearsonCorrelation": _BY_ROWS,
    "MeanAbsolutePercentageError": "Keras's is a percentage, 100 times as much",
    "Huber": "Keras has it as a loss: compile with metrics=[keras.losses.huber]",
}
