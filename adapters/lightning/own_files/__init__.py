"""Read the checkpoints that Lightning's own callback wrote, as data."""
