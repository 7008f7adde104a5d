"""Use a metric of multiback in torchmetrics."""
