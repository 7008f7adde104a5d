"""Check what a metric is given and bring it into one shape."""
