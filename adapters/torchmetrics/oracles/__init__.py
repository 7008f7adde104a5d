"""What torchmetrics and scikit-learn compute for each metric."""
