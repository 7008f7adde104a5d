"""See a run: what was measured, what was kept, and why."""
