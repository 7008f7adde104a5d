"""Metrics of Keras and torchmetrics that multiback does not have, and why."""

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

# torchmetrics' metrics without a counterpart, by the name without the task's prefix.
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
