"""The values of torchmetrics and scikit-learn for each metric."""
