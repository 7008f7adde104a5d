"""Find a checkpoint and put it back."""
