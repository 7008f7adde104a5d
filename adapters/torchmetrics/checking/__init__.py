"""Compare streamed metrics with torchmetrics and scikit-learn."""
