"""The Keras end of adapters: metrics whose state lives on the host, not in tensors.

Libraries such as torchmetrics and scikit-learn count in their own memory, which no
compiled step can hold. `HostMetric` is the Keras metric; the files named after a
framework lead out of its compiled step and back.
"""

from multiback.adapters.bridge.accumulator import Accumulator, Spec
from multiback.adapters.bridge.metric import HostMetric

__all__ = ["Accumulator", "HostMetric", "Spec"]
