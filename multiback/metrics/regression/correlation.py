"""How well predictions follow their targets: R2 and correlations."""

import abc
import math
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import ratio
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_integer, check_flag, refuse_unknown
from multiback.metrics.statistics.moments import Moments, MomentTable
from multiback.metrics.statistics.statistic import State

Tensor = Any
Multioutput = Literal["uniform_average", "variance_weighted", "raw_values"]


class MomentMetric(PairMetric):
    """A formula over centred moments; subclasses write `score`.

    Args:
        num_outputs: Number of outputs D; more than one are scored apart.
        multioutput: Over outputs: "uniform_average" (plain mean),
            "variance_weighted" (by the variance of the targets) or "raw_values"
            (one value each, which cannot be monitored).
        ignore_nan: Leave out elements whose target is NaN; each output then has
            rows of its own.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; the arithmetic stays exact.

    Call arguments:
        y_true: Targets `(..., D)`; for one output also `(...)`.
        y_pred: Predictions of the same shape; for one output either one may have
            a last axis of length 1 that the other lacks.
        sample_weight: One number a sample, a row or an element, or None.

    The metric streams: the value is that of all data, not a mean of batches. It is
    right wherever the mean of the targets lies. A NaN gives NaN and a warning.
    """

    direction: ClassVar[Direction | None] = "max"

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str,
        dtype: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(type(self), unknown)
        num_outputs = as_integer("num_outputs", num_outputs, 1)
        if multioutput not in ("uniform_average", "variance_weighted", "raw_values"):
            raise ArgumentError(
                'multioutput= wants "uniform_average", "variance_weighted" or '
                f'"raw_values", not {multioutput!r}.'
            )
        ignore_nan = check_flag("ignore_nan", ignore_nan)
        self._moments = Moments(num_outputs, ignore_nan)
        super().__init__(self._moments, name=name, dtype=dtype)
        self.arguments: dict[str, Any] = {
            "num_outputs": num_outputs,
            "multioutput": multioutput,
            "ignore_nan": ignore_nan,
        }

    @abc.abstractmethod
    def score(self, table: MomentTable) -> Tensor:
        """Return one value an output, for data of at least two rows."""

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        table = self._moments.read(state)
        scores = ops.where(table.rows < 2.0, float("nan"), self.score(table))  # noqa: PLR2004 - a variance takes two
        how = self.arguments["multioutput"]
        if how == "variance_weighted":
            total = ops.sum(table.true)
            plain = ops.ones_like(table.true)
            weights = ops.where(ops.equal(total, 0.0), plain, table.true)
            return ops.sum(weights * scores) / ops.sum(weights)
        return scores if how == "raw_values" else ops.mean(scores)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self.arguments}


def _explained(unexplained: Tensor, total: Tensor) -> Tensor:
    """Return 1 - a / b; of constant targets, 1 if nothing is left and else 0."""
    perfect = ops.cast(ops.equal(unexplained, 0.0), "float32")
    constant = ops.equal(total, 0.0)
    return ops.where(constant, perfect, 1.0 - ratio(unexplained, total, 0.0))


@keras.saving.register_keras_serializable("multiback")
class R2Score(MomentMetric):
    """The share of the targets' variance that the predictions explain.

    `1 - sum((y_true - y_pred)^2) / sum((y_true - mean(y_true))^2)`. Of constant
    targets it is 1 if every prediction is right and otherwise 0; of fewer than two
    rows NaN. Squares are float32's: scale targets whose deviations are below 1e-18,
    for they are taken for none.

    Args:
        num_outputs: As for `MomentMetric`, whose other arguments hold too.
        adjusted: Number of regressors p for the adjusted score,
            `1 - (1 - R2) (n - 1) / (n - p - 1)` with n rows; 0 for the plain one.
            NaN where n is not above p + 1.
        name: Name in the logs.
        **arguments: Those of `MomentMetric`.

    Source: scikit-learn's `r2_score`; torchmetrics for `adjusted`.

    Example:
    >>> r2_score = R2Score()
    >>> r2_score.update_state([1e5 + 1, 1e5 + 2, 1e5 + 3], [1e5 + 1, 1e5 + 2, 1e5 + 4])
    >>> round(float(r2_score.result()), 4)
    0.5
    """

    value_range = (-math.inf, 1.0)

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        adjusted: int = 0,
        name: str = "r2_score",
        **arguments: Any,
    ) -> None:
        adjusted = as_integer("adjusted", adjusted, 0)
        super().__init__(num_outputs=num_outputs, name=name, **arguments)
        self.arguments["adjusted"] = adjusted

    def score(self, table: MomentTable) -> Tensor:
        """Return R2."""
        squares = table.residual + table.weight * ops.square(table.bias)
        score = _explained(squares, table.true)
        regressors = self.arguments["adjusted"]
        if not regressors:
            return score
        freedom = table.rows - 1.0 - regressors
        adjusted = 1.0 - (1.0 - score) * ratio(table.rows - 1.0, freedom, 0.0)
        return ops.where(freedom > 0.0, adjusted, float("nan"))


@keras.saving.register_keras_serializable("multiback")
class ExplainedVariance(MomentMetric):
    """The share of the targets' variance that is not that of the errors.

    `1 - var(y_true - y_pred) / var(y_true)`: like R2, but a constant error costs
    nothing. Of constant targets it is 1 if the errors are constant and otherwise 0;
    of fewer than two rows NaN.

    Arguments and shapes are those of `MomentMetric`.

    Source: scikit-learn's `explained_variance_score`.

    Example:
    >>> metric = ExplainedVariance()
    >>> metric.update_state([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    >>> float(metric.result())
    1.0
    """

    value_range = (-math.inf, 1.0)

    def __init__(self, *, name: str = "explained_variance", **arguments: Any) -> None:
        super().__init__(name=name, **arguments)

    def score(self, table: MomentTable) -> Tensor:
        """Return the share."""
        return _explained(table.residual, table.true)


@keras.saving.register_keras_serializable("multiback")
class PearsonCorrelation(MomentMetric):
    """The correlation of targets and predictions: `cov / (std * std)`.

    NaN where targets or predictions are constant, and of fewer than two rows.

    Arguments and shapes are those of `MomentMetric`.

    Source: SciPy's `pearsonr`. Keras averages the value of each batch instead.

    Example:
    >>> metric = PearsonCorrelation()
    >>> metric.update_state([1.0, 2.0], [3.0, 2.0])
    >>> metric.update_state([3.0], [1.0])
    >>> float(metric.result())
    -1.0
    """

    value_range = (-1.0, 1.0)

    def __init__(self, *, name: str = "pearson_correlation", **arguments: Any) -> None:
        super().__init__(name=name, **arguments)

    def score(self, table: MomentTable) -> Tensor:
        """Return the correlation."""
        spread = ops.sqrt(table.true) * ops.sqrt(table.predicted)
        return ops.clip(ratio(table.cross, spread, float("nan")), -1.0, 1.0)


@keras.saving.register_keras_serializable("multiback")
class ConcordanceCorrelation(MomentMetric):
    """The correlation, less what a shift or another scale costs.

    `2 cov / (var_true + var_pred + (mean_true - mean_pred)^2)` with variances over
    n. NaN where targets and predictions are one constant, and of fewer than two
    rows.

    Arguments and shapes are those of `MomentMetric`.

    Source: Lin, A concordance correlation coefficient to evaluate reproducibility,
    Biometrics 45 (1989). torchmetrics takes variances over n - 1, which makes the
    shift weigh less.

    Example:
    >>> metric = ConcordanceCorrelation()
    >>> metric.update_state([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    >>> round(float(metric.result()), 4)
    0.5714
    """

    value_range = (-1.0, 1.0)

    def __init__(
        self, *, name: str = "concordance_correlation", **arguments: Any
    ) -> None:
        super().__init__(name=name, **arguments)

    def score(self, table: MomentTable) -> Tensor:
        """Return the correlation."""
        shift = table.weight * ops.square(table.bias)
        spread = table.true + table.predicted + shift
        return ops.clip(ratio(2.0 * table.cross, spread, float("nan")), -1.0, 1.0)
