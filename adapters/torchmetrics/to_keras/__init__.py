"""Use a torchmetrics metric in Keras."""
