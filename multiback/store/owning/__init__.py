"""Who may write a run."""
