"""The Keras side of adapters: metrics whose state is on the host, not in tensors.

Libraries such as torchmetrics and scikit-learn accumulate in their own memory, outside
of a compiled step. `HostMetric` is the Keras metric; the files named after a framework
leave its compiled step and return.
"""

from multiback.adapters.bridge.accumulator import Accumulator, Spec
from multiback.adapters.bridge.metric import HostMetric

__all__ = ["Accumulator", "HostMetric", "Spec"]
