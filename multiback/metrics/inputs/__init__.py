"""Check a metric's inputs and bring them into one shape."""
