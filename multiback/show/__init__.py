"""Show a run: its metrics, its checkpoints, and the reasons."""
