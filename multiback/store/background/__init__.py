"""Write checkpoints in a thread beside the training."""
