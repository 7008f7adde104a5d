"""Programs that write to a run directory without Keras."""
