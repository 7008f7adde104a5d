"""What is accumulated over batches: states and their updates."""
